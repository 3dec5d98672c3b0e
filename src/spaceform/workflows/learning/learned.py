"""What an encoder learned, as plain values: curves, sizes, gains, and the vectors that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spaceform.types import FloatArray, IntArray
from spaceform.workflows.learning.comparison import Gain


@dataclass(frozen=True)
class Curves:
    """``steps`` and ``loss`` of every step; ``looks``, the steps at which held-out rows were looked at, ``recall_at_1``
    and ``map_at_r`` then; ``best`` is the step whose weights were kept, ``stopped`` why training ended early.
    """

    steps: list[int]
    loss: list[float]
    looks: list[int] = field(default_factory=list)
    recall_at_1: list[float] = field(default_factory=list)
    map_at_r: list[float] = field(default_factory=list)
    best: int = 0
    stopped: str = ""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What an encoder learned: its curves, and the rows it is judged by with their vectors before and after.

    ``by`` says what was held back, ``"classes"``, ``"rows"`` or nothing; ``parts`` maps train, validation and test to
    numbers of classes and rows; ``gains`` compare recall@1 with each baseline; ``sentence`` tells it in words.
    ``rows (m,)`` of the Space, ``before`` and ``after (m, d)``: the test rows, or a sample of all.
    """

    by: str
    parts: Mapping[str, tuple[int, int]]
    trained: Curves
    baseline: Curves | None
    gains: Mapping[str, Gain]
    sentence: str
    rows: IntArray
    before: FloatArray
    after: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the vectors."""
        plain = asdict(self)
        for name in ("rows", "before", "after"):
            del plain[name]
        return plain
