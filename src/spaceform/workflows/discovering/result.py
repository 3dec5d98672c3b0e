"""What a discovery returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spaceform.space import Space
from spaceform.workflows.discovering.description import NovelClass
from spaceform.workflows.discovering.trust import Rehearsal


@dataclass(frozen=True, kw_only=True)
class DiscoverResult:
    """What was found. ``scores`` compares with the truth where known classes were hidden for it, else it is empty.

    ``sweep`` is the index over the number of classes by which it was chosen (None where it was given), ``criteria``
    what several say: by name their ``ks``, ``means``, ``best`` and ``curve`` (means on [0, 1], higher is better).
    ``tuned``: settings chosen by hiding known classes; ``hidden`` the classes whose labels were put aside. How sure it
    is: ``agreement``, the share of rows that keep their class with other seeds; ``rehearsal``, known classes hidden and
    found again; ``conclusions`` in words. ``taken_as_known``: unlabelled rows that a method gave a known class.
    ``space``: the Space with new columns.
    """

    method: str
    label: str | None
    known_classes: int
    labelled: int
    unlabelled: int
    n_novel: int
    classes: list[NovelClass]
    sweep: Mapping[str, Any] | None = None
    criteria: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    agreement: float | None = None
    rehearsal: Rehearsal | None = None
    conclusions: tuple[str, ...] = ()
    taken_as_known: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    space: Space | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the Space itself."""
        plain = asdict(replace(self, space=None))
        del plain["space"]
        return plain
