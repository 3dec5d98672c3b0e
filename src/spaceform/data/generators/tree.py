"""Classes at the leaves of a tree, hidden under nuisance directions and a bend; views share the signal only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState


@dataclass(frozen=True, eq=False, kw_only=True)
class TreeClasses:
    """Rows drawn around the leaves of a tree, and what they are made of.

    ``X (n, s + u)``: one observation of every row. ``labels (n,)``: leaf of each row, ``0..C-1``, sorted.
    ``signal (n, s)``: what makes the class. ``leaves (C, s)``: centres. ``distances (C, C)``: edges between two leaves
    on the path through the tree (0, 2, 4, ...). ``mixing (s + u, s + u)``: orthogonal. ``nuisance``: standard deviation
    of the u directions that tell nothing. ``jitter``: standard deviation of what a view adds to the signal.
    """

    X: FloatArray
    labels: IntArray
    signal: FloatArray
    leaves: FloatArray
    distances: IntArray
    mixing: FloatArray
    nuisance: float
    jitter: float

    def __len__(self) -> int:
        return len(self.labels)

    def views(self, rows: ArrayLike | None = None, random_state: RandomState = None) -> FloatArray:
        """Return a new view ``(m, s + u)`` of the given rows (default: all): same signal, jittered, fresh nuisance."""
        generator = as_generator(random_state)
        chosen = self.signal if rows is None else self.signal[np.asarray(rows, dtype=np.int64)]
        jittered = chosen + self.jitter * generator.normal(size=chosen.shape)
        return _observe(jittered, self.mixing, self.nuisance, generator)


def make_tree_classes(
    rows_per_class: int,
    *,
    branching: Sequence[int] = (3, 3, 3),
    scales: ArrayLike = (3.0, 1.8, 1.0),
    spread: float = 0.3,
    n_signal: int = 16,
    n_nuisance: int = 16,
    nuisance: float = 2.5,
    jitter: float = 0.075,
    random_state: RandomState = None,
) -> TreeClasses:
    """Draw a tree whose leaves are classes, and rows around them.

    A node lies at ``parent + scales[l] * unit vector`` in ``R^n_signal``, the root at 0; a row's signal is
    ``leaf + N(0, spread^2 I)``. It is observed as ``x = h + sin(2 h) / 2`` of ``h = [signal, nuisance] Q`` with
    ``N(0, nuisance^2)`` in ``n_nuisance`` further directions and a random orthogonal ``Q``. k-means on ``x`` finds next
    to nothing of the classes, on the signal nearly all.

    Parameters: ``branching``: children per node at each level, ``prod(branching)`` classes; ``scales``: one positive
    length per level; spreads >= 0; ``n_signal`` >= 1; ``n_nuisance`` >= 0. Raises ``InputError`` for others.
    O(n d^2), d = ``n_signal + n_nuisance``.
    """
    per_class = check_integer(rows_per_class, "rows_per_class", low=1)
    children = [check_integer(count, "branching", low=1) for count in branching]
    if not children:
        raise InputError("branching", got="no level", expected="children per node at each level")
    lengths = check_matrix(np.atleast_2d(np.asarray(scales, dtype=np.float64)), "scales")[0]
    if len(lengths) != len(children) or lengths.min() <= 0:
        expected = f"{len(children)} positive lengths, one per level of branching"
        raise InputError("scales", got=f"{lengths.tolist()}", expected=expected)
    within = check_real(spread, "spread", low=0)
    s, u = check_integer(n_signal, "n_signal", low=1), check_integer(n_nuisance, "n_nuisance", low=0)
    generator = as_generator(random_state)
    nodes = np.zeros((1, s))
    for count, length in zip(children, lengths, strict=True):
        steps = generator.normal(size=(len(nodes) * count, s))
        nodes = np.repeat(nodes, count, axis=0) + length * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    labels = np.repeat(np.arange(len(nodes), dtype=np.int64), per_class)
    signal = nodes[labels] + within * generator.normal(size=(len(labels), s))
    mixing, upper = np.linalg.qr(generator.normal(size=(s + u, s + u)))
    mixing *= np.sign(np.diag(upper))
    return TreeClasses(
        X=_observe(signal, mixing, check_real(nuisance, "nuisance", low=0), generator),
        labels=labels,
        signal=signal,
        leaves=nodes,
        distances=_leaf_distances(children),
        mixing=mixing,
        nuisance=float(nuisance),
        jitter=check_real(jitter, "jitter", low=0),
    )


def _observe(signal: FloatArray, mixing: FloatArray, nuisance: float, generator: np.random.Generator) -> FloatArray:
    width = len(mixing) - signal.shape[1]
    mixed = np.hstack([signal, nuisance * generator.normal(size=(len(signal), width))]) @ mixing
    return np.asarray(mixed + 0.5 * np.sin(2 * mixed))


def _leaf_distances(children: list[int]) -> IntArray:
    """Return the edges between leaves, twice the number of levels below their last common node."""
    leaf = np.arange(int(np.prod(children)), dtype=np.int64)
    distances = np.zeros((len(leaf), len(leaf)), dtype=np.int64)
    for level in range(len(children)):
        node = leaf // int(np.prod(children[level + 1 :], dtype=np.int64))
        distances += 2 * (node[:, None] != node[None, :])
    return distances
