"""Rows whose labels have distances: synsets of WordNet, and a synthetic tree with Gaussian rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.wordnet import load_nouns
from spaceform.errors import InputError
from spaceform.geometry import LabelMetric, TreeMetric
from spaceform.types import BoolArray, IntArray, Progress, no_progress


@dataclass(frozen=True, eq=False)
class LabelledTaxonomy:
    """Rows and the metric of their labels.

    ``X`` (n, d) array, sparse array of counts, or list of texts; ``y`` (n,) ids of ``metric``; ``test`` (n,) marks the
    benchmark's own test rows (None: it has none); ``candidates`` the ids that may be predicted (None: all).
    """

    name: str
    X: Any
    y: IntArray
    metric: LabelMetric
    test: BoolArray | None = None
    candidates: IntArray | None = None


def random_labelled_tree(n: int, seed: int) -> TreeMetric:
    """Return a uniformly random labelled tree of ``n >= 2`` nodes, decoded from a random Pruefer sequence. O(n^2)."""
    check_integer(n, "n", low=2)
    sequence = np.random.default_rng(seed).integers(0, n, n - 2)
    degree = np.bincount(sequence, minlength=n) + 1
    edges = []
    for node in sequence.tolist():
        leaf = int(np.flatnonzero(degree == 1)[0])
        edges.append((leaf, node))
        degree[[leaf, node]] -= 1
    last = np.flatnonzero(degree == 1)
    edges.append((int(last[0]), int(last[1])))
    return TreeMetric.from_edges(edges, labels=np.arange(n))


def synthetic_taxonomy(labels: int, *, rows_per_label: int, seed: int = 0) -> LabelledTaxonomy:
    """Return Gaussian rows ``(labels * rows_per_label, 24)`` around the nodes of a random tree of ``labels`` nodes.

    Each node lies a random step of mean squared length 1 from its parent, so that squared distances of rows grow
    with the hops between their labels; rows spread by 0.25 per coordinate. O(rows).
    """
    check_integer(labels, "labels", low=2)
    check_integer(rows_per_label, "rows_per_label", low=1)
    rng = np.random.default_rng(seed)
    parent = np.array([-1] + [int(rng.integers(i // 3, i)) for i in range(1, labels)])
    places = np.zeros((labels, 24))
    for label in range(1, labels):
        places[label] = places[parent[label]] + rng.normal(size=24) / 24**0.5
    y = np.repeat(np.arange(labels), rows_per_label)
    X = places[y] + 0.25 * rng.normal(size=(len(y), 24))
    return LabelledTaxonomy("synthetic", X, y, TreeMetric(parent))


def wordnet_taxonomy(root: str, *, least_descendants: int, progress: Progress = no_progress) -> LabelledTaxonomy:
    """Return the noun synsets below ``root`` (its first sense) as texts, labelled by the tree of the large ones.

    Labels are the synsets with at least ``least_descendants``, themselves counted; a synset belongs to the nearest
    label at or above it. Only first hypernyms count, so that labels form a tree. Text: lemmas and gloss.
    Label names are WordNet's offsets. Raises ``InputError`` for a word that is no noun or has too few descendants.
    """
    nouns = load_nouns(progress=progress)
    if not nouns.senses(root):
        raise InputError("root", got=repr(root), expected="a noun of WordNet")
    top = nouns.senses(root)[0]
    below = nouns.below(top)
    place = np.full(len(nouns), -1)
    place[below] = np.arange(len(below))
    parent = np.where(below == top, -1, place[nouns.parents[below]])
    by_depth = np.argsort(TreeMetric(parent).depth, kind="stable")
    size = np.ones(len(below), dtype=np.int64)
    for node in by_depth[:0:-1]:
        size[parent[node]] += size[node]
    large = np.flatnonzero(size >= least_descendants)
    if len(large) < 2:
        raise InputError("least_descendants", got=least_descendants, expected=f"fewer than {len(below)}")
    label = np.full(len(below), -1)
    label[large] = np.arange(len(large))
    for node in by_depth:
        if label[node] < 0:
            label[node] = label[parent[node]]
    above = parent[large]
    names = [nouns.ids[i] for i in below[large]]
    metric = TreeMetric(np.where(above < 0, -1, label[above]), labels=names)
    texts = [f"{', '.join(nouns.lemmas[i])} {nouns.glosses[i]}" for i in below]
    return LabelledTaxonomy("wordnet", texts, label, metric)
