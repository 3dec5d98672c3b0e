"""The claim of relative representations: an encoder of one training works with the head of another, unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from spaceform import data
from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.methods.transfer.relative_representations import (
    AbsoluteModel,
    RelativeLayer,
    RelativeModel,
    RelativeProjection,
    latent_agreement,
    select_anchors,
    stitching_matrix,
)
from spaceform.nets.mlp import mlp
from spaceform.rng import derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import train
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray

SLUG = "relative-representations"

ARMS = {
    "relative": "two seeds, stitched in cosines to the anchors",
    "absolute": "two seeds, stitched in the vectors as they are",
    "procrustes": "the same with a rotation fitted on the pairs of anchors: it must see both spaces",
    "shuffled": "ablation: the anchors of the encoder's side in another order",
    "frozen": "ablation: anchors embedded once, before training",
    "anchors_4": "ablation: 4 anchors, fewer than classes",
    "anchors_16": "ablation: 16 anchors",
    "anchors_64": "ablation: 64 anchors",
    "angular": "the angle in place of the cosine",
    "euclidean": "minus the distance in place of the cosine",
    "kmeans": "anchors in the middle of clusters of the pixels",
    "furthest": "anchors far apart in the pixels",
    "architecture": "a convolutional network and a perceptron of another width, both ways",
    "sensor": "an encoder of spectra and one of pixels, with parallel anchors, both ways",
    "text_relative": "sentence vectors and latent semantic ones of the same texts, in cosines to the anchors",
    "text_absolute": "the same vectors as they are, of equal width",
}

_LAPTOP: dict[str, Any] = {
    "data": "mnist-5k",
    "test_share": 0.2,
    "hidden": 256,
    "dim": 64,
    "other_dim": 96,
    "anchors": 256,
    "batch": 128,
    "learning_rate": 1e-3,
    "epochs": 8,
    "epochs_autoencoder": 15,
    "texts": {"source": "wordnet", "fitted": 2000, "anchors": 200, "queries": 400, "dim": 384},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": _LAPTOP
    | {"data": "digits", "hidden": 64, "dim": 32, "other_dim": 48, "anchors": 80, "learning_rate": 5e-3}
    | {"epochs": 8, "epochs_autoencoder": 5}
    | {"texts": {"source": "digits", "fitted": 500, "anchors": 100, "queries": 200, "dim": 64}},
    "laptop": _LAPTOP,
    "paper": _LAPTOP
    | {"data": "mnist-idx", "dim": 256, "anchors": 500, "epochs": 10, "epochs_autoencoder": 60}
    | {"texts": {"source": "wordnet", "fitted": 20000, "anchors": 300, "queries": 19700, "dim": 384}},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "relative": {},
    "frozen": {"refresh": "frozen"},
    "anchors_4": {"anchors": 4},
    "anchors_16": {"anchors": 16},
    "anchors_64": {"anchors": 64},
    "angular": {"closeness": "angular"},
    "euclidean": {"closeness": "euclidean"},
    "kmeans": {"selection": "kmeans"},
    "furthest": {"selection": "fps"},
}
FIXED_SPLIT = 0
"""Seed of the division into training and test rows, the same for all runs."""


@dataclass(frozen=True)
class Task:
    """Pictures in [0, 1] as rows ``X`` and their spectra ``S``, labels ``y``; ``train`` and ``test`` row numbers."""

    X: torch.Tensor
    S: torch.Tensor
    y: torch.Tensor
    train: IntArray
    test: IntArray


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracy within runs and ``stitched`` across them, both ways; for two arms the same of autoencoders.

    ``jaccard``, ``mrr``, ``cka``: how the two spaces agree on test rows; ``mse_mean``: of the mean training picture.
    """
    check_choice(arm, "arm", list(ARMS))
    if arm.startswith("text_"):
        return _texts(arm, context.shared("spaces", lambda: _two_spaces(settings["texts"], seed, context)), settings)
    task = context.shared("task", lambda: _task(settings, context))
    lab = _Lab(task, settings, seed)
    if arm in {"shuffled", "procrustes"}:
        kind = "relative" if arm == "shuffled" else "absolute"
        models = context.shared(kind, lambda: lab.pair(kind))
        return {"stitched": lab.shuffled(models) if arm == "shuffled" else lab.aligned(models)}
    if arm in {"architecture", "sensor"}:
        first = context.shared("relative", lambda: lab.pair("relative"))[0]
        second = lab.classifier(1, net="conv") if arm == "architecture" else lab.classifier(1, spectra=True)
        inputs = [task.X, task.X if arm == "architecture" else task.S]
        return lab.accuracies([first, second], inputs)
    models = context.shared(arm, lambda: lab.pair(arm))
    figures = lab.accuracies(models, [task.X, task.X])
    if arm in {"relative", "absolute"}:
        figures |= lab.agreement(models) | lab.reconstruction(arm)
    return figures


