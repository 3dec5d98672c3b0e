"""The part of an audit that compares a Space with an earlier one of the same rows: how far did the vectors move?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.metrics.movement.kernel_movement import KernelMovement, kernel_movement
from spaceform.space import Space
from spaceform.types import IntArray
from spaceform.workflows.auditing.ground import Ground

K = 10


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What moved between an earlier Space and this one, over the ``rows`` that both have (by id), or a sample of them.

    ``shared`` counts all such rows. The other figures are those of
    :class:`spaceform.metrics.movement.kernel_movement.KernelMovement`.
    """

    shared: int
    figures: KernelMovement

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def find_movement(ground: Ground, before: Space, y: IntArray | None) -> Movement:
    """Measure movement from ``before`` on the audit's queries whose ids it has; ``y (n,)`` are labels, -1 for none.

    Raises ``InputError`` when fewer than 12 queries are among its rows. O(m^2 d) for m queries.
    """
    places = {str(name): row for row, name in enumerate(before.ids)}
    now = np.array([row for row in ground.queries.tolist() if str(ground.ids[row]) in places], dtype=np.int64)
    if len(now) < K + 2:
        got = f"{len(now)} rows with ids of this Space"
        raise InputError("before", got=got, expected=f"at least {K + 2}", remedy="ids name the same items in both")
    then = np.array([places[str(ground.ids[row])] for row in now.tolist()], dtype=np.int64)
    shared = sum(str(name) in places for name in ground.ids)
    labels = None if y is None else y[now]
    return Movement(shared=shared, figures=kernel_movement(before.vectors[then], ground.X[now], labels, k=K))
