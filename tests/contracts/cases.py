"""How the contract suites build each class cheaply, and on what.

One case per class that the package walk finds; ``test_estimators`` and ``test_losses`` fail for a class without one.
Classes of the lower layers have theirs here; a method has its own in its test file, as ``CONTRACT_CASES``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


def blobs(seed: int = 0, *, classes: int = 4, rows: int = 12, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return ``classes * rows`` rows around far centres, shuffled, and their labels; no row is zero."""
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), rows)
    centers = 6 * generator.normal(size=(classes, width))
    X = centers[y] + generator.normal(size=(len(y), width))
    order = generator.permutation(len(y))
    return X[order], y[order]


def full_labels(y: np.ndarray) -> np.ndarray:
    """Every row has its label."""
    return y


def partial_labels(y: np.ndarray) -> np.ndarray:
    """The upper half of the classes is unlabelled: -1."""
    return np.where(y > y.max() // 2, -1, y)


def quarter_labels(y: np.ndarray) -> np.ndarray:
    """The last class is unlabelled: -1."""
    return np.where(y == y.max(), -1, y)


def no_labels(y: np.ndarray) -> None:
    """The estimator takes no labels."""


@dataclass(frozen=True)
class EstimatorCase:
    """Settings that make a fit take milliseconds, and what the estimator wants.

    ``required``: the names among ``settings`` that have no default. ``transductive``: predictions may depend on the
    other rows. ``tolerance``: how far float32 and float64 input may lie apart. ``make`` builds settings that are
    objects, afresh for every instance.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: Callable[[np.ndarray], np.ndarray | None] = no_labels
    required: tuple[str, ...] = ()
    transductive: bool = False
    tolerance: float = 1e-3
    make: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class LossCase:
    """Settings of a loss, without random choices, because the gradient is compared with differences of values.

    ``make`` builds settings that are objects, afresh for every instance. ``class_vectors``: the loss compares rows
    with a learned vector per class, so labels are indices, one row is enough, and a second set is refused.
    ``ordered``: which rows make the pairs is said by their order.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[], Mapping[str, Any]] = dict
    class_vectors: bool = False
    ordered: bool = False


CLASSES = LossCase({"n_classes": 4, "width": 5}, class_vectors=True)


def _all_triplets() -> dict[str, Any]:
    from spaceform.ops.triplets import Mining

    return {"mining": Mining(strategy="all")}


def _two_losses() -> dict[str, Any]:
    from spaceform.losses.supcon import SupConLoss
    from spaceform.losses.triplet import TripletLoss

    return {"losses": [TripletLoss(**_all_triplets()), SupConLoss()], "weights": [1.0, 0.5]}


def _search() -> dict[str, Any]:
    from spaceform.clustering.hidden_classes import HiddenClassSplit
    from spaceform.clustering.ncd import NCDKMeans

    return {
        "estimator": NCDKMeans(n_novel=2, n_init=1, random_state=0),
        "param_distributions": {"init_power": [1.0, 2.0]},
        "cv": HiddenClassSplit(n_hidden=1, n_splits=2, random_state=0),
    }


def declared(folder: Path) -> dict[str, Any]:
    """Return the cases that the tests of methods declare. Only files that declare some are imported."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("test_*.py")):
        if "\nCONTRACT_CASES = " in path.read_text(encoding="utf-8"):
            spec = importlib.util.spec_from_file_location(f"cases_of_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found |= module.CONTRACT_CASES
    return found


_DECLARED = declared(Path(__file__).resolve().parents[1] / "methods")

ESTIMATORS: dict[str, EstimatorCase] = {
    "NCDKMeans": EstimatorCase({"n_novel": 2, "n_init": 2, "random_state": 0}, partial_labels),
    "NCDSpectralClustering": EstimatorCase(
        {"n_novel": 2, "n_init": 2, "random_state": 0}, partial_labels, transductive=True
    ),
    "LokiClassifier": EstimatorCase({"random_state": 0}, full_labels),
    "AgglomerativeThreshold": EstimatorCase({"threshold": 0.5}),
    "ByteEmbedding": EstimatorCase(),
    "FaceNet": EstimatorCase(
        {"embedding_dim": 4, "classes_per_batch": 2, "samples_per_class": 2, "steps": 2}, full_labels
    ),
    "MetricLearner": EstimatorCase(
        {"embedding_dim": 4, "classes_per_batch": 2, "samples_per_class": 2, "steps": 2}, full_labels
    ),
    "StudentClassifier": EstimatorCase({"embedding_dim": 4, "steps": 3, "batch_size": 16}, full_labels),
    "ClassSeparability": EstimatorCase({"n_subsample": 24, "n_repeats": 2, "random_state": 0}),
    "PBNClassifierDiscovery": EstimatorCase({"n_novel": 2, "epochs": 2, "random_state": 0}, partial_labels),
    "HiddenClassSearchCV": EstimatorCase({"n_iter": 1, "random_state": 0}, partial_labels, make=_search),
} | {name: case for name, case in _DECLARED.items() if isinstance(case, EstimatorCase)}

LOSSES: dict[str, LossCase] = {
    "TripletLoss": LossCase(make=_all_triplets),
    "WeightedSum": LossCase(make=_two_losses),
    "CircleLoss": LossCase({"fixed_weights": False}),
    "NPairLoss": LossCase(ordered=True),
    **dict.fromkeys(("BinomialDevianceLoss", "ContrastiveLoss", "InfoNCELoss"), LossCase()),
    **dict.fromkeys(("GeneralizedLiftedLoss", "LiftedStructureLoss", "MultiSimilarityLoss", "SupConLoss"), LossCase()),
    **dict.fromkeys(("NormalizedSoftmaxLoss", "CosFaceLoss", "ArcFaceLoss", "LinearSoftmaxLoss"), CLASSES),
    **dict.fromkeys(("ProxyNCALoss", "ProxyAnchorLoss", "SoftTripleLoss"), CLASSES),
} | {name: case for name, case in _DECLARED.items() if isinstance(case, LossCase)}

OTHER_CONTRACTS: dict[str, str] = {
    "EnergyConfusion": "a term against the loss it is added to: it needs no positives and draws classes together",
    "CrossBatchMemory": "remembers earlier batches: two calls differ on purpose, and the memory is the second set",
}
"""Modules called with embeddings and labels that are no losses over one batch, each with what they are instead."""