def mechanism(record: Record) -> None:
    """Assert that stitching works in relative coordinates, and only with anchors that correspond and follow."""
    stitched = {
        arm: float(np.mean([row["stitched"] for row in runs.values()]))
        for arm, runs in record.figures().items()
        if not arm.startswith("text_")
    }
    for arm, gap in (("absolute", 0.3), ("shuffled", 0.3), ("frozen", 0.02)):
        assert stitched["relative"] > stitched[arm] + gap, f"stitched: relative against {arm}, {stitched}"
    for arm in ("architecture", "sensor", "procrustes"):
        assert stitched[arm] > stitched["absolute"] + 0.3, f"stitched: {arm} {stitched[arm]}, {stitched}"
    assert stitched["anchors_4"] < stitched["relative"], f"more anchors do not help: {stitched}"
    mrr = {arm: np.mean([row["mrr"] for row in record.figures()[f"text_{arm}"].values()]) for arm in _TEXT_ARMS}
    assert mrr["relative"] > mrr["absolute"], f"partners among the nearest texts: {mrr}"


_TEXT_ARMS = ("relative", "absolute")


@dataclass(frozen=True)
class _Lab:
    """Trains the models of one seed and measures them."""

    task: Task
    settings: Mapping[str, Any]
    seed: int

    def pair(self, arm: str) -> list[nn.Module]:
        """Return two classifiers that differ by their seed only."""
        if arm == "absolute":
            return [self.classifier(number, relative=False) for number in range(2)]
        return [self.classifier(number, **VARIANTS[arm]) for number in range(2)]

    def classifier(self, number: int, **options: Any) -> nn.Module:
        """Return a trained classifier of the digits; the options are those of ``_model``."""
        options = {"outputs": int(self.task.y.max()) + 1, **options}
        inputs = self.task.S if options.get("spectra") else self.task.X
        return self._trained(number, inputs, self.task.y, nn.functional.cross_entropy, options)

    def reconstruction(self, arm: str) -> dict[str, float]:
        """Return the squared error of two autoencoders, within runs and across them, and of the mean picture."""
        X, train = self.task.X, self.task.train
        options = {"outputs": X.shape[1], "relative": arm == "relative"}
        models = [self._trained(number, X, X, nn.functional.mse_loss, options) for number in range(2)]
        test = X[self.task.test]
        own, across = _own_and_across(stitching_matrix(models, test, test, metric="mse"))  # type: ignore[arg-type]
        mean = float((test - X[train].mean(0)).square().mean())
        return {"mse": own, "mse_stitched": across, "mse_mean": mean}

    def accuracies(self, models: list[nn.Module], inputs: list[torch.Tensor]) -> dict[str, float]:
        """Return test accuracy of the models, and of each one's encoder before the other's head."""
        test = self.task.test
        own, across = _own_and_across(stitching_matrix(models, [X[test] for X in inputs], self.task.y[test]))  # type: ignore[arg-type]
        return {"accuracy": own, "stitched": across}

    def agreement(self, models: list[nn.Module]) -> dict[str, float]:
        """Return how the two spaces agree on test rows, before any norm."""
        first, second = (self._encoded(model, self.task.X[self.task.test]) for model in models)
        found = latent_agreement(first, second)
        return {"jaccard": found.jaccard, "mrr": found.mrr, "cka": found.cka}

    def shuffled(self, models: list[nn.Module]) -> float:
        """Return the stitched accuracy when the encoder's columns come in another order than the head's."""
        m = len(models[0].anchors)  # type: ignore[arg-type]
        order = np.random.default_rng(derive_seed(self.seed, "shuffle")).permutation(m)
        return self._across(models, lambda own, other, vectors: vectors[:, order])

    def aligned(self, models: list[nn.Module]) -> float:
        """Return the stitched accuracy of absolute vectors after the best rotation of the pairs of anchors."""
        anchors = self.task.X[self._anchors(self.settings["anchors"], "stratified")]

        def rotated(own: nn.Module, other: nn.Module, vectors: FloatArray) -> FloatArray:
            source, target = self._encoded(own, anchors), self._encoded(other, anchors)
            rotation, total = orthogonal_procrustes(source - source.mean(0), target - target.mean(0))
            scale = total / np.square(source - source.mean(0)).sum()
            moved: FloatArray = scale * (vectors - source.mean(0)) @ rotation + target.mean(0)
            return moved

        return self._across(models, rotated)

    def _across(self, models: list[nn.Module], change: Any) -> float:
        rows, labels = self.task.X[self.task.test], self.task.y[self.task.test].numpy()
        scores = []
        for own, other in (models, models[::-1]):
            vectors = torch.from_numpy(change(own, other, self._encoded(own, rows)).astype(np.float32))
            with torch.inference_mode():
                scores.append(float((other.decode(vectors).argmax(1).numpy() == labels).mean()))  # type: ignore[operator]
        return float(np.mean(scores))

    def _encoded(self, model: nn.Module, rows: torch.Tensor) -> FloatArray:
        with torch.inference_mode():
            vectors: FloatArray = model.encode(rows).numpy()  # type: ignore[operator]
        return vectors

    def _anchors(self, m: int, selection: str) -> IntArray:
        """Return rows of the training set: chosen once, by the pixels, for every model of this seed."""
        train = self.task.train
        state = derive_seed(self.seed, "anchors") % 2**31
        options = {"y": self.task.y[train].numpy(), "random_state": state}
        if m < len(np.unique(options["y"])):  # type: ignore[call-overload]
            selection = "uniform"
        return train[select_anchors(self.task.X[train].numpy(), m, selection, **options)]  # type: ignore[arg-type]

    def _model(
        self,
        number: int,
        *,
        outputs: int,
        relative: bool = True,
        net: str = "mlp",
        spectra: bool = False,
        anchors: int = 0,
        selection: str = "stratified",
        closeness: str = "cosine",
        refresh: str = "each_step",
    ) -> nn.Module:
        hidden, dim = self.settings["hidden"], self.settings["other_dim" if net == "conv" else "dim"]
        inputs = self.task.S if spectra else self.task.X
        rows = self._anchors(anchors or self.settings["anchors"], selection)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.seed, "weights", number))
            widths = [inputs.shape[1], hidden, dim]
            encoder = _conv(inputs.shape[1], dim) if net == "conv" else mlp(widths, activation="gelu", norm=None)
            decoder = mlp([len(rows) if relative else dim, hidden, outputs], activation="gelu", norm=None)
            if not relative:
                return AbsoluteModel(encoder, decoder, width=dim)
            layer = RelativeLayer(closeness=closeness)
            return RelativeModel(encoder, decoder, inputs[rows], anchor_ids=rows, layer=layer, refresh=refresh)

    def _trained(self, number: int, inputs: torch.Tensor, targets: torch.Tensor, loss: Any, options: Any) -> nn.Module:
        model, train_rows = self._model(number, **options), self.task.train
        order = derive_seed(self.seed, "order", number)
        batches = ShuffledBatches(
            inputs[train_rows], targets[train_rows], batch_size=self.settings["batch"], seed=order
        )
        epochs = self.settings["epochs" if loss is nn.functional.cross_entropy else "epochs_autoencoder"]
        optimizer = torch.optim.Adam(model.parameters(), lr=self.settings["learning_rate"])

        def loss_step(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, dict[str, float]]:
            return loss(model(batch[0]), batch[1]), {}

        with one_thread():
            train(model, loss_step, batches, steps=epochs * batches.per_epoch, optimizer=optimizer, seed=order)
        return model.eval()


