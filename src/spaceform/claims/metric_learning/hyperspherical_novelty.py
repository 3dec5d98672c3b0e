"""Hyperspherical novelty: do classes added by one vector each compete on equal terms with those that were trained?

A backbone is trained on base classes with each loss, by the same steps. Novel classes are then added from a few
supports and nothing is trained again. *Joint*: held-out rows of all classes are answered among all classes.
*Disjoint*: those of novel classes are answered among the novel ones. Beside it, the tutorial of the first author's
package: a linear embedding of MNIST digits, a pair of which is novel, and clothes answered by features of digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spaceform.claims.context import Context
from spaceform.claims.metric_learning.hyperspherical_novelty_data import Task, digit_tasks, foreign_pair, make_task
from spaceform.claims.metric_learning.hyperspherical_novelty_training import Trained, fit
from spaceform.claims.record import Record
from spaceform.methods.metric_learning.hyperspherical_novelty import NovelClassClassifier
from spaceform.metrics.joint import joint_accuracy
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray, no_progress

SLUG = "hyperspherical-novelty"

ARMS = {
    "nsl": "normalised softmax; a novel class is the mean direction of its supports beside the learned vectors",
    "nsl_means": "the same features; base classes are mean directions of their training rows too",
    "softmax_imprint": "plain softmax with bias; a novel row is the raw mean of its supports",
    "softmax_cosine": "the features of plain softmax; every class is a mean direction",
    "triplet": "triplet loss with semi-hard mining; every class is a mean direction",
    "contrastive": "contrastive loss over all pairs; every class is a mean direction",
    "raw_features": "ablation: rows of any length in training",
    "raw_weights": "ablation: class vectors of any length, novel ones the mean of unit rows",
    "unit_scale": "ablation: scale 1",
    "shuffled": "control: the supports of novel classes dealt out at random",
}

_KIND = {"nsl_means": "nsl", "shuffled": "nsl", "softmax_imprint": "softmax", "softmax_cosine": "softmax"}
"""The loss of an arm that shares its network with another; the others are named as their loss."""

_LEARNED = {"nsl", "raw_features", "raw_weights", "unit_scale", "shuffled", "softmax_imprint"}
"""Arms whose base classes keep their learned rows."""

_JOINT = ("base", "novel", "overall", "harmonic")

_LOSSES = ("nsl", "softmax", "raw_features", "raw_weights", "unit_scale", "triplet", "contrastive")
_RATES = dict.fromkeys(_LOSSES, 3e-3)
_CHOSEN = {
    **dict.fromkeys(_LOSSES, 1e-2),
    "raw_weights": 1e-3,
    "unit_scale": 1e-3,
    "triplet": 1e-3,
    "contrastive": 3e-3,
}
_DIGITS = {
    "data": "mnist-5k",
    "net": "linear",
    "dim": 60,
    "scale": 10.0,
    "batch": 32,
    "classes": 8,
    "samples": 4,
    "epochs": 2,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "digits",
        "held_out": 0.4,
        "n_base": 7,
        "shots": [1, 5],
        "draws": 5,
        "backbone": {
            **_DIGITS,
            "net": "mlp",
            "dim": 32,
            "batch": 64,
            "samples": 8,
            "epochs": 6,
            "learning_rates": _RATES,
        },
        "digits": {**_DIGITS, "data": "digits", "learning_rates": _RATES},
    },
    "laptop": {
        "data": "glyphs",
        "split": "test",
        "train_fonts": 300,
        "test_fonts": 164,
        "held_out": 0.0,
        "n_base": 26,
        "shots": [1, 5, 20],
        "draws": 10,
        "backbone": {
            "net": "conv:0.25",
            "dim": 64,
            "scale": 10.0,
            "batch": 128,
            "classes": 16,
            "samples": 8,
            "epochs": 4,
            "learning_rates": _CHOSEN,
        },
        "digits": {**_DIGITS, "learning_rates": _RATES},
    },
    "paper": {
        "data": "benchmark",
        "held_out": 0.0,
        "n_base": None,
        "size": 64,
        "shots": [1, 5, 20],
        "draws": 20,
        "backbone": {
            "net": "conv:2",
            "dim": 128,
            "scale": 10.0,
            "batch": 128,
            "classes": 16,
            "samples": 8,
            "epochs": 60,
            "learning_rates": _RATES,
        },
        "digits": {**_DIGITS, "learning_rates": _RATES},
    },
}
"""The laptop's learning rates of glyphs were chosen on validation typefaces, each loss among the same three."""


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return what one arm answers with 1, 5, 20 (``shots``) and all supports per novel class, means over draws.

    ``base_k``, ``novel_k``, ``overall_k``, ``harmonic_k``: joint accuracies; ``pull_k``: how far the share of rows
    answered with a novel class is from the true share; ``disjoint_k``; ``base_before``: base rows among base
    classes; ``length_ratio``: mean length of novel over base class rows, where both are compared by length;
    ``seconds_per_epoch`` of processor time. ``digits_*`` over pairs of novel digits, ``tutorial_*`` for 8
    and 9, and ``foreign``: two classes of other pictures by features of digits.
    """
    kind = _KIND.get(arm, arm)
    task = context.shared("task", lambda: make_task(settings, seed, context))

    def made() -> tuple[Trained, FloatArray]:
        trained = fit(kind, task, settings["backbone"], seed=derive_seed(seed, "net"), progress=context.progress)
        return trained, trained.embed(task.X)

    trained, rows = context.shared(("trained", kind), made)
    figures = {"seconds_per_epoch": trained.seconds, "loss": trained.loss}
    figures |= _answers(arm, task, trained, rows, settings=settings, seed=seed)
    curve = [figures[f"harmonic_{shots}"] for shots in settings["shots"]]
    context.curve(arm, "harmonic mean by supports", settings["shots"], curve)
    return figures | _digits(arm, seed, settings, context)


def mechanism(record: Record) -> None:
    """Assert that trained and added classes are on one scale, and that the supports make the added ones."""
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    told = ", ".join(f"{arm} {m['harmonic_5']:.3f} (pull {m['pull_5']:.3f})" for arm, m in mean.items())
    assert mean["nsl"]["harmonic_5"] > 0.4, f"nothing was learned: {told}"
    assert mean["nsl"]["pull_5"] < mean["softmax_imprint"]["pull_5"], f"no common scale: {told}"
    assert mean["nsl"]["harmonic_5"] > mean["unit_scale"]["harmonic_5"], f"the scale does nothing: {told}"
    assert mean["nsl"]["novel_5"] > mean["shuffled"]["novel_5"] + 0.2, f"supports do nothing: {told}"
    assert abs(mean["nsl"]["length_ratio"] - 1) < 1e-5, f"vectors of several lengths: {mean['nsl']['length_ratio']}"


def _answers(
    arm: str, task: Task, trained: Trained, rows: FloatArray, *, settings: Mapping[str, Any], seed: int
) -> dict[str, float]:
    split, vectors = task.split, _base_rows(arm, task, trained, rows)
    features = l2_normalize(rows) if arm != "softmax_imprint" else rows
    known = split.joint[np.isin(task.y[split.joint], split.base)]
    figures = {"base_before": float((split.base[_best(features[known], *vectors)] == task.y[known]).mean())}
    for shots in [*settings["shots"], "all"]:
        found: list[dict[str, float]] = []
        for draw in range(1 if shots == "all" else settings["draws"]):
            key = derive_seed(seed, "draw", draw)
            supports = split.support if shots == "all" else split.draw(task.y, shots, seed=key).ravel()
            labels = task.y[supports]
            if arm == "shuffled":
                labels = np.random.default_rng(derive_seed(key, "shuffle")).permutation(labels)
            found.append(_judge(features, vectors, _novel_rows(arm, task, rows[supports], labels), task))
        figures |= {f"{name}_{shots}": float(np.mean([one[name] for one in found])) for name in found[0]}
    return figures | {"length_ratio": found[-1]["length_ratio"]}


def _base_rows(arm: str, task: Task, trained: Trained, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rows and biases of the base classes: learned, or mean directions of the training rows."""
    if arm in _LEARNED:
        return trained.weight, trained.bias
    means = NovelClassClassifier().fit(rows[task.split.train], task.y[task.split.train]).weights_
    return means, np.zeros(len(means))


