"""The claim of HypCD: with hyperbolic distances beside angles, features follow the tree of the classes better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from spaceform.checks import check_choice
from spaceform.claims.class_discovery.hypcd_data import Task, make_task
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.encoders.discovery.discoverer import AbstractDiscoverer
from spaceform.geometry.ball import PoincareBall
from spaceform.methods.class_discovery.hypcd import HypGCD, HypSimGCD, SemiSupervisedKMeans
from spaceform.metrics.clustering import split_cluster_accuracy
from spaceform.metrics.hierarchy.gromov import gromov_delta
from spaceform.metrics.hierarchy.tree_correlation import Pairwise, euclidean, mean_class_distances, tree_correlation
from spaceform.nets.mlp import mlp
from spaceform.rng import derive_seed
from spaceform.types import FloatArray

SLUG = "hypcd"

ARMS = {
    "kmeans": "semi-supervised k-means on the rows as they are",
    "cosine": "baseline GCD: angles alone (weight of distances 0)",
    "euclidean": "ablation: the same mixture with a Euclidean distance (curvature to 0)",
    "hyperbolic": "Hyp-GCD: the mixture with the hyperbolic distance",
    "parametric": "Hyp-SimGCD: features in the ball, hyperbolic linear classifier",
    "ceiling": "semi-supervised k-means on the signal itself, without nuisance and bend",
}

ROLES: dict[str, tuple[str, ...]] = {
    "kmeans": ("tree", "real"),
    "cosine": ("tree", "real", "star"),
    "euclidean": ("tree", "real"),
    "hyperbolic": ("tree", "real", "star"),
    "parametric": ("tree",),
    "ceiling": ("tree",),
}
"""The tasks of each arm."""

_SHARED: dict[str, Any] = {
    "branching": [3, 3, 3],
    "scales": [3.0, 1.8, 1.0],
    "rows_per_class": 50,
    "n_known": 14,
    "curvature": 0.1,
    "clip_radius": 2.0,
    "distance_weight": 1.0,
    "angle_temperatures": [0.3, 0.07],
    "hidden": [256, 256],
    "embedding_dim": 64,
    "head": [128, 16],
    "net": None,
    "epochs": {"tree": 60, "star": 60, "real": 15, "parametric": 60},
    "batch_size": 128,
    "learning_rate": 1e-3,
    "delta_rows": 300,
    "size": 224,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": _SHARED
    | {"real": "wide", "rows_per_class": 20, "hidden": [64], "embedding_dim": 32, "head": [64, 16]}
    | {"epochs": {"tree": 10, "star": 10, "real": 2, "parametric": 5}, "batch_size": 128, "learning_rate": 3e-3}
    | {"delta_rows": 60},
    "laptop": _SHARED | {"real": "emoji"},
    # the paper's for fine-grained sets; the backbone is what lies in root/backbone, else trained from scratch
    "paper": _SHARED
    | {"real": "folder", "curvature": 0.05, "clip_radius": 2.3, "angle_temperatures": [1.0, 0.07]}
    | {"embedding_dim": 768, "head": [2048, 2048, 256], "net": "auto", "delta_rows": 1500}
    | {"epochs": {"tree": 200, "star": 200, "real": 200, "parametric": 200}},
}


@dataclass(frozen=True)
class Bench:
    """One task of one seed."""

    role: str
    task: Task
    seed: int
    settings: Mapping[str, Any]
    context: Context

    @property
    def ball(self) -> PoincareBall:
        """The ball of the settings."""
        return PoincareBall(self.settings["curvature"])

    def options(self) -> dict[str, Any]:
        """Return what all trained arms share."""
        shared = ("distance_weight", "embedding_dim", "batch_size", "learning_rate")
        return {name: self.settings[name] for name in shared} | {
            "epochs": self.settings["epochs"][self.role],
            "n_novel": self.task.n_novel,
            "angle_temperatures": tuple(self.settings["angle_temperatures"]),
            "net": self.net(),
            "random_state": derive_seed(self.seed, "hypcd") % 2**31,
        }

    def net(self) -> Any:
        """Return the backbone: a perceptron, or at paper scale the pretrained one beside the pictures."""
        if self.settings["net"] is None or self.role != "real":
            return partial(_perceptron, hidden=tuple(self.settings["hidden"]))
        weights = None if self.context.root is None else self.context.root / "backbone"
        return f"transformers:{weights}" if weights is not None and weights.is_dir() else self.settings["net"]

    def gcd(self, **changed: Any) -> HypGCD:
        """Return Hyp-GCD, fitted, with some settings changed."""
        ball = {"curvature": self.settings["curvature"], "clip_radius": self.settings["clip_radius"]}
        options = self.options() | ball | {"head": tuple(self.settings["head"])} | changed
        return self.fitted(HypGCD(**options))

    def fitted(self, model: Any) -> Any:
        """Fit a model to the task."""
        task = self.task
        return model.fit(task.X, task.hidden, views=task.views, progress=self.context.progress)

    def accuracy(self, labels: np.ndarray) -> dict[str, float]:
        """Return the accuracy of all unlabelled rows, of old and of new classes, under one matching."""
        rows = self.task.split.unlabelled
        old = np.isin(self.task.y[rows], self.task.split.known)
        found = split_cluster_accuracy(self.task.y[rows], labels[rows], old)
        return {"all": found.all, "old": found.old, "new": found.new}

    def order(self, points: FloatArray, pairwise: Pairwise) -> dict[str, float]:
        """Return how well mean distances of classes follow the tree (new classes, and all), and how tree-like they are.

        Labels of no row are needed for the delta, and only to judge for the rest.
        """
        task = self.task
        few = np.random.default_rng(derive_seed(self.seed, "delta")).permutation(len(points))
        few = np.sort(few[: self.settings["delta_rows"]])
        some = points[few].astype(np.float64)
        between = pairwise(some, some)
        np.fill_diagonal(between, 0)
        rows = np.isin(task.y, task.split.novel)
        apart = mean_class_distances(points[rows].astype(np.float64), task.y[rows], len(task.distances), pairwise)
        novel = np.ix_(task.split.novel, task.split.novel)
        everywhere = mean_class_distances(points.astype(np.float64), task.y, len(task.distances), pairwise)
        return {
            "delta": gromov_delta((between + between.T) / 2),
            "tree_new": tree_correlation(apart[novel], task.distances[novel]),
            "tree_all": tree_correlation(everywhere, task.distances),
        }

    def judge(self, model: AbstractDiscoverer, pairwise: Pairwise) -> dict[str, float]:
        """Return all figures of a trained model; distances are those that its loss compares."""
        points = model.points(self.task.X)
        radii = np.linalg.norm(points, axis=1)
        figures = self.accuracy(model.labels_) | self.order(points, pairwise)
        features = self.order(model.transform(self.task.X), euclidean)
        figures |= {f"features_{name}": value for name, value in features.items() if name != "delta"}
        return figures | {"radius_mean": float(radii.mean()), "radius_spread": float(radii.std())}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracies and correlations with the class tree, prefixed by the task: "tree" and "star" are generated,
    "real" is emoji, described in words, or the user's pictures.

    ``<task>_all``, ``_old``, ``_new``: accuracy of unlabelled rows under one matching. ``<task>_tree_new``,
    ``_tree_all``: Spearman's correlation of mean distances of classes in the space of the loss with those in the tree;
    ``_features_tree_new``: of the features instead. ``<task>_delta``: relative Gromov hyperbolicity.
    """
    check_choice(arm, "arm", list(ARMS))
    figures: dict[str, float] = {}
    for role in ROLES[arm]:
        name = settings["real"] if role == "real" else role
        task = context.shared(("task", name), partial(make_task, name, settings, seed, context))
        found = _ARMS[arm](Bench(role, task, seed, settings, context))
        figures |= {f"{role}_{metric}": value for metric, value in found.items()}
    return figures


