"""A split that can't drift: rows by name, the data it belongs to, and the draw it came from, in one checked file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_partial_labels
from spaceform.errors import InputError
from spaceform.files import write_text_whole
from spaceform.rng import derive_seed
from spaceform.types import IntArray

FORMAT = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenSplit:
    """Named rows of one labelled data set.

    ``kind``: the protocol. ``settings``: what it was drawn with. ``n_rows`` and ``fingerprint``: of the labels that it
    was drawn from. ``parts``: ascending, distinct row numbers by name. ``classes``: labels by name, in the order that
    the protocol means.
    """

    kind: str
    settings: Mapping[str, int | float | str]
    n_rows: int
    fingerprint: str
    parts: Mapping[str, IntArray]
    classes: Mapping[str, IntArray]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenSplit) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._checksum())

    @classmethod
    def of(
        cls,
        kind: str,
        labels: IntArray,
        *,
        settings: Mapping[str, int | float | str],
        parts: Mapping[str, IntArray],
        classes: Mapping[str, IntArray],
    ) -> FrozenSplit:
        """Return the split drawn from ``labels (n,)``, whose number and fingerprint it takes."""
        return cls(
            kind=kind,
            settings=settings,
            n_rows=len(labels),
            fingerprint=label_fingerprint(labels),
            parts=parts,
            classes=classes,
        )

    def expect(self, kind: str) -> None:
        """Raise ``InputError`` unless this is a split of the protocol ``kind``."""
        if self.kind != kind:
            raise InputError("split", got=f"a split of kind {self.kind!r}", expected=f"one of kind {kind!r}")

    def check(self, labels: ArrayLike) -> IntArray:
        """Return the labels ``(n,)`` as int64 if they are those that the split was drawn from.

        Raises ``InputError`` for another number of rows or other labels: figures on them would not be comparable.
        """
        y = check_partial_labels(labels, len(np.asarray(labels)), "labels")
        if len(y) != self.n_rows:
            raise InputError("labels", got=f"{len(y)} rows", expected=f"the {self.n_rows} rows of this split")
        if label_fingerprint(y) != self.fingerprint:
            raise InputError(
                "labels",
                got="other labels than the split was drawn from",
                expected=f"labels with fingerprint {self.fingerprint}",
                remedy="use the data in its first order, or draw a split of these labels",
            )
        return y

    def save(self, path: str | Path) -> Path:
        """Write the split as JSON (a temporary file, then renamed) and return its path. O(rows)."""
        target = Path(path)
        write_text_whole(target, json.dumps(self._content() | {"checksum": self._checksum()}) + "\n")
        return target

    @classmethod
    def load(cls, path: str | Path) -> FrozenSplit:
        """Read what :meth:`save` wrote.

        Raises ``InputError`` when the file is missing, unreadable, of a later format, or not what was written.
        """
        source = Path(path)
        try:
            record = json.loads(source.read_text(encoding="utf-8"))
            split = cls(
                kind=str(record["kind"]),
                settings=dict(record["settings"]),
                n_rows=int(record["n_rows"]),
                fingerprint=str(record["fingerprint"]),
                parts=_arrays(record["parts"]),
                classes=_arrays(record["classes"]),
            )
            written, checksum = record["format"], record["checksum"]
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError("path", got=f"{source}: {error!r}", expected="a split written by save()") from error
        if written != FORMAT:
            raise InputError("path", got=f"format {written} in {source}", expected=f"format {FORMAT}")
        if checksum != split._checksum():
            raise InputError("path", got=f"{source}, changed since it was written", expected="the file as written")
        return split

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": self.kind,
            "settings": dict(self.settings),
            "n_rows": self.n_rows,
            "fingerprint": self.fingerprint,
            "parts": {name: rows.tolist() for name, rows in self.parts.items()},
            "classes": {name: labels.tolist() for name, labels in self.classes.items()},
        }

    def _checksum(self) -> str:
        text = json.dumps(self._content(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def label_fingerprint(labels: IntArray) -> str:
    """Return a short hash of the labels in their order."""
    return hashlib.blake2b(np.ascontiguousarray(labels, dtype="<i8").tobytes(), digest_size=16).hexdigest()


def shares(labels: IntArray, rows: IntArray, portions: Mapping[str, float], *, seed: int) -> dict[str, IntArray]:
    """Cut ``rows`` into named parts, class by class; what no portion takes is the part ``"rest"``.

    ``portions``: shares in [0, 1) that sum to less than 1. A share over 0 gets at least one row of every class, and the
    rest keeps at least one. Depends on nothing but its arguments. Raises ``InputError`` naming a class with too few
    rows. O(n log n).
    """
    wanted = {name: share for name, share in portions.items() if share > 0}
    if sum(wanted.values()) >= 1:
        raise InputError("shares", got=dict(portions), expected="shares that sum to less than 1")
    cut: dict[str, list[IntArray]] = {name: [] for name in [*portions, "rest"]}
    for label in np.unique(labels[rows]).tolist():
        own = rows[labels[rows] == label]
        if len(own) < len(wanted) + 1:
            expected = f"at least {len(wanted) + 1}, one for each part"
            raise InputError("labels", got=f"{len(own)} row(s) of class {label}", expected=expected)
        own = np.random.default_rng(derive_seed(seed, "shares", label)).permutation(own)
        for left, (name, share) in zip(range(len(wanted), 0, -1), wanted.items(), strict=True):
            size = min(max(1, round(share * int((labels[rows] == label).sum()))), len(own) - left)
            cut[name].append(own[:size])
            own = own[size:]
        cut["rest"].append(own)
    return {name: np.sort(np.concatenate([np.zeros(0, np.int64), *found])) for name, found in cut.items()}


def _arrays(record: Mapping[str, Any]) -> dict[str, IntArray]:
    return {str(name): np.asarray(values, dtype=np.int64).reshape(-1) for name, values in record.items()}
