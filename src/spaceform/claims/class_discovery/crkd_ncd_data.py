"""The data of the Cr-KD claim: which classes are novel, which rows train, and what a view of a row is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spaceform.data import load
from spaceform.data.generators.tree import make_tree_classes
from spaceform.data.protocols import draw_category_discovery
from spaceform.encoders.discovery.views import ViewFn
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, IntArray, Progress

TREES = {
    "tree": {"branching": (3, 3, 3), "scales": (2.5, 1.5, 0.9), "known": 14, "rows": 60, "novel_rows": 15},
    "small-tree": {"branching": (3, 4), "scales": (2.5, 1.5), "known": 7, "rows": 25, "novel_rows": 12},
}
"""Leaves of a tree: known classes, training rows of a known and of a novel class."""

TEST_ROWS = 20
LETTER_ROWS = {"known": 100, "novel": 40}
"""Training rows of a known and of a novel letter, 13 each: few enough for minutes, and unequal as in the tree."""

CIFAR = {"cifar100-20": 80, "cifar100-50": 50}
"""Known classes of CIFAR-100 by name of the benchmark: the first by number."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Inputs ``X`` with ``truth``, the known classes first, as codes; ``train`` rows of all classes, ``test`` rows.

    ``view_fn`` makes a view of training rows, by their place in ``train``; None for the default of the method.
    """

    X: np.ndarray
    truth: IntArray
    n_known: int
    train: IntArray
    test: IntArray
    view_fn: ViewFn | None = None

    @property
    def n_novel(self) -> int:
        """Number of novel classes."""
        return int(self.truth.max()) + 1 - self.n_known

    @property
    def codes(self) -> IntArray:
        """Labels ``(m,)`` of the training rows, -1 for novel ones."""
        truth = self.truth[self.train]
        return np.where(truth < self.n_known, truth, -1)


def make_task(name: str, seed: int, root: Path | None, progress: Progress) -> Task:
    """Return the task of this name. Raises ``InputError`` for others, and for CIFAR-100 without its folder."""
    if name in TREES:
        return _tree(name, seed)
    if name == "letter":
        return _letter(seed, progress)
    if name in CIFAR:
        if root is None:
            raise InputError("root", got="None", expected="a folder with CIFAR-100, the binary version")
        data = load("cifar-100", root=root, progress=progress)
        split = data.attributes["split"]
        train, test = (np.flatnonzero(split == part) for part in ("train", "test"))
        return Task(X=data.X, truth=data.y, n_known=CIFAR[name], train=train, test=test)
    raise InputError("tables", got=repr(name), expected="one of " + ", ".join([*TREES, "letter", *CIFAR]))


def _tree(name: str, seed: int) -> Task:
    made = TREES[name]
    rows, novel_rows, known = int(made["rows"]), int(made["novel_rows"]), int(made["known"])  # type: ignore[call-overload]
    tree = make_tree_classes(
        rows + TEST_ROWS,
        branching=made["branching"],  # type: ignore[arg-type]
        scales=made["scales"],  # type: ignore[arg-type]
        spread=0.35,
        random_state=derive_seed(seed, name),
    )
    split = draw_category_discovery(tree.labels, n_known=known, test=TEST_ROWS / (rows + TEST_ROWS), seed=seed)
    truth = _known_first(tree.labels, np.concatenate([split.known, split.novel]))
    train = _at_most(split.train, truth, truth < known, {"known": rows, "novel": novel_rows}, seed)
    return Task(
        X=tree.X,
        truth=truth,
        n_known=known,
        train=train,
        test=split.test,
        view_fn=lambda chosen, generator: tree.views(train[chosen], generator),
    )


def _letter(seed: int, progress: Progress) -> Task:
    data = load("letter", progress=progress)
    split = draw_category_discovery(data.y, n_known=13, test=0.25, seed=seed)
    truth = _known_first(data.y, np.concatenate([split.known, split.novel]))
    train = _at_most(split.train, truth, truth < 13, LETTER_ROWS, seed)
    return Task(X=data.X, truth=truth, n_known=13, train=train, test=split.test)


def _known_first(labels: IntArray, order: IntArray) -> IntArray:
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return np.asarray(place[labels])


def _at_most(rows: IntArray, truth: IntArray, known: BoolArray, most: dict[str, int], seed: int) -> IntArray:
    """Return, ascending, at most so many of ``rows`` of each class."""
    order = np.random.default_rng(derive_seed(seed, "rows")).permutation(rows)
    kept = []
    for code in np.unique(truth):
        own = order[truth[order] == code]
        kept.append(own[: most["known" if known[own[0]] else "novel"]])
    return np.sort(np.concatenate(kept))
