"""What a Space is built from: the emoji, or whatever the user points at, as rows of one kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spaceform import data
from spaceform.checks import check_choice
from spaceform.data import layouts
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.source import Source
from spaceform.data.pictures import decode, encode_png, on_white
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.types import PathLike, Progress, no_progress


def read_rows(
    source: PathLike,
    *,
    label: str | None = None,
    vector_column: str | None = None,
    text_column: str | None = None,
    size: int = 48,
    names_only: bool = False,
    progress: Progress = no_progress,
) -> Source:
    """Return the rows of ``source``: ``"emoji"`` or a path that ``data.layouts.read_source`` takes.

    ``names_only`` gives the emoji as texts, one row per concept. Raises ``InputError`` for what can't be read and for
    a ``label`` that is no column.
    """
    if str(source) == "emoji":
        rows = emoji_names(progress=progress) if names_only else emoji_drawings(size=size, progress=progress)
    elif label is not None and (place := layouts.source.existing(source)).is_file() and place.suffix != ".txt":
        return layouts.read_source(
            source, vector_column=vector_column, text_column=text_column, label=label, size=size, progress=progress
        )
    else:
        rows = layouts.read_source(
            source, vector_column=vector_column, text_column=text_column, size=size, progress=progress
        )
    return rows if label is None else replace(rows, label=check_choice(label, "label", list(rows.attributes)))


def as_space(rows: Source) -> Space:
    """Return rows with pictures or vectors as a Space; pictures alone get a vector of one zero until they have more."""
    return Space.create(
        np.zeros((len(rows), 1), dtype=np.float32) if rows.vectors is None else rows.vectors,
        attributes=dict(rows.attributes),
        ids=rows.ids,
        label=rows.label,
        pictures=None if rows.images is None else encode_png(rows.images),
        info={"source": rows.path},
    )


def pictures_of(space: Space, *, size: int, argument: str) -> np.ndarray:
    """Return the pictures ``(n, size, size, 3)`` of all rows; ``InputError`` on ``argument`` where one is missing."""
    encoded = [space.picture(row) for row in range(len(space))]
    missing = [row for row, picture in enumerate(encoded) if picture is None]
    if missing:
        raise InputError(argument, got=f"no picture in row {missing[0]}", expected="a picture per row, or net='mlp'")
    return decode([picture for picture in encoded if picture is not None], size=size)


def emoji_drawings(*, size: int = 48, progress: Progress = no_progress) -> Source:
    """Return one row per drawing, its picture on white: the class is the concept, the vendors are views of it."""
    drawn = data.load("emoji", size=size, progress=progress)
    names = [drawn.classes[code] for code in drawn.y]
    vendors = [str(vendor) for vendor in drawn.attributes["vendor"]]
    return Source(
        kind="images",
        path="emoji",
        images=on_white(drawn.X),
        attributes={"concept": names, "vendor": vendors, **_columns(drawn)},
        label="concept",
        ids=[f"{name}/{vendor}" for name, vendor in zip(names, vendors, strict=True)],
    )


def emoji_names(*, progress: Progress = no_progress) -> Source:
    """Return one row per concept: its name as the text, one vendor's drawing as the picture."""
    drawn = data.load("emoji", vendors=["twitter"], progress=progress)
    names = [drawn.classes[code] for code in drawn.y]
    return Source(
        kind="texts",
        path="emoji",
        texts=names,
        images=on_white(drawn.X),
        attributes={"name": names, **_columns(drawn)},
        label="subcategory",
        ids=names,
    )


def _columns(drawn: Dataset) -> dict[str, list[str] | list[list[str]]]:
    keywords = [list(words) for words in drawn.attributes["keywords"]]
    columns = {name: list(np.asarray(drawn.attributes[name]).astype(str)) for name in ("category", "subcategory")}
    return {"keywords": keywords, **columns}
