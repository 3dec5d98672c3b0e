"""The claim of Hydra: arbitrary pairs teach a good space only inside the subspace that the gate of the pair opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from spaceform import data
from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.losses.class_pairs.gates import ClassPairGate, gated_closeness
from spaceform.methods.metric_learning.hydra import ArbitraryPairProjector
from spaceform.metrics.neighborhood import anisotropy
from spaceform.metrics.open_set import auroc
from spaceform.metrics.separability import majority_vote
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

SLUG = "hydra"

ARMS = {
    "arbitrary_gate": "arbitrary pairs of classes, each within the subspace of its gate",
    "arbitrary_open": "ablation: the same pairs in the whole space",
    "arbitrary_mispaired": "control: the same pairs within the gate of the row's class and a random one",
    "same_open": "pairs of one class in the whole space: the supervised contrastive loss, decoupled",
    "same_gate": "pairs of one class, each within the subspace of the class",
    "arbitrary_subspace": "as the first arm, with the cosine inside the subspace",
    "untrained": "the network as it was drawn",
}

_OPTIONS: dict[str, dict[str, Any]] = {
    "arbitrary_gate": {},
    "arbitrary_open": {"gate": "open"},
    "arbitrary_mispaired": {},
    "same_open": {"mode": "identical", "gate": "open"},
    "same_gate": {"mode": "identical"},
    "arbitrary_subspace": {"form": "subspace"},
    "untrained": {"epochs": 0},
}

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "digits",
        "train_rows": 800,
        "test_rows": 400,
        "net": "small",
        "dim": 64,
        "hidden": 128,
        "table": 32,
        "batch_size": 128,
        "epochs": 6,
        "learning_rates": dict.fromkeys(ARMS, 3e-3),
        "augment": False,
        "k": 10,
        "pairs": 20,
        "anchors": 5,
    },
    "laptop": {
        "data": "fashion-mnist",
        "train_rows": 3000,
        "test_rows": 2000,
        "net": "small",
        "dim": 128,
        "hidden": 256,
        "table": 64,
        "batch_size": 128,
        "epochs": 6,
        "learning_rates": dict.fromkeys(ARMS, 3e-3),
        "augment": False,
        "k": 20,
        "pairs": 60,
        "anchors": 20,
    },
    "paper": {
        "data": "cifar-10",
        "train_rows": 50_000,
        "test_rows": 10_000,
        "net": "conv:4",
        "dim": 512,
        "hidden": 2048,
        "table": 512,
        "batch_size": 256,
        "epochs": 50,
        "learning_rates": dict.fromkeys(ARMS, 1e-3),
        "augment": True,
        "k": 20,
        "pairs": 90,
        "anchors": 100,
    },
}
"""The laptop's learning rate is the better of 1e-3 and 3e-3 for same-class and for gated pairs, on rows of the training
split; without a gate arbitrary pairs differ little between the two."""

CHANNELS = (32, 64)
"""Of the first two blocks of the small network; the third has as many as there are dimensions."""


@dataclass(frozen=True)
class Task:
    """Pictures of one seed to train on and to test on, with labels 0 to ``n_classes - 1``."""

    X: np.ndarray
    y: IntArray
    test: np.ndarray
    truth: IntArray
    n_classes: int


class MispairedGate(nn.Module):
    """The gate of the first class and a random one, whatever the second is."""

    def __init__(self, gate: ClassPairGate) -> None:
        super().__init__()
        self.gate = gate

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return gates ``(B, width)``; while evaluating, those of the pairs that are asked for."""
        if self.training:
            place = first.device if generator is None else generator.device
            drawn = torch.randint(self.gate.n_classes, second.shape, generator=generator, device=place)
            second = drawn.to(second.device)
        opened: torch.Tensor = self.gate(first, second, generator=generator)
        return opened

    def overlap(self) -> torch.Tensor:
        """Return the relations of the classes, as of the gate inside."""
        return self.gate.overlap()


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return how well one arm's space separates test rows, and what its gates do.

    ``knn``, ``linear``: accuracy of k nearest neighbours and of logistic regression on standardised features of the
    backbone; ``projected``: of the neighbours among projections; ``rank``: effective rank of the features.
    Over pairs of different classes, how surely a row of the first class is nearer to rows of the second than to those
    of third ones (AUC): ``auc_inside`` its own gate, ``auc_other`` in the gate of another pair, ``auc_whole`` space.
    ``opening``: mean opening of these gates; ``relations``: rank correlation of the affinity of classes read out of
    the gates with the cosine of their mean pictures (0 for open gates, which have none); ``chance``: 0.
    """
    check_choice(arm, "arm", list(ARMS))
    task = context.shared("task", lambda: _make_task(seed, settings, context))
    model = _model(arm, seed, settings, task)
    model.fit(task.X, task.y, progress=context.progress)
    if model.history_.steps:
        context.curve(arm, "mean opening of the gates", model.history_.steps, model.history_.figures["opening"])
    features = [model.encode(task.X), model.encode(task.test)]
    projections = [model.project(task.X), model.project(task.test)]
    scaler = StandardScaler().fit(features[0])
    known, asked = (scaler.transform(rows) for rows in features)
    probe = LogisticRegression(max_iter=200, tol=1e-2).fit(known, task.y)
    return {
        "knn": _neighbours(known, asked, task, settings["k"]),
        "linear": float((probe.predict(asked) == task.truth).mean()),
        "projected": _neighbours(projections[0], projections[1], task, settings["k"]),
        "rank": anisotropy(features[1]).effective_rank,
        "chance": 0.0,
        "relations": _relations(model.class_affinity_, task),
        **_inside_and_outside(model, projections[1], task, seed, settings),
    }


def mechanism(record: Record) -> None:
    """Assert what the gates do at any scale; ``AssertionError`` names the figures.

    The partner is found inside the gate of the pair and not in the whole space, nor as well in another pair's gate;
    and without gates arbitrary pairs teach a worse space of projections.
    """
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    ours = mean["arbitrary_gate"]
    told = ", ".join(f"{name} {ours[name]:.3f}" for name in ("auc_inside", "auc_other", "auc_whole"))
    assert ours["auc_inside"] > ours["auc_whole"] + 0.1, f"the gate finds no partner: {told}"
    assert ours["auc_inside"] > ours["auc_other"] + 0.1, f"any gate finds the partner: {told}"
    spaces = {arm: round(row["projected"], 3) for arm, row in mean.items()}
    assert spaces["arbitrary_gate"] > spaces["arbitrary_open"] + 0.02, f"open gates are as good: {spaces}"


def small_net(shape: tuple[int, ...], dim: int) -> nn.Module:
    """Return three blocks of convolution (stride 2), batch norm and ReLU, and the mean over the picture."""
    layers: list[nn.Module] = []
    last = shape[2]
    for width in (*CHANNELS, dim):
        layers += [nn.Conv2d(last, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        last = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _make_task(seed: int, settings: Mapping[str, Any], context: Context) -> Task:
    """Return pictures on white ground; rows are drawn by the seed, tested ones from the test split where there is one.

    With ``"split": "validation"`` among the settings the tested rows are of the training split (to choose settings on).
    """
    if settings["data"] == "cifar-10":
        found = data.load("cifar-10", root=context.benchmark_root("data_batch_1.bin ... and test_batch.bin"))
        X = found.X
    elif settings["data"] == "digits":
        found = data.load("digits")
        X = 1 - found.X.reshape(-1, 8, 8) / 16
    else:
        found = data.load(settings["data"], progress=context.progress)
        X = 255 - found.X
    rng = np.random.default_rng(derive_seed(seed, "rows"))
    n_train, n_test = settings["train_rows"], settings["test_rows"]
    if "split" in found.attributes:
        split = np.asarray(found.attributes["split"])
        train, test = (
            rng.permutation(np.flatnonzero(split == "train")),
            rng.permutation(np.flatnonzero(split == "test")),
        )
        if settings.get("split") == "validation":
            test = train[n_train:]
    else:
        order = rng.permutation(len(X))
        train, test = order, order[n_train:]
    train, test = train[:n_train], test[:n_test]
    return Task(X[train], found.y[train], X[test], found.y[test], len(found.classes))


def _model(arm: str, seed: int, settings: Mapping[str, Any], task: Task) -> ArbitraryPairProjector:
    dim, table = settings["dim"], settings["table"]
    options: dict[str, Any] = {"gate": f"sigmoid:{table}", "epochs": settings["epochs"]} | _OPTIONS[arm]
    if arm == "arbitrary_mispaired":
        options["gate"] = MispairedGate(
            ClassPairGate(
                n_classes=task.n_classes,
                width=dim,
                embed_dim=table,
                hidden=2 * table,
                seed=derive_seed(derive_seed(seed, "weights"), "gate"),
            )
        )
    return ArbitraryPairProjector(
        embedding_dim=dim,
        hidden=settings["hidden"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rates"][arm],
        net=small_net if settings["net"] == "small" else settings["net"],
        augment=settings["augment"],
        random_state=seed,
        **options,
    )


def _neighbours(known: FloatArray, asked: FloatArray, task: Task, k: int) -> float:
    _, nearest = nearest_neighbors(asked, known, k=k)
    return float((majority_vote(task.y[nearest]) == task.truth).mean())


def _relations(affinity: FloatArray, task: Task) -> float:
    """Rank correlation over pairs of classes between their affinity and the cosine of their mean pictures."""
    flat = task.test.reshape(len(task.test), -1).astype(np.float64)
    means = np.stack([flat[task.truth == code].mean(0) for code in range(task.n_classes)])
    unit = l2_normalize(means - means.mean(0))
    pairs = np.triu_indices(task.n_classes, 1)
    if np.ptp(affinity[pairs]) < 1e-9:
        return 0.0
    return float(spearmanr(affinity[pairs], (unit @ unit.T)[pairs]).statistic)


@torch.inference_mode()
def _inside_and_outside(
    model: ArbitraryPairProjector, projections: FloatArray, task: Task, seed: int, settings: Mapping[str, Any]
) -> dict[str, float]:
    """Return the AUC of partners against third classes inside the pair's gate, in another's, and in the whole space."""
    rng = np.random.default_rng(derive_seed(seed, "pairs"))
    rows, keys = torch.from_numpy(projections), torch.from_numpy(projections)
    n = task.n_classes
    first, second, elsewhere, other = rng.integers(0, n, (4, settings["pairs"]))
    second = np.where(second == first, (second + 1) % n, second)
    gate, form = model.net_.gate.eval().cpu(), model.form
    found: dict[str, list[float]] = {"inside": [], "other": [], "whole": []}
    openings = []
    for a, b, c, d in zip(first, second, elsewhere, other, strict=True):
        if {a, b} == {c, d}:
            c = (c + 1) % n  # noqa: PLW2901  # another pair, whichever
        anchors = torch.from_numpy(rng.permutation(np.flatnonzero(task.truth == a))[: settings["anchors"]])
        near, far = task.truth == b, (task.truth != a) & (task.truth != b)
        gates = {"inside": gate(_one(a), _one(b)), "other": gate(_one(c), _one(d))}
        gates["whole"] = torch.ones_like(gates["inside"])
        openings.append(float(gates["inside"].mean()))
        for name, opened in gates.items():
            closeness = gated_closeness(rows[anchors], keys, opened.expand(len(anchors), -1), form=form).numpy()
            scores = [auroc(row[near], row[far]) for row in closeness]
            found[name].append(float(np.mean(scores)))
    figures = {f"auc_{name}": float(np.mean(values)) for name, values in found.items()}
    return figures | {"opening": float(np.mean(openings))}


def _one(code: int) -> torch.Tensor:
    return torch.tensor([int(code)])
