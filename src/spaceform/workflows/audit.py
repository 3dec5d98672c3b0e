"""Audit a Space: how its classes separate, with and without labels, and what is wrong with its vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, PathLike, Progress, no_progress
from spaceform.workflows.auditing import capacity, labels, movement, sentences, shape
from spaceform.workflows.auditing.capacity import Judgements
from spaceform.workflows.auditing.ground import Ground, prepare
from spaceform.workflows.auditing.result import AuditResult
from spaceform.workflows.auditing.shape import Duplicates

__all__ = ["AuditResult", "audit"]

Part = TypeVar("Part")

SAMPLE = 10_000
"""Rows whose neighbours are searched; a Space of so many rows is looked at as a whole."""

PARTS = 11
"""Parts of an audit without an earlier Space and without judgements."""

SEEN = "seen"
"""The boolean column that says whether a row's class was in training."""


def audit(
    space: Space | PathLike,
    *,
    label: str | None = None,
    seed: int = 0,
    sample: int = SAMPLE,
    floors: Mapping[str, ArrayLike] | None = None,
    before: Space | PathLike | None = None,
    judgements: PathLike | Judgements | None = None,
    queries: Space | PathLike | None = None,
    progress: Progress = no_progress,
) -> AuditResult:
    """Look at a Space, or the one in a folder, from all sides and return what was found.

    Parameters: ``label`` is the column with the classes (default: the Space's own); ``sample`` the number of rows,
    drawn by ``seed``, whose neighbours are searched, among ten times as many at most; ``floors`` names other vectors
    ``(n, any width)`` of the same rows (raw pixels, an untrained encoder), whose retrieval is shown beside;
    ``before`` is an earlier Space of the same rows, by id (before training, of another checkpoint), to tell how far the
    vectors moved since; ``judgements`` say which rows are relevant to which query, as a mapping from query ids to ids
    of rows or as a file of JSON lines with ``query-id``, ``corpus-id`` and perhaps ``score``, to tell whether single
    vectors can return them at all and from which dimension on; ``queries`` is a Space with the vectors of those
    queries, by id.

    Unlabelled Spaces get the parts that need no label. Distances are Euclidean; on the sphere they order as cosines
    do, and the Poincare ball is looked at in the tangent space at its origin. Raises ``InputError`` for fewer than 3
    rows, an unknown label, floors of another length, judgements that do not fit and queries without any.
    O(sample * min(n, 10 sample) * d).
    """
    begun = time.monotonic()
    opened = space if isinstance(space, Space) else Space.open(space)
    if len(opened) < 3:
        raise InputError("space", got=f"{len(opened)} row(s)", expected="at least 3")
    name = label if label is not None else opened.label
    codes, classes = opened.labels(name) if name is not None else (None, [])
    others = _check_floors(floors or {}, len(opened))
    check_integer(sample, "sample", low=10)
    questions = capacity.read_questions(opened, judgements, queries)
    parts = _Parts(progress, PARTS + (before is not None) + (questions is not None))
    ground = parts.take("neighbours", lambda: prepare(opened, sample=sample, seed=seed))
    assert ground is not None  # noqa: S101  # nothing in there refuses checked vectors
    result = AuditResult(
        rows=len(opened),
        dim=opened.dim,
        geometry=opened.geometry,
        label=name,
        scope={"rows": len(opened), "pool": len(ground.pool), "queries": len(ground.queries)},
        **_shape(parts, ground),
    )
    if codes is None:
        reason = "no label: name a column with classes (label=), or discover some"
        parts.missing |= dict.fromkeys(("separability", "retrieval", "confusions"), reason)
    else:
        seen = _seen(opened)
        result = replace(
            result,
            separability=parts.take("separability", lambda: labels.separate(ground, codes)),
            retrieval=parts.take("retrieval", lambda: labels.retrieve(ground, codes, seen)),
            confusions=parts.take("confusions", lambda: labels.confuse(ground, codes, classes)) or [],
            floors=parts.take("floors", lambda: labels.retrieve_floors(ground, codes, others, seen=seen)) or {},
            conflicting_pairs=_conflicts(result.duplicates, codes),
        )
    columns = parts.take("columns", lambda: labels.compare_columns(ground, opened, codes, label=name)) or []
    if before is not None:
        earlier = before if isinstance(before, Space) else Space.open(before)
        moved = parts.take("movement", lambda: movement.find_movement(ground, earlier, codes))
        result = replace(result, movement=moved)
    if questions is not None:
        found = parts.take("capacity", lambda: capacity.find_capacity(ground, questions, progress=progress))
        result = replace(result, capacity=found)
    result = replace(result, columns=columns, missing=dict(parts.missing))
    return replace(
        result,
        warnings=list(sentences.warn(result)),
        conclusions=[*sentences.conclude(result), sentences.explain_scope(result.scope)],
        seconds=round(time.monotonic() - begun, 2),
    )


class _Parts:
    """Runs the parts one by one; one that has no answer leaves a reason instead of stopping the audit."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total
        self.done = 0
        self.missing: dict[str, str] = {}

    def take(self, name: str, make: Callable[[], Part]) -> Part | None:
        self.progress("audit", self.done, self.total)
        self.done += 1
        try:
            return make()
        except InputError as error:
            self.missing[name] = str(error)
            return None


def _shape(parts: _Parts, ground: Ground) -> dict[str, Any]:
    hubs = parts.take("hubness", lambda: shape.find_hubs(ground))
    return {
        "clusters": parts.take("clusters", lambda: shape.find_clusters(ground)),
        "hubness": hubs,
        "hub_ids": [str(ground.ids[row]) for row in hubs.hubs] if hubs else [],
        "dimension": parts.take("dimension", lambda: shape.find_dimension(ground)),
        "anisotropy": parts.take("anisotropy", lambda: shape.find_anisotropy(ground)),
        "duplicates": parts.take("duplicates", lambda: shape.find_duplicates(ground)),
    }


def _seen(space: Space) -> BoolArray | None:
    """Return which rows' classes were in training, if the Space says so and both kinds exist."""
    if SEEN not in space.columns:
        return None
    values = space.column(SEEN)
    if values.dtype != np.bool_ or values.all() or not values.any():
        return None
    return values


def _conflicts(found: Duplicates | None, codes: np.ndarray) -> int:
    pairs = [pair.rows for pair in found.pairs] if found is not None else []
    return sum(bool(codes[i] != codes[j] and min(codes[i], codes[j]) >= 0) for i, j in pairs)


def _check_floors(floors: Mapping[str, ArrayLike], n: int) -> dict[str, FloatArray]:
    made = {}
    for name, vectors in floors.items():
        rows = check_matrix(vectors, f"floors[{name!r}]")
        if len(rows) != n:
            raise InputError(f"floors[{name!r}]", got=f"{len(rows)} rows", expected=f"{n}, one per row of the Space")
        made[name] = rows
    return made
