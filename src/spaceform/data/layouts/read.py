"""One reader for whatever a user points at: a folder of pictures, a file of vectors, texts or a table."""

from __future__ import annotations

import pyarrow as pa

from spaceform.data.layouts.columns import is_text, number_list_columns
from spaceform.data.layouts.embedded import is_embedded, read_embedded
from spaceform.data.layouts.images import read_image_folder
from spaceform.data.layouts.source import Source, existing, shown
from spaceform.data.layouts.tables import SUFFIXES, open_table, vectors_of
from spaceform.data.layouts.texts import read_texts, texts_of
from spaceform.data.layouts.vectors import read_vectors
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress


def read_source(
    path: PathLike,
    *,
    vector_column: str | None = None,
    vector_columns: str | None = None,
    text_column: str | None = None,
    label: str | None = None,
    ids: str | None = None,
    size: int = 48,
    on_error: str = "raise",
    progress: Progress = no_progress,
) -> Source:
    """Read a folder of pictures or embedded parts, a .npy or .npz file, a table (.parquet, .csv, .tsv), or .txt lines.

    A table is read as texts when ``text_column`` is given, as vectors when ``vector_column`` or ``vector_columns`` is
    given or it has a column of number lists, else as texts when it holds text. The options are those of
    ``read_image_folder``, ``read_vectors``, ``read_table`` and ``read_texts``.

    Raises ``InputError`` for other files, for an option that this kind of source does not have (so that none is
    silently ignored), and what those readers refuse.
    """
    place = existing(path)
    given = {"vector_column": vector_column, "vector_columns": vector_columns, "text_column": text_column}
    suffix = place.suffix.lower()
    if place.is_dir():
        if is_embedded(place):
            _refuse_given({**given, "ids": ids}, "a folder of embedded parts")
            return read_embedded(place, label=label)
        if (place / "space.json").is_file():
            raise InputError("path", got=f"{shown(place)}, a Space", expected="what a Space is built from")
        _refuse_given({**given, "label": label, "ids": ids}, "a folder of pictures")
        return read_image_folder(place, size=size, on_error=on_error, progress=progress)
    if suffix in {".npy", ".npz"}:
        _refuse_given({**given, "ids": ids}, f"a {suffix} file")
        return read_vectors(place, label=label)
    if suffix == ".txt":
        _refuse_given({**given, "label": label, "ids": ids}, "a .txt file")
        return read_texts(place, on_error=on_error)
    if suffix not in SUFFIXES:
        expected = "a folder of pictures, or a file that ends in .npy, .npz, .txt, " + ", ".join(SUFFIXES)
        raise InputError("path", got=shown(place), expected=expected)
    if text_column is not None:
        _refuse_given({"vector_column": vector_column, "vector_columns": vector_columns}, "a table of texts")
    table = open_table(place, ids=ids)
    asked = vector_column is not None or vector_columns is not None
    if asked or (text_column is None and (number_list_columns(table) or not _has_text(table))):
        return vectors_of(
            table, place, vector_column=vector_column, vector_columns=vector_columns, label=label, ids=ids
        )
    return texts_of(table, place, text_column=text_column, label=label, ids=ids, on_error=on_error)


def _has_text(table: pa.Table) -> bool:
    return any(is_text(field.type) for field in table.schema)


def _refuse_given(options: dict[str, str | None], kind: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise InputError(name, got=repr(value), expected=f"None: {kind} has no columns to choose from")
