"""What a teacher says of rows, what the student sees of them, and their classes: matched row by row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray, PathLike, Progress
from spaceform.workflows.encoders import FOLDER, Encoder, load_encoder
from spaceform.workflows.learning.job import SIZE
from spaceform.workflows.places.rows import as_space, pictures_of, read_rows

SPACE_FILE, ENCODER_FILE = "space.json", "encoder.json"


@dataclass(frozen=True, kw_only=True)
class Material:
    """``n`` rows that teacher and student know.

    ``space``: their attributes; ``items``: as the student takes them; ``vectors (n, D)`` of the teacher; codes
    ``y (n,)`` (-1: unlabelled) of classes ``names``, which column ``label`` holds; ``part`` of each row in the
    teacher's own training, "" where it is not known.
    """

    space: Space
    items: np.ndarray
    vectors: FloatArray
    y: IntArray
    names: list[str]
    label: str
    part: np.ndarray
    notes: tuple[str, ...] = ()


def gather(
    teacher: PathLike | Space,
    inputs: PathLike | Space | None,
    *,
    label: str | None,
    vectors_only: bool,
    size: int | None,
    progress: Progress,
) -> Material:
    """Return the rows that both teacher and student know.

    ``inputs`` None: the pictures in the teacher's Space. Else a Space or a folder of pictures: rows of a teacher that
    is a Space are found by id; where no id is known, and for a teacher that is an encoder alone, the saved encoder
    embeds them. ``vectors_only``: the student takes vectors even where there are pictures.

    Raises ``InputError`` for a teacher that is neither, inputs missing, ids in common with nobody, other classes in
    teacher and inputs, and a row of another class here than there.
    """
    space, place = _teacher(teacher)
    if inputs is None:
        if space is None or not space.has_pictures or vectors_only:
            got = "an encoder without rows" if space is None else "a Space without pictures for the student to see"
            raise InputError("inputs", got=got, expected="a Space or a folder of pictures", remedy="pass --inputs")
        y, names = _labels(space, label)
        return _material(space, _pictures(space, size or SIZE), space.vectors, (y, names), space, label=label)
    own = _inputs(inputs, size=size, label=label, progress=progress)
    seen = own.has_pictures and not vectors_only
    if space is not None:
        theirs = {name: row for row, name in enumerate(space.ids.tolist())}
        rows = np.array([theirs.get(name, -1) for name in own.ids.tolist()])
        if (rows >= 0).any():
            return _matched(space, own, rows, label=label, pictured=seen, size=size)
    if place is None:
        got = "no id that the teacher's Space knows, and no encoder beside it"
        raise InputError("inputs", got=got, expected="rows with the ids of the teacher's")
    if space is not None:
        _same_classes(_names(space, label), _names(own, label))
    encoder = load_encoder(place)
    side = size or _side(encoder) or SIZE
    y, names = _labels(own, label)
    items = _pictures(own, side) if seen else own.vectors
    shown = _pictures(own, _side(encoder) or side) if own.has_pictures and _side(encoder) else own.vectors
    vectors = encoder.encode(shown, progress=progress)
    return _material(own, items, vectors, (y, names), None, label=label)


def _teacher(teacher: PathLike | Space) -> tuple[Space | None, Path | None]:
    """Return the Space, if it is one, and the folder of the encoder, if there is one."""
    if isinstance(teacher, Space):
        return teacher, None
    place = Path(teacher)
    encoder = place if (place / ENCODER_FILE).is_file() else place / FOLDER
    saved = encoder if (encoder / ENCODER_FILE).is_file() else None
    if (place / SPACE_FILE).is_file():
        return Space.open(place), saved
    if saved is None:
        raise InputError("teacher", got=str(place), expected="the folder of a Space, or of a saved encoder")
    return None, saved


def _inputs(inputs: PathLike | Space, *, size: int | None, label: str | None, progress: Progress) -> Space:
    if isinstance(inputs, Space):
        return inputs
    place = Path(inputs)
    if (place / SPACE_FILE).is_file():
        return Space.open(place)
    found = read_rows(place, label=label, size=size or SIZE, progress=progress)
    if found.images is None and found.vectors is None:
        raise InputError("inputs", got=found.kind, expected="pictures or vectors", remedy="build a Space of them first")
    return as_space(found)


def _matched(
    space: Space, own: Space, rows: IntArray, *, label: str | None, pictured: bool, size: int | None
) -> Material:
    kept = np.flatnonzero(rows >= 0)
    theirs = rows[kept]
    base = own if len(kept) == len(own) else own.select(kept)
    notes = () if len(kept) == len(own) else (f"{len(own) - len(kept):,} of {len(own):,} rows have no teacher",)
    labelled = [one for one in (base, space) if (label or one.label) in one.columns]
    if not labelled:
        raise InputError("label", got=repr(label), expected="a column of classes in the teacher or the inputs")
    if len(labelled) == 2:
        _same_classes(_names(space, label), _names(own, label))
        _same_rows(base.ids, _texts(space, label)[theirs], _texts(base, label))
    y, names = _labels(labelled[0], label)
    y = y if labelled[0] is base else y[theirs]
    items = _pictures(base, size or SIZE) if pictured else base.vectors
    return _material(base, items, space.vectors[theirs], (y, names), space, label=label, rows=theirs, notes=notes)


def _material(
    base: Space,
    items: np.ndarray,
    vectors: FloatArray,
    classes: tuple[IntArray, list[str]],
    space: Space | None,
    *,
    label: str | None,
    rows: Any = slice(None),
    notes: tuple[str, ...] = (),
) -> Material:
    y, names = classes
    part = np.full(len(base), "", dtype=object)
    if space is not None and "part" in space.columns:
        part = np.array([value or "" for value in space.column("part")[rows]], dtype=object)
    column = label or base.label or (space.label if space is not None else None)
    assert column is not None  # noqa: S101  # without one there would be no classes
    if column not in base.columns:
        base = base.with_columns({column: [names[code] if code >= 0 else None for code in y.tolist()]})
    return Material(space=base, items=items, vectors=vectors, y=y, names=names, label=column, part=part, notes=notes)


def _labels(space: Space, label: str | None) -> tuple[IntArray, list[str]]:
    codes, names = space.labels(label)
    return codes, list(map(str, names))


def _names(space: Space, label: str | None) -> set[str]:
    """Return the classes of a Space, none if it has no labels."""
    return set(_labels(space, label)[1]) if (label or space.label) in space.columns else set()


def _texts(space: Space, label: str | None) -> np.ndarray:
    codes, names = _labels(space, label)
    return np.array([*names, ""], dtype=object)[codes]  # -1 takes the last


def _same_classes(teacher: set[str], student: set[str]) -> None:
    if teacher and student and teacher != student:
        told = [
            f"only {who} has {', '.join(map(repr, sorted(more)[:5]))}{' ...' if len(more) > 5 else ''}"
            for who, more in (("the teacher", teacher - student), ("the student", student - teacher))
            if more
        ]
        remedy = "distil what both know: select rows, or name another column with --label"
        raise InputError("label", got="; ".join(told), expected="the same classes in both", remedy=remedy)


def _same_rows(ids: np.ndarray, theirs: np.ndarray, own: np.ndarray) -> None:
    other = np.flatnonzero((theirs != own) & (theirs != "") & (own != ""))
    if len(other):
        row = other[0]
        got = f"row {str(ids[row])!r} of class {theirs[row]!r} in the teacher and {own[row]!r} in the inputs"
        raise InputError("inputs", got=got, expected="one class", remedy="ids must name the same rows in both")


def _pictures(space: Space, size: int) -> np.ndarray:
    return pictures_of(space, size=size, argument="inputs")


def _side(encoder: Encoder) -> int | None:
    """Return the side of the pictures that an encoder was trained on, or None when it takes vectors or texts."""
    shape: tuple[int, ...] = getattr(encoder, "input_shape_", ())
    return int(shape[0]) if len(shape) == 3 else None
