"""Texts: one per line of a file, or one per row of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from spaceform.data.layouts.columns import (
    ID,
    attribute_columns,
    id_column,
    is_text,
    known_column,
    label_column,
    listed,
)
from spaceform.data.layouts.source import Source, check_on_error, existing, refuse, shown
from spaceform.data.layouts.tables import open_table
from spaceform.data.layouts.vectors import LABEL_NAMES
from spaceform.errors import InputError
from spaceform.types import PathLike


def read_texts(
    path: PathLike,
    *,
    text_column: str | None = None,
    label: str | None = None,
    ids: str | None = None,
    on_error: str = "raise",
) -> Source:
    """Read texts from a .txt file (one per line; empty lines do not count) or a .parquet, .csv or .tsv file.

    ``text_column`` by default is a column "text", else the only one that holds text. ``label`` and ``ids`` as in
    ``read_table``; the rest become attributes. ``on_error``: "raise" refuses a table with empty texts and names the
    rows, "skip" leaves them out and lists them in ``skipped``.

    Raises ``InputError`` for these, unknown columns, text that is no UTF-8, and files without a text.
    """
    place = existing(path)
    if place.suffix.lower() == ".txt":
        check_on_error(on_error)
        return Source(kind="texts", path=str(place), texts=_lines(place))
    table = open_table(place, ids=ids)
    return texts_of(table, place, text_column=text_column, label=label, ids=ids, on_error=on_error)


def texts_of(
    table: pa.Table, place: Path, *, text_column: str | None, label: str | None, ids: str | None, on_error: str
) -> Source:
    """Do the work of ``read_texts`` on an open table."""
    check_on_error(on_error)
    name = text_column if text_column is not None else _text_column(table, place, label, ids)
    column = table.column(known_column(table, name, "text_column"))
    if not is_text(column.type):
        raise InputError("text_column", got=f"{name!r}, a column of {column.type}", expected="a column of text")
    values = column.cast(pa.string()).to_pylist()
    kept = np.array([text is not None and bool(text.strip()) for text in values])
    bad = [(f"row {row}", "no text") for row in np.flatnonzero(~kept)]
    if bad and (on_error == "raise" or not kept.any()):
        raise refuse(place, bad, total=len(values), what="rows")
    texts = [text for text, keep in zip(values, kept, strict=True) if keep]
    rest = table.drop_columns([name]).filter(pa.array(kept))
    label, names = label_column(rest, label), id_column(rest, ids, place)
    attributes = attribute_columns(rest, label, ids)
    return Source(
        kind="texts", path=str(place), texts=texts, attributes=attributes, label=label, ids=names, skipped=bad
    )


def _text_column(table: pa.Table, place: Path, label: str | None, ids: str | None) -> str:
    words = [field.name for field in table.schema if is_text(field.type)]
    if "text" in words:
        return "text"
    left = [name for name in words if name not in {label, ids or ID, *LABEL_NAMES}]
    if len(left) != 1:
        raise InputError(
            shown(place),
            got=f"{len(left)} columns that may be the text among {listed(table)}",
            expected="one",
            remedy="name it with text_column=",
        )
    return left[0]


def _lines(place: Path) -> list[str]:
    try:
        with place.open(encoding="utf-8-sig") as handle:
            texts = [line.rstrip("\n") for line in handle if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(
            shown(place), got=f"bytes that are no UTF-8 ({error.reason})", expected="a UTF-8 text file"
        ) from error
    if not texts:
        raise InputError(shown(place), got="no text", expected="one text per line")
    return texts