def _novel_rows(arm: str, task: Task, supports: FloatArray, labels: IntArray) -> FloatArray:
    """Return a row for each novel class from its supports."""
    if arm == "softmax_imprint":
        return np.stack([supports[labels == label].mean(0) for label in task.split.novel])
    model = NovelClassClassifier().fit(supports, labels)
    return model.weights_ * model.concentration_[:, None] if arm == "raw_weights" else model.weights_


def _judge(
    features: FloatArray, vectors: tuple[FloatArray, FloatArray], novel: FloatArray, task: Task
) -> dict[str, float]:
    split, weight = task.split, np.concatenate([vectors[0], novel])
    bias, names = np.append(vectors[1], np.zeros(len(novel))), np.concatenate([split.base, split.novel])
    true, answered = task.y[split.joint], names[_best(features[split.joint], weight, bias)]
    share = np.isin(answered, split.novel).mean() - np.isin(true, split.novel).mean()
    alone = split.novel[_best(features[split.disjoint], novel, np.zeros(len(novel)))] == task.y[split.disjoint]
    lengths = [float(np.linalg.norm(side, axis=1).mean()) for side in (novel, vectors[0])]
    more = {"pull": float(abs(share)), "disjoint": float(alone.mean()), "length_ratio": lengths[0] / lengths[1]}
    return joint_accuracy(true, answered, split.base).to_dict() | more


def _best(rows: FloatArray, weight: FloatArray, bias: FloatArray) -> IntArray:
    return (rows @ weight.T + bias).argmax(1)


def _digits(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the tutorial's figures: joint accuracies over pairs of novel digits, and those of other pictures."""
    kind, options = _KIND.get(arm, arm), settings["digits"]
    tasks = context.shared("digits", lambda: digit_tasks(options["data"], seed, context))

    def made() -> list[tuple[Trained, FloatArray]]:
        key = derive_seed(seed, "digits")
        fitted = [fit(kind, task, options, seed=key, progress=no_progress) for task in tasks]
        return [(one, one.embed(task.X)) for one, task in zip(fitted, tasks, strict=True)]

    trained = context.shared(("digits", kind), made)
    plain = {"shots": [], "draws": 1}
    found = [_answers(arm, task, *one, settings=plain, seed=seed) for task, one in zip(tasks, trained, strict=True)]
    figures = {f"digits_{name}": float(np.mean([one[f"{name}_all"] for one in found])) for name in _JOINT}
    figures |= {f"tutorial_{name}": found[0][f"{name}_all"] for name in _JOINT}
    X, y, test = context.shared("foreign", lambda: foreign_pair(options["data"], context))
    features = trained[0][0].embed(X)
    model = NovelClassClassifier().fit(features[~test], y[~test])
    more = {"tutorial_base_before": found[0]["base_before"], "foreign": float(model.score(features[test], y[test]))}
    return figures | more
