"""Loki's claim: over all classes of a taxonomy the Frechet rule errs less far than argmax over the few trained ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier

from spaceform.checks import check_choice
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.data.layouts.benchmarks.taxonomies import load_labelled_taxonomy
from spaceform.data.taxonomies import LabelledTaxonomy, random_labelled_tree, synthetic_taxonomy, wordnet_taxonomy
from spaceform.geometry.locus import locus
from spaceform.methods.transfer.loki import LokiClassifier, NextClassSelector
from spaceform.rng import derive_seed
from spaceform.samplers.concentrated import draw_classes
from spaceform.types import FloatArray, IntArray

SLUG = "loki"

ARMS = {
    "argmax": "the most probable observed class of the base model",
    "loki": "Frechet mean of the probabilities over all classes",
    "restricted": "ablation: Frechet mean over the observed classes only",
    "permuted": "control: Loki with the classes of the metric shuffled",
    "constant": "one answer for all rows: the Frechet mean of the observed classes, equally weighted",
    "logistic_argmax": "argmax of an under-confident multinomial logistic regression, most classes observed",
    "logistic_loki": "Loki on it as it is: the limit of uncalibrated probabilities",
    "logistic_calibrated": "Loki on it with a temperature fitted on held-out training rows",
    "furthest": "theory: locus of random trees as the label furthest from the locus is observed next",
    "random": "theory: the same with random labels outside the locus",
    "concentrated": "theory: locus of 30 classes drawn around the centre of the tree, for growing concentration",
}

_THEORY = {"trees": 20, "labels": 100, "start": 5, "picks": [5, 10, 20, 30], "drawn": 30, "theta": [0, 1, 4]}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "source": "synthetic",
        "labels": 130,
        "rows_per_label": 12,
        "model": "neighbours",
        "observed": [10, 30, 60, 100],
        "logistic_at": 20,
        "theory": _THEORY | {"trees": 4},
    },
    "laptop": {
        "source": "wordnet",
        "root": "animal",
        "least_descendants": 20,
        "model": "neighbours",
        "observed": [10, 30, 60, 100],
        "logistic_at": 100,
        "theory": _THEORY,
    },
    "paper": {
        "source": "layout",
        "per_class": 50,
        "label_encoder": "minilm",
        "model": "paper",
        "observed": [10, 30, 50, 60, 100, 250, 500, 750, 1000],
        "logistic_at": 100,
        "theory": _THEORY,
    },
}

FEWEST_ROWS = 5
"""Training rows that a class needs to be observed: five neighbours vote."""

TRAIN_SHARE = 0.7


@dataclass(frozen=True)
class Split:
    """A taxonomy's rows as features: ``train`` and ``test`` row numbers, ``X`` ready for the base model."""

    task: LabelledTaxonomy
    X: Any
    train: IntArray
    test: IntArray