def mechanism(record: Record) -> None:
    """Assert that the ball follows the tree, where there is one, and is more tree-like than angles, at no loss."""
    figures = record.figures()

    def mean(arm: str, metric: str) -> float:
        return float(np.mean([row[metric] for row in figures[arm].values()]))

    ours, angles = (mean(arm, "tree_tree_new") for arm in ("hyperbolic", "cosine"))
    assert ours - angles >= -0.03, f"correlation with the tree, new classes: {ours:.3f}, by angles {angles:.3f}"
    star = mean("hyperbolic", "star_tree_all")
    assert mean("hyperbolic", "tree_tree_all") - star >= 0.3, f"without a tree the order is still there: {star:.3f}"
    deltas = [mean(arm, "tree_delta") for arm in ("hyperbolic", "cosine")]
    assert deltas[0] < deltas[1], f"hyperbolicity of the ball and of the sphere: {deltas}"
    lost = mean("cosine", "tree_all") - mean("hyperbolic", "tree_all")
    assert lost <= 0.1, f"accuracy lost: {lost:.3f}"
    assert mean("hyperbolic", "tree_radius_spread") > 1e-3, "all points at one radius: there is no hierarchy left"


def _kmeans(bench: Bench) -> dict[str, float]:
    return _clustered(bench, bench.task.X.reshape(len(bench.task.X), -1).astype(np.float32))


def _ceiling(bench: Bench) -> dict[str, float]:
    best = bench.task.best
    return {} if best is None else _clustered(bench, best)


def _clustered(bench: Bench, rows: FloatArray) -> dict[str, float]:
    model = SemiSupervisedKMeans(n_novel=bench.task.n_novel, random_state=bench.seed)
    return bench.accuracy(model.fit(rows, bench.task.hidden).labels_) | bench.order(rows, euclidean)


def _cosine(bench: Bench) -> dict[str, float]:
    return bench.judge(bench.gcd(distance_weight=0.0), _angle)


def _euclidean(bench: Bench) -> dict[str, float]:
    return bench.judge(bench.gcd(curvature=None), euclidean)


def _hyperbolic(bench: Bench) -> dict[str, float]:
    return bench.judge(bench.gcd(), bench.ball.pairwise_distance)


def _parametric(bench: Bench) -> dict[str, float]:
    ball = {"curvature": bench.settings["curvature"], "clip_radius": bench.settings["clip_radius"]}
    options = bench.options() | ball | {"epochs": bench.settings["epochs"]["parametric"]}
    return bench.judge(bench.fitted(HypSimGCD(**options)), bench.ball.pairwise_distance)


def _angle(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return angles ``(n, m)``, the distances on the sphere that the cosine stands for."""
    unit, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (A, B))
    return np.arccos(np.clip(unit @ other.T, -1, 1))


def _perceptron(shape: tuple[int, ...], dim: int, *, hidden: tuple[int, ...]) -> nn.Module:
    return mlp([shape[0], *hidden, dim], norm=None)


_ARMS: dict[str, Callable[[Bench], dict[str, float]]] = {
    "kmeans": _kmeans,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "hyperbolic": _hyperbolic,
    "parametric": _parametric,
    "ceiling": _ceiling,
}
