"""Class separability: does an unlabelled score follow Fisher's ratio, and does its plateau say when to stop training?

(a) Gaussian mixtures whose classes move apart: rank correlation of each monitor with Fisher's ratio. (b) A network is
trained, each monitor sees the embeddings of the same unlabelled rows after every epoch, and one stopping rule is
applied to all of them; what stopping there costs is read off test rows that no monitor sees. The k-means
baselines are told the number of classes, which the score is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from spaceform.claims.context import Context
from spaceform.claims.diagnostics.class_separability_training import Epochs, train_on_digits, train_on_texts
from spaceform.claims.record import Record
from spaceform.clustering import indices
from spaceform.clustering.kmeans import kmeans
from spaceform.methods.diagnostics.class_separability import SeparabilityMonitor, h0_persistence, persistence_score
from spaceform.metrics.persistence import column_shuffled
from spaceform.metrics.separability import fisher_ratio
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed
from spaceform.training.separability_monitor import PlateauRule
from spaceform.types import FloatArray

SLUG = "class-separability"

ARMS = {
    "h0": "mean normalised lifetime of unit rows, network with a normalising layer",
    "no_layer_norm": "the same score on raw rows of a network without a normalising layer",
    "raw_lifetimes": "lifetimes of raw rows, not divided by the longest",
    "column_shuffled": "the score of a copy whose columns are shuffled: same marginals, no clusters",
    "kmeans_silhouette": "silhouette of k-means clusters, the number of classes given",
    "calinski_harabasz": "Calinski-Harabasz index of k-means clusters, the number of classes given",
    "labelled_oracle": "accuracy on labelled validation rows; keeps the best epoch",
    "fixed_budget": "trains for all epochs and keeps the last",
}
MONITORS = [arm for arm in ARMS if arm not in {"labelled_oracle", "fixed_budget"}]

_SYNTHETIC = {"gaps": [0, 0.5, 1, 2, 4, 8], "dims": [2, 16, 128], "n_classes": [2, 5, 10], "rows": 400, "draws": 5}
_NETWORK = {"validation_rows": 100, "text": False, "max_tokens": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        **_SYNTHETIC,
        **_NETWORK,
        "dims": [128],
        "n_classes": [5],
        "rows": 120,
        "draws": 2,
        "data": "digits",
        "widths": [64, 32],
        "train_rows": 300,
        "watched_rows": 200,
        "epochs": 12,
        "batch_size": 32,
        "learning_rate": 1e-3,
    },
    "laptop": {
        **_SYNTHETIC,
        **_NETWORK,
        "data": "mnist-5k",
        "widths": [128, 64],
        "train_rows": 500,
        "watched_rows": 500,
        "epochs": 40,
        "batch_size": 32,
        "learning_rate": 3e-4,
    },
    "paper": {
        **_SYNTHETIC,
        "validation_rows": 100,
        "text": True,
        "max_tokens": 128,
        "data": "texts",
        "widths": [],
        "train_rows": 0,
        "watched_rows": 2000,
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 2e-5,
    },
}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return ``accuracy_at_stop``, ``best_accuracy``, ``stopping_loss``, ``stop_epoch`` and how a monitor follows.

    The last are ``tracking`` (rank correlation with accuracy over the epochs), ``fall`` (of the score from the first
    epoch to the last, as a share of the first), ``correlation_d<dim>`` (with Fisher's ratio, mean over numbers of
    classes) and ``drop_d<dim>`` (score at gap 0 less score at the widest). Scores are turned so that smaller means
    more separated.
    """
    epochs = _epochs(arm, seed, settings, context)
    accuracy = np.array(epochs.accuracy)
    context.curve(arm, "accuracy", range(1, len(accuracy) + 1), epochs.accuracy)
    figures = {}
    if arm == "fixed_budget":
        stop = len(accuracy)
    elif arm == "labelled_oracle":
        stop = int(np.argmax(epochs.validation)) + 1
    else:
        scores = [_score(arm, Z, epochs.n_classes, derive_seed(seed, "shuffle")) for Z in epochs.embeddings]
        context.curve(arm, "score", range(1, len(scores) + 1), scores)
        stop = _stop(arm, scores, epochs)
        figures = {"tracking": -_rank_correlation(scores, accuracy), "fall": (scores[0] - scores[-1]) / abs(scores[0])}
        figures |= _synthetic(arm, seed, settings)
    return figures | {
        "accuracy_at_stop": float(accuracy[stop - 1]),
        "best_accuracy": float(accuracy.max()),
        "stopping_loss": float(accuracy.max() - accuracy[stop - 1]),
        "stop_epoch": float(stop),
    }