@dataclass(frozen=True)
class Base:
    """A base model, the training ``rows`` of the observed classes, and its probabilities ``P`` of the test rows."""

    model: Any
    rows: IntArray
    P: FloatArray


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the mean squared label distance, accuracy and share of new labels, for each number K of observed classes.

    The logistic arms run at one K, so their figures are named ``..._logistic``; the theory arms return locus sizes.
    """
    check_choice(arm, "arm", list(ARMS))
    if arm in {"furthest", "random", "concentrated"}:
        return _theory(arm, seed, settings["theory"], context)
    split = context.shared("split", lambda: _split(_task(settings, context), seed))
    logistic = arm.startswith("logistic")
    figures: dict[str, float] = {}
    for k in [settings["logistic_at"]] if logistic else settings["observed"]:
        kind = "logistic" if logistic else settings["model"]
        base = context.shared((kind, k), partial(_base, kind, split, k, seed))
        ids, observed = _predict(arm, split, base, seed), base.model.classes_
        truth, at = split.task.y[split.test], "logistic" if logistic else f"k{k}"
        figures |= {
            f"sqdist_{at}": float(np.square(split.task.metric.distance(truth, ids)).mean()),
            f"accuracy_{at}": float((truth == ids).mean()),
            f"new_share_{at}": float((~np.isin(ids, observed)).mean()),
            f"observed_{at}": float(len(observed)),
        }
    if not logistic:
        ks = settings["observed"]
        context.curve(arm, "mean squared label distance by observed classes", ks, [figures[f"sqdist_k{k}"] for k in ks])
    return figures


def mechanism(record: Record) -> None:
    """Assert that geometry helps, that new labels help while few are observed, and what the theory says of loci."""
    figures = {arm: _means(runs) for arm, runs in record.figures().items()}
    few = [k for k in (10, 30) if f"sqdist_k{k}" in figures["loki"]]
    for k in few:
        loki, argmax, restricted, permuted = (
            figures[arm][f"sqdist_k{k}"] for arm in ("loki", "argmax", "restricted", "permuted")
        )
        seen = f"K = {k}: loki {loki:.2f}, restricted {restricted:.2f}, argmax {argmax:.2f}, permuted {permuted:.2f}"
        _expect(loki < restricted < argmax, seen)
        _expect(loki < 0.7 * permuted, seen)
        _expect(figures["loki"][f"new_share_k{k}"] > 0.1, f"{seen}; new labels are hardly predicted")
        _expect(figures["restricted"][f"new_share_k{k}"] == 0, f"{seen}; the ablation predicts new labels")
    for name, size in figures["furthest"].items():
        random = figures["random"][name]
        _expect(size > random, f"{name}: furthest {size:.1f}, random {random:.1f}")
    sizes = list(figures["concentrated"].values())
    _expect(sizes == sorted(sizes, reverse=True), f"locus sizes grow with concentration: {figures['concentrated']}")


def _expect(holds: bool, figures: str) -> None:
    if not holds:
        raise AssertionError(figures)


def _means(runs: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    rows = list(runs.values())
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _predict(arm: str, split: Split, base: Base, seed: int) -> IntArray:
    metric, candidates = split.task.metric, split.task.candidates
    model, P, rows = base.model, base.P, base.rows
    observed = model.classes_
    if arm in {"argmax", "logistic_argmax"}:
        return np.asarray(observed[P.argmax(axis=1)])
    options: dict[str, Any] = {"label_metric": metric, "observed": observed, "estimator": model, "prefit": True}
    options["candidates"] = "all" if candidates is None else candidates
    if arm == "restricted":
        options["candidates"] = "observed"
    if arm == "logistic_calibrated":
        options |= {"estimator": _untrained("logistic", len(observed)), "prefit": False, "temperature": "fit"}
        options["random_state"] = derive_seed(seed, "temperature") % 2**31
    shuffled = _shuffled(split, seed)
    if arm == "permuted":
        options["observed"] = shuffled[observed]
    loki = LokiClassifier(**options).fit(split.X[rows], split.task.y[rows])
    if arm == "constant":
        P = np.ones_like(P)
    elif arm == "logistic_calibrated":
        P = loki.estimator_.predict_proba(split.X[split.test])
    ids = loki.spread_from_proba(P)[0]
    return np.argsort(shuffled)[ids] if arm == "permuted" else ids


def _shuffled(split: Split, seed: int) -> IntArray:
    """Return a permutation of the label ids that keeps candidates among candidates."""
    n = len(split.task.metric)
    movable = np.arange(n) if split.task.candidates is None else split.task.candidates
    permutation = np.arange(n)
    permutation[movable] = np.random.default_rng(derive_seed(seed, "shuffle")).permutation(movable)
    return permutation


def _task(settings: Mapping[str, Any], context: Context) -> LabelledTaxonomy:
    if settings["source"] == "synthetic":
        return synthetic_taxonomy(settings["labels"], rows_per_label=settings["rows_per_label"])
    if settings["source"] == "wordnet":
        least = settings["least_descendants"]
        return wordnet_taxonomy(settings["root"], least_descendants=least, progress=context.progress)
    return load_labelled_taxonomy(
        context.benchmark_root("ImageNet, CIFAR-100, LSHTC or PubMed and its hierarchy"),
        per_class=settings["per_class"],
        encode_labels=lambda names: _label_vectors(names, settings["label_encoder"]),
        progress=context.progress,
    )


def _split(task: LabelledTaxonomy, seed: int) -> Split:
    order = np.random.default_rng(derive_seed(seed, "split")).permutation(len(task.y))
    if task.test is None:
        cut = round(TRAIN_SHARE * len(order))
        train, test = np.sort(order[:cut]), np.sort(order[cut:])
    else:
        train, test = np.flatnonzero(~task.test), np.flatnonzero(task.test)
    if isinstance(task.X, list):
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2).fit([task.X[row] for row in train])
        return Split(task, vectorizer.transform(task.X), train, test)
    if hasattr(task.X, "tocsr"):
        weights = TfidfTransformer(sublinear_tf=True).fit(task.X[train])
        return Split(task, weights.transform(task.X), train, test)
    return Split(task, task.X, train, test)


def _observed(split: Split, k: int, seed: int) -> IntArray:
    counts = np.bincount(split.task.y[split.train], minlength=len(split.task.metric))
    enough = np.flatnonzero(counts >= min(FEWEST_ROWS, counts.max()))
    rng = np.random.default_rng(derive_seed(seed, "observed", k))
    return np.sort(rng.choice(enough, min(k, len(enough)), replace=False))


def _base(kind: str, split: Split, k: int, seed: int) -> Base:
    rows = split.train[np.isin(split.task.y[split.train], _observed(split, k, seed))]
    # ImageNet's base model is one-vs-rest logistic regression; the text benchmarks use five neighbours
    kind = {"paper": "one_vs_rest" if split.task.name == "imagenet" else "neighbours"}.get(kind, kind)
    model = _untrained(kind, len(rows)).fit(split.X[rows], split.task.y[rows])
    return Base(model, rows, model.predict_proba(split.X[split.test]))


def _untrained(kind: str, rows: int) -> Any:
    if kind == "neighbours":
        return KNeighborsClassifier(min(5, rows))
    if kind == "one_vs_rest":
        return OneVsRestClassifier(LogisticRegression(max_iter=500))
    return LogisticRegression(C=30, max_iter=200)


def _label_vectors(names: list[str], encoder: str) -> FloatArray:
    if encoder == "letters":
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(names)
        return np.asarray(letters.todense())
    from spaceform.nets.text import TextEncoder

    return TextEncoder(encoder).encode(names)


def _theory(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    rows: list[list[float]] = []
    for number in range(settings["trees"]):
        tree_seed = derive_seed(seed, "tree", number)
        tree = random_labelled_tree(settings["labels"], tree_seed)
        rng = np.random.default_rng(derive_seed(tree_seed, "labels"))
        if arm == "concentrated":
            draws = [
                draw_classes(tree, settings["drawn"], theta=float(theta), random_state=rng)
                for theta in settings["theta"]
            ]
            rows.append([float(locus(tree, drawn).sum()) for drawn in draws])
        else:
            start = rng.permutation(len(tree))[: settings["start"]]
            sizes = NextClassSelector(metric=tree, strategy=arm, random_state=rng).path(start, max(settings["picks"]))
            rows.append([float(sizes.locus_sizes[min(p, len(sizes.picks))]) for p in settings["picks"]])
    means = np.mean(rows, axis=0)
    xs, name = (settings["theta"], "theta") if arm == "concentrated" else (settings["picks"], "after")
    context.curve(arm, f"locus size ({name})", xs, means.tolist())
    return {f"locus_{name}_{x}": float(mean) for x, mean in zip(xs, means, strict=True)}
