"""Known classes with labels, novel classes without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels, check_real
from spaceform.data.protocols.frozen import FrozenSplit, shares
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import IntArray

KIND = "category-discovery"


@dataclass(frozen=True)
class CategoryDiscovery:
    """Labelled rows of known classes and unlabelled rows of novel (and known) classes, over a :class:`FrozenSplit`.

    In *novel class discovery* every training row of a known class is labelled and the unlabelled rows are novel only;
    in *generalized category discovery* part of the known classes' rows are unlabelled too.
    """

    split: FrozenSplit

    def __post_init__(self) -> None:
        self.split.expect(KIND)

    @property
    def known(self) -> IntArray:
        """Labels of the known classes, ascending."""
        return self.split.classes["known"]

    @property
    def novel(self) -> IntArray:
        """Labels of the novel classes, ascending."""
        return self.split.classes["novel"]

    @property
    def labelled(self) -> IntArray:
        """Training rows whose labels a method may see."""
        return self.split.parts["labelled"]

    @property
    def unlabelled(self) -> IntArray:
        """Training rows whose labels only judge."""
        return self.split.parts["unlabelled"]

    @property
    def train(self) -> IntArray:
        """Labelled and unlabelled rows together, ascending."""
        return np.sort(np.concatenate([self.labelled, self.unlabelled]))

    @property
    def test(self) -> IntArray:
        """Rows of all classes that no method trains on; empty when none were asked for."""
        return self.split.parts["test"]

    def partial_labels(self, labels: ArrayLike) -> IntArray:
        """Return labels ``(n,)`` with -1 wherever a method may not see them (test rows too).

        Raises ``InputError`` when ``labels`` are not those of the split.
        """
        y = self.split.check(labels)
        hidden = np.full(len(y), -1, dtype=np.int64)
        hidden[self.labelled] = y[self.labelled]
        return hidden


def draw_category_discovery(
    labels: ArrayLike,
    *,
    n_known: int,
    known: ArrayLike | None = None,
    labelled: float = 1.0,
    test: float = 0.0,
    seed: int = 0,
) -> CategoryDiscovery:
    """Draw the known classes and the labelled rows.

    Parameters: ``labels (n,)`` integers, rows with -1 are left out; ``n_known`` classes; ``known``: which ones, where a
    benchmark fixes them (None: drawn); ``labelled``: the share in
    (0, 1] of the known classes' training rows that keep their labels, 1 for novel class discovery and 0.5 in the usual
    benchmarks of generalized category discovery (Vaze et al. 2022, section 4.1); ``test``: the share of each class in
    [0, 1) that no method trains on.

    Raises ``InputError`` when no known or no novel class would be left, and for a class with too few rows. O(n log n).
    """
    y = check_partial_labels(labels, len(np.asarray(labels)), "labels")
    classes = np.unique(y[y >= 0])
    if len(classes) < 2:
        raise InputError("labels", got=f"{len(classes)} class(es)", expected="at least 2, one of them novel")
    known_count = check_integer(n_known, "n_known", low=1, high=len(classes) - 1)
    kept = check_real(labelled, "labelled", low=0, high=1)
    if kept == 0:
        raise InputError("labelled", got=kept, expected="a share over 0")
    held = check_real(test, "test", low=0, high=1)
    ours = _known(classes, known_count, known, seed)
    cut = shares(y, np.flatnonzero(y >= 0), {"test": held}, seed=seed)
    training = cut["rest"]
    hidden = shares(
        y, training[np.isin(y[training], ours)], {"unlabelled": 1 - kept}, seed=derive_seed(seed, "labelled")
    )
    parts = {
        "labelled": hidden["rest"],
        "unlabelled": np.setdiff1d(training, hidden["rest"]),
        "test": cut["test"],
    }
    return CategoryDiscovery(
        FrozenSplit.of(
            KIND,
            y,
            settings={"n_known": known_count, "labelled": kept, "test": held, "seed": seed},
            parts=parts,
            classes={"known": ours, "novel": np.setdiff1d(classes, ours)},
        )
    )


def _known(classes: IntArray, n_known: int, known: ArrayLike | None, seed: int) -> IntArray:
    """Return the known classes, ascending: those given, or drawn ones."""
    if known is None:
        return np.sort(np.random.default_rng(derive_seed(seed, "known classes")).permutation(classes)[:n_known])
    fixed = np.unique(check_partial_labels(known, len(np.asarray(known)), "known"))
    if len(fixed) != n_known or not np.isin(fixed, classes).all():
        raise InputError("known", got=f"{fixed.tolist()[:5]} ...", expected=f"{n_known} of the classes of the labels")
    return fixed
