"""What a comparison returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from spaceform.space import Space
from spaceform.workflows.comparing.controls import Control
from spaceform.workflows.comparing.measures import Agreement, Ground
from spaceform.workflows.comparing.moved import Displacement
from spaceform.workflows.comparing.pairing import Pairs
from spaceform.workflows.comparing.reading import Reading

HEAVY = ("pairs", "ground", "displacement", "spaces")


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """One of the two Spaces: what it is called, its size, geometry and label, and the fingerprint of its encoder."""

    name: str
    rows: int
    dim: int
    geometry: str
    label: str | None
    encoder: str | None


@dataclass(frozen=True, kw_only=True)
class OneRow:
    """A row of both: its ``key``, ``item`` among the pairs, ``distance`` from its image, and what became of it.

    ``distance`` in units of the spread of B (wrong pairs: about 1.4), ``overlap`` of its neighbours in [0, 1],
    ``moved`` whether it stands out; ``near_a``, ``near_b``: the items nearest to it in either space.
    """

    key: str
    item: int
    distance: float
    overlap: float
    moved: bool
    near_a: tuple[int, ...]
    near_b: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """What a comparison found; ``verdict`` is one of ``sentences.VERDICTS``, ``conclusions`` says it in words.

    ``counts`` of items and rows as in ``Pairs``; ``figures`` over the rows that did not move; ``controls`` the same
    under "shuffled" pairs, pairs shuffled "within classes" (with labels), and for B as an image of A with "noise".
    ``scale``: the factor from A to B. ``moved``: how many rows stand out; ``rows``: these, and those farthest from
    their image, farthest first. ``readings``: heads of either space on the other; empty without labels, and ``missing``
    says why. ``histograms``: ``edges``, and items per overlap of neighbours, ``observed`` and with pairs ``shuffled``.
    """

    a: SideFacts
    b: SideFacts
    verdict: str
    conclusions: tuple[str, ...]
    counts: Mapping[str, int]
    compared: int
    figures: Agreement
    controls: Mapping[str, Control]
    scale: float
    moved: int
    rows: tuple[OneRow, ...]
    readings: tuple[Reading, ...]
    labelled_by: str | None
    histograms: Mapping[str, list[float]]
    notes: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    pairs: Pairs = field(repr=False)
    ground: Ground = field(repr=False)
    displacement: Displacement = field(repr=False)
    spaces: tuple[Space, Space] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without vectors and Spaces."""
        plain = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name not in HEAVY}
        plain["controls"] = {name: asdict(one) for name, one in self.controls.items()}
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
