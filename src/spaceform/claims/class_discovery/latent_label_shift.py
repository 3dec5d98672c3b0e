"""The claim of latent label shift: classes unlike within themselves are found from the shift between domains alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA

from spaceform.checks import check_choice
from spaceform.claims.class_discovery.latent_label_shift_data import Task, make_task
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.clustering.kmeans import assign_nearest, kmeans
from spaceform.methods.class_discovery.latent_label_shift import (
    EarlyStoppedClassifier,
    LatentLabelShift,
    domain_counts,
    factorize_domain_counts,
)
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

SLUG = "latent-label-shift"

ARMS = {
    "ddfa": "the whole method, classes that are unions of unlike ones, strong shift (alpha 0.5)",
    "ddfa_alpha_3": "the same with a weaker shift",
    "ddfa_alpha_10": "the same with a weak shift",
    "kmeans": "k-means on 32 principal components, class shares by counting",
    "kmeans_features": "k-means on the penultimate features of the discriminator",
    "pca_clusters": "ablation: clusters of principal components instead of q(d|x), then the same factorisation",
    "shuffled_domains": "control: domains shuffled among the rows",
    "ddfa_plain": "the whole method on classes that are not unions",
    "kmeans_plain": "k-means on these",
}

_SHARED: dict[str, Any] = {
    "alphas": [0.5, 3.0, 10.0],
    "clusters_per_class": 3,
    "components": 32,
    "n_init": 5,
    "multiples": [1, 2, 3, 5, 10],
    "net": "auto",
    "hidden": [256, 128],
    "dropout": 0.5,
    "learning_rate": 1e-3,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": _SHARED
    | {"data": "planted", "unions": True, "domains": 10, "conditions": [4.0, 4.0, 8.0]}
    | {"components": 8, "epochs": 20, "batch_size": 64, "n_init": 3}
    | {"hidden": [64], "dropout": 0.1, "learning_rate": 5e-3},
    "laptop": _SHARED
    | {"data": "mnist-5k", "unions": True, "domains": 10, "conditions": [4.0, 4.0, 8.0]}
    | {"epochs": 30, "batch_size": 64},
    # the paper's for random initialisation; conditions None: its own for each number of classes
    "paper": _SHARED
    | {"data": "folder", "unions": False, "domains": None, "conditions": None}
    | {"epochs": 100, "batch_size": 32},
}

_TRAINING = ("net", "hidden", "dropout", "learning_rate", "epochs", "batch_size")


@dataclass(frozen=True)
class Bench:
    """What the arms of one seed share."""

    seed: int
    settings: Mapping[str, Any]
    context: Context

    def task(self, alpha: int = 0, *, plain: bool = False) -> Task:
        """Return the rows with the shift ``alphas[alpha]``, once per seed."""
        make = partial(make_task, self.settings, self.seed, self.context, alpha=alpha, plain=plain)
        return self.context.shared(("task", alpha, plain), make)

    def fitted(self, alpha: int = 0, *, plain: bool = False) -> LatentLabelShift:
        """Return the method fitted to that task, once per seed."""
        task = self.task(alpha, plain=plain)
        return self.context.shared(("model", alpha, plain), lambda: self.fit(task, task.domains))

    def fit(self, task: Task, domains: IntArray) -> LatentLabelShift:
        """Fit the method; 1/8 of the rows stop the training of the discriminator, as the paper's validation part."""
        discriminator = EarlyStoppedClassifier(
            **{name: self.settings[name] for name in _TRAINING},
            standardize=False,
            random_state=derive_seed(self.seed, "discriminator") % 2**31,
        )
        model = LatentLabelShift(
            n_classes=task.n_classes,
            n_clusters=self.settings["clusters_per_class"] * task.n_classes,
            discriminator=discriminator,
            n_init=self.settings["n_init"],
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a shift is weak, or none, is what some arms show
            return model.fit(task.X, domains, progress=self.context.progress)

    def components(self, task: Task) -> tuple[FloatArray, FloatArray]:
        """Return principal components of the rows to learn from and of the test rows."""
        flat, test = task.X.reshape(len(task.X), -1), task.test_rows.reshape(len(task.test_rows), -1)
        pca = PCA(min(self.settings["components"], *flat.shape), random_state=self.seed).fit(flat)
        return pca.transform(flat), pca.transform(test)


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the Hungarian accuracy on test rows and the L1 error per entry of the class shares ``p_d(y)``."""
    check_choice(arm, "arm", list(ARMS))
    return _ARMS[arm](Bench(seed, settings, context))


def mechanism(record: Record) -> None:
    """Assert that the shift does the work: without it, or with less of it, fewer rows are told apart."""
    figures = record.figures()
    means = {arm: float(np.mean([row["accuracy"] for row in seeds.values()])) for arm, seeds in figures.items()}
    for other in ("shuffled_domains", "kmeans"):
        assert means["ddfa"] - means[other] >= 0.2, f"ddfa {means['ddfa']:.3f}, {other} {means[other]:.3f}"
    for other in ("pca_clusters", "ddfa_alpha_10"):
        assert means["ddfa"] > means[other], f"ddfa {means['ddfa']:.3f}, {other} {means[other]:.3f}"
    errors = {arm: np.mean([row["prior_error"] for row in figures[arm].values()]) for arm in ("ddfa", "kmeans")}
    assert errors["ddfa"] < errors["kmeans"] / 2, f"errors of the class shares: {errors}"


def score(task: Task, predicted: IntArray, prior: FloatArray) -> dict[str, float]:
    """Name the classes by the best matching on test rows and compare labels and shares ``(r, k)`` with the truth."""
    table = np.zeros((task.n_classes, task.n_classes))
    np.add.at(table, (task.test_y, predicted), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    error = np.abs(task.prior - prior[:, columns]).mean()
    return {"accuracy": float(table[rows, columns].sum() / table.sum()), "prior_error": float(error)}


def _ddfa(bench: Bench, alpha: int = 0, *, plain: bool = False) -> dict[str, float]:
    task, model = bench.task(alpha, plain=plain), bench.fitted(alpha, plain=plain)
    figures = score(task, model.predict(task.test_rows, task.test_domains), model.class_prior_)
    everywhere = score(task, model.predict(task.test_rows), model.class_prior_)
    return figures | {"accuracy_without_domain": everywhere["accuracy"]}


def _strong(bench: Bench) -> dict[str, float]:
    """Return the figures of the method, and those of its parts exchanged, on the same discriminator."""
    task, model = bench.task(), bench.fitted()
    features, test = model.transform(task.X), model.transform(task.test_rows)

    def changed(factor: int, factorizer: str, solver: str) -> float:
        other = LatentLabelShift(
            n_classes=task.n_classes,
            n_clusters=factor * task.n_classes,
            discriminator="precomputed",
            factorizer=factorizer,
            solver=solver,
            random_state=bench.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of empty classes, with many clusters
            other.fit(features, task.domains)
        return score(task, other.predict(test, task.test_domains), other.class_prior_)["accuracy"]

    usual, multiples = bench.settings["clusters_per_class"], bench.settings["multiples"]
    by_clusters = [changed(factor, "nmf", "nnls") for factor in multiples]
    bench.context.curve("ddfa", "accuracy by clusters per class", multiples, by_clusters)
    return _ddfa(bench) | {
        "accuracy_spa": changed(usual, "spa", "nnls"),
        "accuracy_pinv": changed(usual, "nmf", "pinv"),
        "best_epoch": float(model.discriminator_.best_epoch_),  # type: ignore[union-attr]
    }


def _clustered(bench: Bench, features: tuple[FloatArray, FloatArray], task: Task) -> dict[str, float]:
    found = kmeans(features[0], task.n_classes, n_init=10, random_state=bench.seed)
    shares = domain_counts(found.labels, task.domains, n_clusters=task.n_classes, n_domains=len(task.prior))
    return score(task, assign_nearest(features[1], found.centers)[0], shares.T)


def _kmeans(bench: Bench, *, plain: bool = False) -> dict[str, float]:
    task = bench.task(plain=plain)
    return _clustered(bench, bench.components(task), task)


def _kmeans_features(bench: Bench) -> dict[str, float]:
    task, network = bench.task(), bench.fitted().discriminator_
    return _clustered(bench, (network.transform(task.X), network.transform(task.test_rows)), task)  # type: ignore[union-attr]


def _pca_clusters(bench: Bench) -> dict[str, float]:
    task, (features, test) = bench.task(), bench.components(bench.task())
    m = bench.settings["clusters_per_class"] * task.n_classes
    found = kmeans(features, m, n_init=bench.settings["n_init"], random_state=bench.seed)
    counts = domain_counts(found.labels, task.domains, n_clusters=m, n_domains=len(task.prior))
    p_c_given_y, p_y_given_d = factorize_domain_counts(counts, task.n_classes, random_state=bench.seed)
    joint = p_c_given_y[assign_nearest(test, found.centers)[0]] * p_y_given_d.T[task.test_domains]
    return score(task, joint.argmax(1), p_y_given_d.T)


def _shuffled_domains(bench: Bench) -> dict[str, float]:
    task, rng = bench.task(), np.random.default_rng(derive_seed(bench.seed, "shuffle"))
    model = bench.fit(task, rng.permutation(task.domains))
    return score(task, model.predict(task.test_rows, rng.permutation(task.test_domains)), model.class_prior_)


_ARMS: dict[str, Callable[[Bench], dict[str, float]]] = {
    "ddfa": _strong,
    "ddfa_alpha_3": partial(_ddfa, alpha=1),
    "ddfa_alpha_10": partial(_ddfa, alpha=2),
    "kmeans": _kmeans,
    "kmeans_features": _kmeans_features,
    "pca_clusters": _pca_clusters,
    "shuffled_domains": _shuffled_domains,
    "ddfa_plain": partial(_ddfa, plain=True),
    "kmeans_plain": partial(_kmeans, plain=True),
}
