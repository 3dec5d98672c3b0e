"""Which row of one Space is which row of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.geometry.poincare import log0
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import FloatArray, IntArray

FEWEST = 20
"""With fewer common rows nothing can be fitted on one half and judged on the other."""


@dataclass(frozen=True, eq=False)
class Side:
    """One Space as far as it is compared: vectors ``X (n, d)``, a key per row (None: no key), labels (None: none)."""

    X: FloatArray = field(repr=False)
    keys: Sequence[str | None] = field(repr=False)
    labels: Sequence[str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Vectors ``A (n, d)`` and ``B (n, e)`` float64 of the same items in one order, and where they came from.

    ``rows_a``, ``rows_b (n,)``: the first row of each item in its Space. ``labels (n,)``: the class of an item (None
    where neither Space has one), ``labelled_by`` whose column that is. ``counts``: of items ``paired``, ``only_a``,
    ``only_b``; of rows ``merged_a``, ``merged_b`` (a further row of an item, averaged), ``dropped_a``, ``dropped_b``
    (no key, or NaN). ``sampled``: items drawn, if not all were taken.
    """

    A: FloatArray = field(repr=False)
    B: FloatArray = field(repr=False)
    keys: np.ndarray = field(repr=False)
    rows_a: IntArray = field(repr=False)
    rows_b: IntArray = field(repr=False)
    labels: np.ndarray | None = field(repr=False)
    labelled_by: str
    counts: dict[str, int]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.keys)


def read_side(space: Space, *, key: str | None, label: str | None) -> Side:
    """Return the vectors, keys (column ``key``, or the ids) and labels of a Space.

    Vectors in the Poincare ball are taken to the tangent space at its origin.
    """
    X = space.vectors
    if space.geometry == "poincare":
        X = np.asarray(log0(X.astype(np.float64), 1.0))
    keys: list[str | None] = list(map(str, space.ids)) if key in (None, ID) else _texts(space.column(str(key)))
    if label is None:
        return Side(X, keys)
    codes, names = space.labels(label)
    return Side(X, keys, [str(names[code]) if code >= 0 else None for code in codes.tolist()])


def pair_rows(a: Side, b: Side, *, sample: int, generator: np.random.Generator) -> Pairs:
    """Return the items that both sides have, at most ``sample`` of them drawn at random, in the order of A.

    Rows of one key are one item, at their mean; rows without key or with NaN are left out. Of two labels B's counts,
    else A's. Raises ``InputError`` for fewer than 20 common items, with keys of both sides. O(n d).
    """
    kept = {"a": _sound(a), "b": _sound(b)}
    first, second = _items(a, kept["a"]), _items(b, kept["b"])
    common = [key for key in first if key in second]
    counts = {
        "paired": len(common),
        "only_a": len(first) - len(common),
        "only_b": len(second) - len(common),
        "merged_a": len(kept["a"]) - len(first),
        "merged_b": len(kept["b"]) - len(second),
        "dropped_a": len(a.X) - len(kept["a"]),
        "dropped_b": len(b.X) - len(kept["b"]),
    }
    if len(common) < FEWEST:
        some = ", ".join(f"{name} has {list(items)[:3]}" for name, items in (("A", first), ("B", second)))
        raise InputError(
            "key",
            got=f"{len(common)} rows that both have; {some}",
            expected=f"at least {FEWEST}",
            remedy="name the columns that pair them: key='name', or key='concept=id' where they differ",
        )
    if len(common) > sample:
        common = [common[i] for i in np.sort(generator.permutation(len(common))[:sample]).tolist()]
    one, other = [first[key] for key in common], [second[key] for key in common]
    labels, owner = _labels(a, b, one, other)
    return Pairs(
        A=_means(a.X, one),
        B=_means(b.X, other),
        keys=np.array(common, dtype=object),
        rows_a=np.array([rows[0] for rows in one], dtype=np.int64),
        rows_b=np.array([rows[0] for rows in other], dtype=np.int64),
        labels=labels,
        labelled_by=owner,
        counts=counts,
    )


def _sound(side: Side) -> list[int]:
    finite = np.asarray(np.isfinite(side.X).all(1))
    return [row for row, (key, sound) in enumerate(zip(side.keys, finite, strict=True)) if sound and key is not None]


def _items(side: Side, rows: Sequence[int]) -> dict[str, list[int]]:
    items: dict[str, list[int]] = {}
    for row in rows:
        items.setdefault(str(side.keys[row]), []).append(row)
    return items


def _means(X: FloatArray, items: Sequence[Sequence[int]]) -> FloatArray:
    sizes = np.array([len(rows) for rows in items])
    members = np.concatenate([np.asarray(rows, dtype=np.int64) for rows in items])
    owner = np.repeat(np.arange(len(items)), sizes)
    first = X[members[np.concatenate([[0], np.cumsum(sizes)[:-1]])]].astype(np.float64)
    if (sizes == 1).all():
        return first
    sums = np.zeros_like(first)
    np.add.at(sums, owner, X[members].astype(np.float64))
    return np.asarray(sums / sizes[:, None])


def _labels(
    a: Side, b: Side, one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]
) -> tuple[np.ndarray | None, str]:
    for side, items, owner in ((b, other, "B"), (a, one, "A")):
        if side.labels is not None:
            own = side.labels
            names = [next((own[row] for row in rows if own[row] is not None), None) for rows in items]
            if len({name for name in names if name is not None}) > 1:
                return np.array(names, dtype=object), owner
    return None, ""


def _texts(values: np.ndarray) -> list[str | None]:
    return [_text(value) for value in values.tolist()]


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