def _conv(pixels: int, dim: int) -> nn.Module:
    side = round(pixels**0.5)
    return nn.Sequential(
        nn.Unflatten(1, (1, side, side)),
        nn.Conv2d(1, 8, 5, stride=2, padding=2),
        nn.GELU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(16 * ((side + 3) // 4) ** 2, dim),
    )


def _own_and_across(table: FloatArray) -> tuple[float, float]:
    return float(np.diag(table).mean()), float(table[~np.eye(len(table), dtype=bool)].mean())


def _task(settings: Mapping[str, Any], context: Context) -> Task:
    if settings["data"] == "mnist-idx":
        root = context.benchmark_root("the four IDX files of MNIST or Fashion-MNIST")
        found = data.load("mnist-idx", root=root, progress=context.progress)
        held_out = np.asarray(found.attributes["split"]) == "test"
        train_rows, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    else:
        found = data.load(settings["data"], progress=context.progress)
        order = np.random.default_rng(FIXED_SPLIT).permutation(len(found))
        cut = round(settings["test_share"] * len(order))
        train_rows, test = np.sort(order[cut:]), np.sort(order[:cut])
    X = found.X.reshape(len(found), -1).astype(np.float32)
    X /= X.max()
    side = round(X.shape[1] ** 0.5)
    spectra = np.log1p(np.abs(np.fft.rfft2(X.reshape(-1, side, side)))).reshape(len(X), -1).astype(np.float32)
    spectra -= spectra[train_rows].mean(0)
    parts = (torch.from_numpy(part) for part in (X, spectra / spectra[train_rows].std(), found.y))
    return Task(*parts, train_rows, test)  # type: ignore[arg-type, call-arg]


def _two_spaces(texts: Mapping[str, Any], seed: int, context: Context) -> tuple[FloatArray, FloatArray]:
    """Return two spaces of the same items: texts by two encoders, or (smoke) digits, turned, stretched and blurred."""
    random = np.random.default_rng(derive_seed(seed, "texts"))
    if texts["source"] == "digits":
        X = random.permutation(data.load("digits").X)[: texts["fitted"]] - 8
        turn = np.linalg.qr(random.normal(size=(X.shape[1], X.shape[1])))[0]
        return X, 3 * X @ turn + random.normal(size=X.shape)
    from spaceform.nets.text import TextEncoder

    found = data.load("wordnet", progress=context.progress).X
    glosses = [str(found[row]) for row in random.permutation(len(found))[: texts["fitted"]]]
    kept = texts["anchors"] + texts["queries"]
    sentences = TextEncoder("minilm").encode(glosses[:kept], progress=context.progress)
    counts = TfidfVectorizer(sublinear_tf=True).fit_transform(glosses)
    return sentences, TruncatedSVD(texts["dim"], random_state=seed).fit(counts).transform(counts[:kept])


def _texts(arm: str, spaces: tuple[FloatArray, FloatArray], settings: Mapping[str, Any]) -> dict[str, float]:
    m = settings["texts"]["anchors"]
    rows = slice(m, m + settings["texts"]["queries"])
    first, second = (space[rows] for space in spaces)
    if arm == "text_relative":
        first, second = (RelativeProjection(anchors=np.arange(m)).fit(space).transform(space[rows]) for space in spaces)
    found = latent_agreement(first, second)
    return {"mrr": found.mrr, "jaccard": found.jaccard, "cosine": found.cosine, "cka": found.cka}
