"""Extend: new classes are added to a Space by a learner that keeps no old row, and what it forgets is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spaceform.checks import check_real
from spaceform.data.protocols.frozen import shares
from spaceform.encoders.continual.classifier import AbstractContinualClassifier
from spaceform.errors import InputError
from spaceform.metrics.continual.accuracy_matrix import AccuracyMatrix
from spaceform.rng import derive_seed
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.extending.stream import COLUMNS, Stream, add_task, read_stream
from spaceform.workflows.learning.trainables import find_trainable, parse_options
from spaceform.workflows.places.rows import read_rows


@dataclass(frozen=True, kw_only=True)
class ExtendResult:
    """What was added and what it cost.

    ``classes`` are new, ``rows`` their rows; ``before`` and ``after`` the accuracies, by task, on held-out rows of the
    old classes (among all classes known then), ``new_accuracy`` that on held-out rows of the new ones; ``matrix`` the
    accuracies of the whole stream so far, with its ``forgetting``.
    """

    method: str
    path: str
    task: int
    classes: tuple[str, ...]
    rows: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    new_accuracy: float
    matrix: Mapping[str, Any]
    figures: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def extend(
    space: PathLike,
    new_items: PathLike | Space,
    *,
    method: str = "napa-vq",
    options: Mapping[str, Any] | None = None,
    label: str | None = None,
    held_out: float = 0.2,
    seed: int = 0,
    progress: Progress = no_progress,
) -> ExtendResult:
    """Add the classes of ``new_items`` to the Space in folder ``space`` and measure what is forgotten.

    The first call learns the labelled rows of the Space as a base task. Every call then learns the new rows alone, no
    old one among them, judges on held-out rows of all classes, appends the new rows to the Space, and saves the learner
    beside it for the next call. A line of JSON per task goes to ``stream.jsonl``. A task is added wholly or, when the
    program ends before, not at all; a base task that was learned stays learned if the rest of its call fails.

    Parameters: ``new_items`` a Space, or what ``spaceform build`` reads, with labels: vectors of the Space's width, or
    pictures where the Space has an encoder; ``method`` (``napa-vq``, ``prd``) with its ``options``, both
    of the first call only; ``label`` the column with the classes of the new items (None: their own); ``held_out`` the
    share of each class, in (0, 0.9], that only judges, at least one row.

    Raises ``InputError`` for a Space without labels, new items without labels, of another width or of a class that is
    there already, a class of one row, and a method that is not continual.
    """
    begun = time.monotonic()
    share = check_real(held_out, "held_out", low=0, high=0.9)
    if share == 0:
        raise InputError("held_out", got=share, expected="a share over 0: what is forgotten is measured on it")
    folder = Path(space)
    opened = Space.open(folder)
    vectors, names, ids, pictures = _new_rows(folder, opened, new_items, label=label, progress=progress)
    _, present = opened.labels()
    stream = read_stream(opened, folder)
    if again := sorted(set(names) & set(present)):
        added = next((line["task"] for line in stream.lines if again[0] in line["classes"]), 0) if stream else 0
        when = f" since task {added}" if added else ""
        got = f"rows of {again[0]!r}, a class of the Space{when}"
        raise InputError("new_items", got=got, expected="new classes only")
    hidden = _held_out(names, share, seed=derive_seed(seed, "held out", len(present)))
    if stream is None:
        opened, stream = _learn_base(opened, folder, method, options or {}, share=share, seed=seed, progress=progress)
    slug = str(stream.lines[0]["method"])
    model = _continual(slug).load(stream.learner)
    matrix_rows: list[list[float]] = [line["accuracies"] for line in stream.lines]
    before = _accuracies(model, opened)
    model.partial_fit(vectors[~hidden], names[~hidden], progress=progress)
    task = len(matrix_rows)
    grown = _appended(opened, vectors, names, ids=ids, pictures=pictures, task=task, hidden=hidden)
    after = _accuracies(model, grown)
    matrix_rows = [*matrix_rows, after]
    matrix = AccuracyMatrix([int(count) for count in _judged(grown)])
    for row in matrix_rows:
        matrix.add(row)
    classes = sorted(set(names.tolist()))
    line = {"task": task, "method": slug, "classes": classes, "accuracies": after}
    add_task(grown, model, folder, line, so_far=stream)
    return ExtendResult(
        method=slug,
        path=str(folder),
        task=task,
        classes=tuple(classes),
        rows=len(names),
        before=tuple(before),
        after=tuple(after[:-1]),
        new_accuracy=after[-1],
        matrix=matrix.to_dict(),
        figures=matrix.figures(),
        seconds=round(time.monotonic() - begun, 1),
    )


def _new_rows(
    folder: Path, opened: Space, items: PathLike | Space, *, label: str | None, progress: Progress
) -> tuple[FloatArray, np.ndarray, list[str], list[bytes | None]]:
    """Return vectors, class names, ids and pictures of the labelled new rows."""
    place = None if isinstance(items, Space) else Path(items)
    if isinstance(items, Space) or (place is not None and (place / "space.json").exists()):
        other = items if isinstance(items, Space) else Space.open(items)
        codes, classes = other.labels(label)
        vectors, ids = other.vectors, other.ids.tolist()
        pictures = [other.picture(row) if other.has_pictures else None for row in range(len(other))]
        names = [classes[code] if code >= 0 else None for code in codes.tolist()]
    else:
        found = read_rows(items, label=label, progress=progress)
        if found.label is None:
            raise InputError("new_items", got=f"{found.kind} without classes", expected="labelled items")
        names = [None if name is None else str(name) for name in found.attributes[found.label]]
        ids, pictures = list(map(str, found.ids or range(len(names)))), [None] * len(names)
        if found.images is not None:
            encoder = open_encoder(folder)
            if encoder is None:
                raise InputError("new_items", got="pictures", expected="vectors: the Space has no encoder saved in it")
            vectors = encoder.encode(found.images, progress=progress)
        elif found.vectors is not None:
            vectors = np.asarray(found.vectors)
        else:
            raise InputError("new_items", got=found.kind, expected="a Space, vectors or pictures")
    kept = [row for row, name in enumerate(names) if name is not None]
    if not kept:
        raise InputError("new_items", got="no labelled row", expected="rows of at least one new class")
    if vectors.shape[1] != opened.dim:
        raise InputError("new_items", got=f"vectors of {vectors.shape[1]} dimensions", expected=f"{opened.dim}")
    labels = np.array([str(names[row]) for row in kept])
    return vectors[kept], labels, [str(ids[row]) for row in kept], [pictures[row] for row in kept]


def _learn_base(
    opened: Space,
    folder: Path,
    method: str,
    options: Mapping[str, Any],
    *,
    share: float,
    seed: int,
    progress: Progress,
) -> tuple[Space, Stream]:
    """Learn the labelled rows as task 0; return the Space with its task columns, and the stream."""
    codes, classes = opened.labels()
    names = np.array([classes[code] if code >= 0 else "" for code in codes.tolist()])
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        raise InputError("space", got="no labelled row", expected="labelled rows to learn the old classes from")
    hidden = np.zeros(len(codes), dtype=bool)
    hidden[rows] = _held_out(names[rows], share, seed=derive_seed(seed, "held out"))
    kind = _continual(method)
    model = kind(**{"random_state": seed, **parse_options(kind, options)})
    trained = rows[~hidden[rows]]
    model.fit(opened.vectors[trained], names[trained], progress=progress)
    labelled = codes >= 0
    marked = opened.with_columns(
        {
            COLUMNS[0]: [0 if own else None for own in labelled.tolist()],
            COLUMNS[1]: [bool(kept) if own else None for kept, own in zip(hidden, labelled, strict=True)],
        }
    )
    accuracies = _accuracies(model, marked)
    line = {"task": 0, "method": kind.KIND, "classes": classes, "accuracies": accuracies}
    add_task(marked, model, folder, line, so_far=None)
    opened = Space.open(folder)
    found = read_stream(opened, folder)
    assert found is not None  # noqa: S101  # it was written just now
    return opened, found


def _continual(method: str) -> type[AbstractContinualClassifier]:
    kind = find_trainable(method)[1]
    if not issubclass(kind, AbstractContinualClassifier):
        raise InputError("method", got=repr(method), expected="a continual one: napa-vq or prd")
    return kind


def _held_out(names: np.ndarray, share: float, *, seed: int) -> BoolArray:
    """Return which rows only judge: the share of each class, at least one and never all."""
    classes, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        alone = str(classes[counts.argmin()])
        raise InputError("new_items", got=f"one row of {alone!r}", expected="at least two: one of them judges")
    hidden = np.zeros(len(names), dtype=bool)
    hidden[shares(codes, np.arange(len(codes)), {"judged": share}, seed=seed)["judged"]] = True
    return hidden


def _tasks(space: Space) -> IntArray:
    """Return the task of each held-out row, -1 for the others."""
    tasks = space.column("task").astype(float)
    judged = np.array([value is True or value is np.True_ for value in space.column("held_out").tolist()])
    found: IntArray = np.where(judged & ~np.isnan(tasks), np.nan_to_num(tasks, nan=-1), -1).astype(np.int64)
    return found


def _judged(space: Space) -> IntArray:
    tasks = _tasks(space)
    return np.bincount(tasks[tasks >= 0])


def _accuracies(model: AbstractContinualClassifier, space: Space) -> list[float]:
    """Return the accuracy on the held-out rows of each task."""
    tasks = _tasks(space)
    codes, classes = space.labels()
    rows = np.flatnonzero(tasks >= 0)
    right = model.predict(space.vectors[rows]) == np.array(classes)[codes[rows]]
    return [float(right[tasks[rows] == task].mean()) for task in range(tasks.max() + 1)]


def _appended(
    space: Space,
    vectors: FloatArray,
    names: np.ndarray,
    *,
    ids: list[str],
    pictures: list[bytes | None],
    task: int,
    hidden: BoolArray,
) -> Space:
    """Return the Space with the new rows after the old ones; attributes that these don't have are missing."""
    taken = set(space.ids.tolist())
    fresh = [one if one not in taken else f"task {task}/{one}" for one in ids]
    assert space.label is not None  # noqa: S101  # the base task was learned from it
    added = pa.table({space.label: names.tolist(), "task": [task] * len(names), "held_out": hidden.tolist()})
    old = space.table.drop_columns(["id"])
    added = pa.table({name: added[name].cast(old.schema.field(name).type) for name in added.column_names})
    shown = [space.picture(row) for row in range(len(space))] if space.has_pictures else [None] * len(space)
    whole = [*shown, *pictures]
    return Space.create(
        np.concatenate([space.vectors, vectors.astype(np.float32)]),
        attributes=pa.concat_tables([old, added], promote_options="default"),
        ids=[*space.ids.tolist(), *fresh],
        label=space.label,
        geometry=space.geometry,
        encoder=space.encoder,
        pictures=whole if any(picture is not None for picture in whole) else None,
        info=space.info,
    )
