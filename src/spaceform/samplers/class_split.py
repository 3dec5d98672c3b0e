"""Which classes are trained and which are added later, and which rows serve for what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels, check_real
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, IntArray


@dataclass(frozen=True)
class ClassSplit:
    """Labels of ``base`` and ``novel`` classes, ascending, and ascending row numbers.

    ``train``: rows of base classes to train on. ``support``: rows of novel classes to add them from. ``joint``:
    held-out rows of all classes, to be answered among all. ``disjoint``: those of novel classes, to be answered among
    these.
    """

    base: IntArray
    novel: IntArray
    train: IntArray
    support: IntArray
    joint: IntArray
    disjoint: IntArray

    def draw(self, labels: ArrayLike, n_shot: int, *, seed: int = 0) -> IntArray:
        """Return ``n_shot`` support rows ``(n_novel, n_shot)`` per novel class, drawn without replacement.

        A class with fewer raises ``InputError``. Depends on ``seed`` alone, and the rows of fewer shots are among
        those of more.
        """
        y = np.asarray(labels)[self.support]
        drawn = []
        for label in self.novel.tolist():
            rows = self.support[y == label]
            if len(rows) < check_integer(n_shot, "n_shot", low=1):
                raise InputError("n_shot", got=n_shot, expected=f"at most {len(rows)}, the rows of class {label}")
            drawn.append(np.random.default_rng(derive_seed(seed, "supports", label)).permutation(rows)[:n_shot])
        return np.stack(drawn)


def joint_disjoint_split(
    labels: ArrayLike, n_base: int, *, held_out: float | BoolArray = 0.3, seed: int = 0
) -> ClassSplit:
    """Draw ``n_base`` base classes at random, the others are novel, and keep rows of all of them for judging.

    Parameters: ``labels (n,)`` integers, rows with -1 are left out; ``held_out``: the share of each class in (0, 1)
    that is kept for judging (at least one row, and at least one is left), or a mask ``(n,)`` of the rows, such as those
    of writers or typefaces that training must not see; ``seed``.

    Raises ``InputError`` when fewer than two base classes or no novel one would be left, and for a class without rows
    on both sides. O(n log n).
    """
    y = np.asarray(labels)
    y = check_partial_labels(y, len(y), "labels")
    classes = np.unique(y[y >= 0])
    if len(classes) < 3:
        raise InputError("labels", got=f"{len(classes)} classes", expected="at least 3, one of them novel")
    check_integer(n_base, "n_base", low=2, high=len(classes) - 1)
    base = np.sort(np.random.default_rng(derive_seed(seed, "classes")).permutation(classes)[:n_base])
    judged = _mask(held_out, y, seed)
    for side in (judged, ~judged):
        missing = np.setdiff1d(classes, y[side])
        if len(missing):
            where = "held out" if side is judged else "left"
            raise InputError("held_out", got=f"no row of class {missing[0]} {where}", expected="rows on both sides")
    trained, labelled = np.isin(y, base), y >= 0
    return ClassSplit(
        base=base,
        novel=np.setdiff1d(classes, base),
        train=np.flatnonzero(trained & ~judged),
        support=np.flatnonzero(labelled & ~trained & ~judged),
        joint=np.flatnonzero(labelled & judged),
        disjoint=np.flatnonzero(labelled & ~trained & judged),
    )


def _mask(held_out: float | BoolArray, y: IntArray, seed: int) -> BoolArray:
    if isinstance(held_out, np.ndarray):
        if held_out.shape != y.shape or held_out.dtype != np.bool_:
            got = f"{held_out.dtype} of shape {held_out.shape}"
            raise InputError("held_out", got=got, expected=f"a share, or a boolean mask of shape {y.shape}")
        return held_out
    share = check_real(held_out, "held_out", low=0, high=1, open_ends=True)
    rng = np.random.default_rng(derive_seed(seed, "held out"))
    judged = np.zeros(len(y), dtype=bool)
    for label in np.unique(y[y >= 0]):
        rows = rng.permutation(np.flatnonzero(y == label))
        if len(rows) > 1:
            judged[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    return judged
