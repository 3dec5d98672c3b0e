"""The ways of discovering classes, and what each can do: read off the estimators, so that a new one joins by itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spaceform import papers
from spaceform.clustering.ncd import NCDKMeans, NCDSpectralClustering
from spaceform.errors import InputError
from spaceform.types import BoolArray, FloatArray, IntArray, Progress
from spaceform.workflows.learning.job import accepted
from spaceform.workflows.learning.trainables import accepts, find_trainable

PURPOSE = "class_discovery"
DEFAULT = "tabular-ncd"
PLAIN = "ncd-kmeans"
BASELINES: Mapping[str, type] = {PLAIN: NCDKMeans, "ncd-spectral": NCDSpectralClustering}
"""Cluster the vectors as they are."""

ALIASES = {"pbn": DEFAULT}
AUTO = "auto"

SEARCHES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    DEFAULT: {"loss_weight": (0.1, 0.5, 0.85), "learning_rate": (1e-3, 5e-3), "latent_dim": (16, 32)},
    PLAIN: {"init_power": (1.0, 2.0)},
}
"""Settings that hiding known classes chooses from."""


@dataclass(frozen=True)
class Way:
    """One way: its name, its class, and what follows from the class's own signature."""

    name: str
    cls: type

    @property
    def by_domains(self) -> bool:
        """Whether ``fit`` takes domains."""
        return accepts(self.cls.fit, "domains")  # type: ignore[attr-defined]

    @property
    def learns(self) -> bool:
        """Whether it makes new vectors out of known classes."""
        return hasattr(self.cls, "transform") and not self.by_domains

    @property
    def search(self) -> Mapping[str, Sequence[Any]]:
        """The settings that hiding known classes chooses from; empty where there are none."""
        return SEARCHES.get(self.name, {})

    def make(self, n_novel: int | None, settings: Mapping[str, Any]) -> Any:
        """Return an estimator with those of the ``settings`` that it has."""
        number = "n_classes" if accepts(self.cls, "n_classes") else "n_novel"
        return self.cls(**accepted(self.cls, {**settings, number: n_novel}))


@dataclass(frozen=True, eq=False)
class Answer:
    """The class ``0..k-1`` of every unlabelled row, -1 where it is taken for a known one, and what it was found in.

    ``again``: the known code of such rows, else -1. ``latent``: the space of all rows (n, e) in which classes lie.
    """

    found: IntArray
    again: IntArray
    latent: FloatArray = field(repr=False)
    model: Any = field(repr=False)


def ways() -> dict[str, Way]:
    """Return all ways by name: the papers on class discovery whose estimators fit to rows, and the baselines."""
    found = {}
    for paper in papers.all_papers():
        if paper.purpose == PURPOSE:
            try:
                slug, cls = find_trainable(paper.slug)
            except InputError:  # not there yet, or only parts
                continue
            if fits(cls):
                found[slug] = Way(slug, cls)
    return found | {name: Way(name, cls) for name, cls in BASELINES.items()}


def fits(cls: type) -> bool:
    """Return whether a class discovers: it is fitted to rows and partial labels, or domains, and told the number."""
    numbered = accepts(cls, "n_novel") or accepts(cls, "n_classes")
    return numbered and len(inspect.signature(cls.fit).parameters) >= 3  # type: ignore[attr-defined]


def find(method: str) -> Way | None:
    """Return the way that ``method`` names; None for "auto". Raises ``InputError`` for another name, listing all."""
    every = ways()
    if method == AUTO:
        return None
    name = ALIASES.get(method, method)
    if name not in every:
        raise InputError("method", got=repr(method), expected=f"one of {', '.join([AUTO, *ALIASES, *every])}")
    return every[name]


def choose(method: str, *, known: int, notes: list[str]) -> tuple[Way, ...]:
    """Return the way that ``method`` names, or the ways between which hiding known classes is to decide.

    Plain k-means where too few classes are ``known`` to learn from.
    """
    every = ways()
    named = find(method)
    if (named or every[DEFAULT]).learns and known < 2:
        notes.append(f"{known} known class(es) can't shape a space: plain k-means on the vectors as they are")
        return (every[PLAIN],)
    return (named,) if named is not None else (every[DEFAULT], every[PLAIN])


def fit(
    way: Way,
    X: FloatArray,
    y: IntArray,
    *,
    domains: IntArray | None,
    n_novel: int | None,
    settings: Mapping[str, Any],
    progress: Progress,
) -> Answer:
    """Fit the way to rows ``X (n, d)`` with codes ``y (n,)``, -1 where unlabelled, and return its answer.

    By domains only the unlabelled rows are fitted.
    """
    novel: BoolArray = y == -1
    model = way.make(n_novel, settings)
    told = accepted(model.fit, {"progress": progress})
    if way.by_domains:
        model.fit(X[novel], None if domains is None else domains[novel], **told)
        labels = np.full(len(X), -1, np.int64)
        labels[novel] = model.labels_
        return Answer(_numbered(labels[novel]), np.full(int(novel.sum()), -1), model.transform(X), model)
    model.fit(X, y, **told)
    labels = np.asarray(model.labels_)[novel]
    known = np.isin(labels, model.classes_) if hasattr(model, "cluster_names_") else np.zeros(len(labels), bool)
    again = np.where(known, labels, -1)
    latent = np.asarray(model.transform(X)) if hasattr(model, "transform") else X
    return Answer(_numbered(np.where(known, -1, labels)), again, latent, model)


def _numbered(labels: IntArray) -> IntArray:
    """Number the classes from 0 without gaps; -1 stays."""
    inside = labels >= 0
    numbers = np.full(len(labels), -1, dtype=np.int64)
    numbers[inside] = np.unique(labels[inside], return_inverse=True)[1]
    return numbers
