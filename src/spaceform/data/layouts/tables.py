"""Tables: Parquet, CSV and TSV files with vectors beside other columns."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pyarrow as pa

from spaceform.data.layouts.columns import (
    ID,
    attribute_columns,
    id_column,
    known_column,
    label_column,
    listed,
    nested_vectors,
    number_list_columns,
    wide_vectors,
)
from spaceform.data.layouts.source import Source, existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike

SUFFIXES = (".parquet", ".csv", ".tsv")


def open_table(path: PathLike, *, ids: str | None = None) -> pa.Table:
    """Read a .parquet, .csv or .tsv file (UTF-8, first line names the columns) as an Arrow table with at least a row.

    In CSV and TSV the types are guessed from the values, but the column ``ids`` (default "id") stays text, and only
    an empty field means missing.

    Raises ``InputError`` for another ending, a damaged or empty file, and columns that share a name.
    """
    place = existing(path)
    suffix = place.suffix.lower()
    if suffix not in SUFFIXES or place.is_dir():
        raise InputError("path", got=shown(place), expected="a file that ends in " + ", ".join(SUFFIXES))
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            table = pq.ParquetFile(place).read()
        else:
            from pyarrow import csv

            options = csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",", newlines_in_values=True)
            convert = csv.ConvertOptions(
                column_types={ids or ID: pa.string()},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            table = csv.read_csv(place, parse_options=options, convert_options=convert)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            shown(place), got=f"a damaged or foreign file ({reason})", expected=f"a {suffix} table"
        ) from error
    if suffix != ".parquet":
        _refuse_other_encodings(table, place)
    repeated = {name for name in table.column_names if table.column_names.count(name) > 1}
    if repeated:
        raise InputError(shown(place), got=f"columns that share a name: {sorted(repeated)}", expected="names once each")
    if table.num_rows == 0:
        raise InputError(shown(place), got="no rows", expected="at least one row below the column names")
    return table


def _refuse_other_encodings(table: pa.Table, place: Path) -> None:
    for field in table.schema:
        if pa.types.is_binary(field.type):  # what Arrow guesses for bytes that are no UTF-8
            raise InputError(
                shown(place), got=f"bytes that are no UTF-8 in column {field.name!r}", expected="UTF-8 text"
            )


def read_table(
    path: PathLike,
    *,
    vector_column: str | None = None,
    vector_columns: str | None = None,
    label: str | None = None,
    ids: str | None = None,
) -> Source:
    """Read vectors and their attributes from a .parquet, .csv or .tsv file.

    ``vector_column``: one column of lists (Parquet: list or fixed-size list; CSV: text like "[0.1, 0.2]"); by default
    the only column of number lists. ``vector_columns``: many columns of one number each, by prefix ("emb_") or
    pattern ("emb_*"), in the order of the file. ``label`` names the column with the classes (default: label, labels,
    y, class or target if there), ``ids`` that of unique ids (default: a column "id"). The rest become attributes.

    Raises ``InputError`` for unknown names, vectors of different lengths, missing values in them, NaN, repeated ids
    and what ``open_table`` refuses. O(n d).
    """
    return vectors_of(
        open_table(path, ids=ids),
        Path(path),
        vector_column=vector_column,
        vector_columns=vector_columns,
        label=label,
        ids=ids,
    )


def vectors_of(
    table: pa.Table,
    place: Path,
    *,
    vector_column: str | None,
    vector_columns: str | None,
    label: str | None,
    ids: str | None,
) -> Source:
    """Do the work of ``read_table`` on an open table."""
    if vector_columns is not None:
        if vector_column is not None:
            raise InputError("vector_columns", got="both it and vector_column", expected="one of the two")
        pattern = vector_columns if any(sign in vector_columns for sign in "*?[") else f"{vector_columns}*"
        used = [name for name in table.column_names if fnmatch.fnmatchcase(name, pattern)]
        vectors = wide_vectors(table, used, vector_columns)
    else:
        name = vector_column if vector_column is not None else _only_list_column(table, place)
        used = [known_column(table, name, "vector_column")]
        vectors = nested_vectors(table.column(name), f"{shown(place)}[{name!r}]")
    rest = table.drop_columns(used)
    label, names = label_column(rest, label), id_column(rest, ids, place)
    attributes = attribute_columns(rest, label, ids)
    return Source(kind="vectors", path=str(place), vectors=vectors, attributes=attributes, label=label, ids=names)


def _only_list_column(table: pa.Table, place: Path) -> str:
    found = number_list_columns(table)
    if len(found) != 1:
        raise InputError(
            shown(place),
            got=f"{len(found)} columns of number lists among {listed(table)}",
            expected="exactly one",
            remedy="name it with vector_column=, or columns of one number each with vector_columns='emb_*'",
        )
    return found[0]
