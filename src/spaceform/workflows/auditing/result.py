"""What an audit returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spaceform.metrics.neighborhood import Anisotropy, Hubness
from spaceform.workflows.auditing.capacity import Capacity
from spaceform.workflows.auditing.labels import ColumnFigures, Confusion, RetrievalFigures, Separability
from spaceform.workflows.auditing.movement import Movement
from spaceform.workflows.auditing.shape import Clusters, Dimension, Duplicates


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """What an audit found. A part without an answer is None (or empty), and ``missing`` says why.

    ``scope`` counts ``rows``, the ``pool`` searched in and the ``queries`` whose neighbours were searched.
    ``retrieval`` has ``all`` and, with a column ``seen``, ``seen`` and ``unseen`` classes; ``floors`` the same for
    other vectors of the same rows, on unseen classes if there are any. ``warnings`` are sentences on what stands
    out, ``conclusions`` one line per part. ``conflicting_pairs`` counts shown near-duplicates of unequal label.
    ``movement`` compares with an earlier Space, where one was given; ``capacity`` says whether single vectors can
    return what judgements ask for, where they were given.
    """

    rows: int
    dim: int
    geometry: str
    label: str | None
    scope: Mapping[str, int]
    clusters: Clusters | None = None
    separability: Separability | None = None
    retrieval: Mapping[str, RetrievalFigures] | None = None
    floors: Mapping[str, RetrievalFigures] = field(default_factory=dict)
    columns: list[ColumnFigures] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    hubness: Hubness | None = None
    hub_ids: list[str] = field(default_factory=list)
    dimension: Dimension | None = None
    anisotropy: Anisotropy | None = None
    duplicates: Duplicates | None = None
    conflicting_pairs: int = 0
    movement: Movement | None = None
    capacity: Capacity | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)