def mechanism(record: Record) -> None:
    """Assert that the score falls as classes part, and that a column-shuffled copy does not show the fall."""
    figures = record.figures()
    for seed, ours in figures["h0"].items():
        theirs = figures["column_shuffled"][seed]
        said = f"seed {seed}: {ours}, shuffled {theirs}"
        assert ours["correlation_d128"] > 0.7, said
        assert ours["drop_d128"] > theirs["drop_d128"] + 0.3, said
        assert ours["fall"] > theirs["fall"] + 0.05, said


def _epochs(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> Epochs:
    layer_norm = arm != "no_layer_norm"
    train = train_on_texts if settings["text"] else train_on_digits
    return context.shared(("epochs", layer_norm), lambda: train(seed, settings, context, layer_norm=layer_norm))


def _stop(arm: str, scores: list[float], epochs: Epochs) -> int:
    """Epoch at which the rule stops, the last one if it never does."""
    if arm == "h0":
        monitor = SeparabilityMonitor()
        for Z in epochs.embeddings:
            if monitor.update(Z).stop:
                return monitor.best_epoch_
    return PlateauRule().first(scores) or len(scores)


def _score(arm: str, Z: FloatArray, n_classes: int, seed: int) -> float:
    """Return the monitor's score, turned so that smaller means more separated."""
    rows = Z.astype(np.float64)
    if arm == "raw_lifetimes":
        return persistence_score(h0_persistence(rows), normalize=False)
    if arm == "no_layer_norm":
        return persistence_score(h0_persistence(rows))
    rows = l2_normalize(rows)
    if arm in {"h0", "column_shuffled"}:
        return persistence_score(h0_persistence(column_shuffled(rows, seed) if arm == "column_shuffled" else rows))
    labels = kmeans(rows, n_classes, n_init=3, random_state=seed).labels
    if arm == "kmeans_silhouette":
        return -indices.silhouette(indices.distance_matrix(rows), labels)
    return -indices.calinski_harabasz(rows, labels)


def _synthetic(arm: str, seed: int, settings: Mapping[str, Any]) -> dict[str, float]:
    figures = {}
    for d in settings["dims"]:
        correlations, drops = [], []
        for n_classes in settings["n_classes"]:
            ratios, scores = [], []
            for draw in range(settings["draws"]):
                for gap in settings["gaps"]:
                    random = np.random.default_rng(derive_seed(seed, "mixture", d, n_classes, draw, str(gap)))
                    means = l2_normalize(random.normal(size=(n_classes, d))) * gap * np.sqrt(d) / 2
                    y = np.arange(settings["rows"]) % n_classes
                    X = means[y] + random.normal(size=(len(y), d))
                    ratios.append(fisher_ratio(X, y))
                    scores.append(_score(arm, X, n_classes, derive_seed(seed, "shuffle", draw)))
            by_gap = np.reshape(scores, (settings["draws"], -1)).mean(0)
            correlations.append(-_rank_correlation(scores, ratios))
            drops.append(by_gap[0] - by_gap[-1])
        figures[f"correlation_d{d}"] = float(np.mean(correlations))
        figures[f"drop_d{d}"] = float(np.mean(drops))
    return figures


def _rank_correlation(scores: list[float], others: Any) -> float:
    """Spearman's correlation; 0 for a constant, which follows nothing."""
    return float(spearmanr(scores, others).statistic) if np.ptp(scores) > 0 and np.ptp(others) > 0 else 0.0
