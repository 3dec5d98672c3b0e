"""Compare two Spaces of the same rows: the same up to an isometry? which rows moved? can B's head read A?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.heads.alignment import fit_rigid_map
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import BoolArray, PathLike, Progress, no_progress
from spaceform.workflows.comparing import controls, measures, moved, reading, sentences
from spaceform.workflows.comparing.controls import Control
from spaceform.workflows.comparing.measures import Ground
from spaceform.workflows.comparing.moved import Displacement
from spaceform.workflows.comparing.pairing import Pairs, pair_rows, read_side
from spaceform.workflows.comparing.result import CompareResult, OneRow, SideFacts

__all__ = ["CompareResult", "compare"]

SAMPLE = 10_000
FARTHEST = 24
"""Rows listed at least, moved or not; at most ten times as many that moved."""

NO_LABEL = "no label with two classes that have rows enough: name one (label=)"
NEAR = 5
BINS = 20
STEPS = 5


def compare(
    a: Space | PathLike,
    b: Space | PathLike,
    *,
    key: str | None = None,
    label: str | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    progress: Progress = no_progress,
) -> CompareResult:
    """Compare two Spaces, or those in two folders, whose rows are the same items: two encoders, or two versions of one.

    Parameters: ``key`` the column that pairs the rows (None: the ids), ``"concept=id"`` where it has another name in
    B; rows of one key count as one, at their mean. ``label`` a column with classes, in one of them at least (None:
    their own labels, B's before A's), for the heads. ``sample`` items are drawn by ``seed`` if there are more.

    Maps are fitted on one half of the rows and judged on the other. What the figures mean is told by controls on the
    same rows: wrong pairs, wrong pairs within classes, and B made of A with noise of the size found. Widths may differ;
    beyond 512 vectors are reduced to principal components, and with few rows maps are fitted in fewer still.

    Raises ``InputError`` for fewer than 20 common items, unknown columns, and a Space whose rows are all equal.
    O(n^2 (d + e)).
    """
    begun = time.monotonic()
    check_integer(sample, "sample", low=20)
    spaces = [one if isinstance(one, Space) else Space.open(one) for one in (a, b)]
    names = [_name(one, letter) for one, letter in ((a, "A"), (b, "B"))]
    keys = _keys(key)
    labels = _labels(spaces, label)
    sides = [read_side(one, key=k, label=at) for one, k, at in zip(spaces, keys, labels, strict=True)]
    pairs = pair_rows(*sides, sample=sample, generator=as_generator(derive_seed(seed, "sample")))
    _refuse_equal_rows(pairs)

    step = partial(_step, progress)
    step(0)
    ground = measures.prepare(pairs.A, pairs.B, pairs.labels, seed=seed)
    step(1)
    found = moved.find_moved(ground)
    kept = ~found.moved
    figures = measures.measure(ground, kept, seed=seed)
    step(2)
    made = _controls(pairs, ground, kept, seed)
    step(3)
    readings = tuple(reading.read_both(pairs, ground, kept, seed=seed))
    step(4)
    evidence = sentences.Evidence(
        figures=figures,
        controls=made,
        equal=_equal(pairs, kept),
        seen=ground.slim_kept,
        scale=fit_rigid_map(ground.slim_a[kept], ground.slim_b[kept]).scale,
        rows=len(pairs),
        moved=int(found.moved.sum()),
    )
    step(5)
    return CompareResult(
        a=_facts(spaces[0], names[0]),
        b=_facts(spaces[1], names[1]),
        **_told(evidence, readings, _rows(pairs, ground, found)),
        counts=pairs.counts,
        figures=figures,
        controls=made,
        labelled_by={"A": labels[0], "B": labels[1], "": None}[pairs.labelled_by],
        histograms=_histograms(ground, seed),
        notes=tuple(_notes(pairs, ground, seed)),
        missing={} if readings else {"readings": NO_LABEL},
        seconds=round(time.monotonic() - begun, 1),
        pairs=pairs,
        ground=ground,
        displacement=found,
        spaces=(spaces[0], spaces[1]),
    )


def _step(progress: Progress, done: int) -> None:
    progress("comparing", done, STEPS)


def _told(evidence: sentences.Evidence, readings: tuple[reading.Reading, ...], rows: tuple[OneRow, ...]) -> Any:
    verdict = sentences.judge(evidence)
    examples = [row.key for row in rows if row.moved][:3]
    words = tuple(sentences.conclude(verdict, evidence, readings=readings, examples=examples))
    counts = {"compared": evidence.rows, "moved": evidence.moved, "scale": evidence.scale}
    return counts | {"verdict": verdict, "conclusions": words, "rows": rows, "readings": readings}


def _name(given: Space | PathLike, letter: str) -> str:
    return letter if isinstance(given, Space) else Path(given).resolve().name


def _facts(space: Space, name: str) -> SideFacts:
    encoder = space.encoder
    return SideFacts(
        name=name,
        rows=len(space),
        dim=space.dim,
        geometry=space.geometry,
        label=space.label,
        encoder=None if encoder is None else str(encoder["fingerprint"]),
    )


def _keys(key: str | None) -> tuple[str | None, str | None]:
    if key is None:
        return None, None
    first, equals, second = key.partition("=")
    return (first.strip(), second.strip()) if equals else (key, key)


def _labels(spaces: list[Space], label: str | None) -> list[str | None]:
    if label is None:
        return [one.label for one in spaces]
    found = [label if label in one.columns else None for one in spaces]
    if found == [None, None]:
        columns = sorted({name for one in spaces for name in one.columns})
        raise InputError("label", got=repr(label), expected=f"a column of A or B: {', '.join(columns) or 'none'}")
    return found


def _refuse_equal_rows(pairs: Pairs) -> None:
    for name, X in (("a", pairs.A), ("b", pairs.B)):
        if not np.ptp(X, axis=0).any():
            raise InputError(name, got="rows that are all equal", expected="rows that differ")


def _equal(pairs: Pairs, kept: BoolArray) -> bool:
    if pairs.A.shape[1] != pairs.B.shape[1]:
        return False
    size = float(np.abs(pairs.B[kept]).max())
    return bool(np.abs(pairs.A[kept] - pairs.B[kept]).max() <= 1e-6 * size)


def _controls(pairs: Pairs, ground: Ground, kept: BoolArray, seed: int) -> Mapping[str, Control]:
    made = {"shuffled": controls.shuffled(ground, kept, seed=seed)}
    if pairs.labels is not None:
        made["within classes"] = controls.shuffled_within(ground, kept, pairs.labels, seed=seed)
    return made | {"noise": controls.only_noise(ground, kept, seed=seed)}


def _rows(pairs: Pairs, ground: Ground, found: Displacement) -> tuple[OneRow, ...]:
    count = int(np.clip(found.moved.sum(), FARTHEST, 10 * FARTHEST))
    order = np.lexsort((-found.distance, ~found.moved))[:count]
    return tuple(
        OneRow(
            key=str(pairs.keys[row]),
            item=int(row),
            distance=float(found.distance[row]),
            overlap=float(found.overlap[row]),
            moved=bool(found.moved[row]),
            near_a=tuple(ground.near_a[row, :NEAR].tolist()),
            near_b=tuple(ground.near_b[row, :NEAR].tolist()),
        )
        for row in order.tolist()
    )


def _histograms(ground: Ground, seed: int) -> dict[str, list[float]]:
    edges = np.linspace(0, 1, BINS + 1)
    order = as_generator(derive_seed(seed, "histogram")).permutation(len(ground.near_a))
    place = np.argsort(order)
    wrong = measures.overlap(place[ground.near_a[order]], ground.near_b)
    right = measures.overlap(ground.near_a, ground.near_b)
    counts = {name: np.histogram(values, edges)[0] for name, values in (("observed", right), ("shuffled", wrong))}
    return {"edges": edges.tolist(), **{name: values.tolist() for name, values in counts.items()}}


def _notes(pairs: Pairs, ground: Ground, seed: int) -> list[str]:
    notes = []
    for side, name in (("a", "A"), ("b", "B")):
        if pairs.counts[f"only_{side}"]:
            notes.append(f"{pairs.counts[f'only_{side}']:,} items are in {name} only")
        if pairs.counts[f"merged_{side}"]:
            notes.append(
                f"{pairs.counts[f'merged_{side}']:,} rows of {name} share a key with another: their mean counts"
            )
        if pairs.counts[f"dropped_{side}"]:
            notes.append(f"{pairs.counts[f'dropped_{side}']:,} rows of {name} have no key or no number: left out")
    if len(pairs) < pairs.counts["paired"]:
        drawn = f"{len(pairs):,} of {pairs.counts['paired']:,} items were drawn"
        notes.append(f"{drawn} by seed {seed}; figures, neighbours and moved rows are of these")
    for name, X, full, share in (
        ("A", ground.A, pairs.A, ground.kept_a),
        ("B", ground.B, pairs.B, ground.kept_b),
    ):
        if X.shape[1] < full.shape[1]:
            notes.append(f"{name} is compared in {X.shape[1]} principal components with {share:.1%} of its variance")
    slim = [
        f"{X.shape[1]} of {full.shape[1]} for {name}"
        for name, X, full in (("A", ground.slim_a, ground.A), ("B", ground.slim_b, ground.B))
        if X.shape[1] < full.shape[1]
    ]
    if slim:
        notes.append(f"so few rows fix maps in few principal components: {', '.join(slim)}")
    return notes
