"""From what a user points at to units of work: the files, their fingerprints, what is embedded, what is kept."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spaceform.data.layouts.columns import ID, is_text, known_column
from spaceform.data.layouts.embedded import EMBEDDING
from spaceform.data.layouts.images import SUFFIXES as PICTURES
from spaceform.data.layouts.images import find_pictures
from spaceform.data.layouts.source import existing, shown
from spaceform.data.layouts.vectors import LABEL_NAMES
from spaceform.errors import InputError
from spaceform.space_rows import RESERVED
from spaceform.types import Progress
from spaceform.workflows.embedding.job import File, Plan, Reading, Unit
from spaceform.workflows.embedding.records import blocks, inferred_schema

TABLES = {".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "txt"}
"""Kinds of files by their endings."""

MAGIC = "*?["


def plan(source: str | Path, reading: Reading, progress: Progress) -> Plan:
    """Return files, units and columns of ``source``: a file, a folder (of tables or of pictures) or a glob pattern.

    Every byte is read once, for the fingerprint. A file that can't be read at all is kept with its problem. Raises
    ``InputError`` for no files, files of several kinds, unknown columns, and a source without a row.
    """
    root, paths = _files(source)
    kinds = {TABLES.get(path.suffix.lower(), "pictures") for path in paths}
    if len(kinds) > 1:
        raise InputError("source", got=f"files of {sorted(kinds)}", expected="one kind", remedy="name it by a pattern")
    kind = kinds.pop()
    if kind == "pictures":
        return _pictures(root, paths, reading, progress)
    files, units = [], list[Unit]()
    schema: pa.Schema | None = None
    for done, path in enumerate(paths):
        progress("reading the source", done, len(paths))
        file = File(name=_name(path, root), path=str(path), digest=_digest(path))
        try:
            own, made = _table(path, kind, file.name, reading)
        except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
            reason = str(error).partition("\n")[0]
            files.append(replace(file, problem=f"a damaged or foreign {kind} file ({reason})"))
            continue
        files.append(replace(file, rows=sum(unit.rows for unit in made)))
        if made:
            schema = own if schema is None else pa.unify_schemas([schema, own], promote_options="permissive")
            units += [replace(unit, number=len(units) + i) for i, unit in enumerate(made)]
    progress("reading the source", len(paths), len(paths))
    if schema is None:
        first = next((file.problem for file in files if file.problem), "no rows")
        raise InputError(shown(source), got=first, expected="a file with at least one row")
    return _columns(schema, kind, reading, files=files, units=units)


def _files(source: str | Path) -> tuple[Path, list[Path]]:
    """Return the folder that names are relative to, and the files in the order of their names."""
    text = str(source)
    if any(sign in text for sign in MAGIC) and not os.path.lexists(text):
        fixed = Path(text)
        while any(sign in str(fixed) for sign in MAGIC):
            fixed = fixed.parent
        found = [Path(name) for name in glob.glob(text, recursive=True) if Path(name).is_file()]  # noqa: PTH207
    else:
        fixed = existing(source, "source")
        if fixed.is_file():
            fixed, found = fixed.parent, [fixed]
        else:
            found = list(_walk(fixed))
    found = [path for path in found if path.suffix.lower() in {*TABLES, *PICTURES}]
    if not found:
        expected = "files that end in " + ", ".join([*TABLES, *sorted(PICTURES)])
        raise InputError("source", got=f"{shown(source)}, where there are none", expected=expected)
    return fixed, sorted(found, key=os.fsencode)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _pictures(root: Path, paths: Sequence[Path], reading: Reading, progress: Progress) -> Plan:
    wanted = set(paths)
    found = [(name, path, kind) for name, path, kind in find_pictures(root) if path in wanted]
    listed: list[tuple[str, str, str | None]] = []
    files = []
    for done, (name, path, kind) in enumerate(found):
        if done % 200 == 0:
            progress("reading the source", done, len(found))
        files.append(File(name=name, path=str(path), digest=_digest(path), rows=1))
        listed.append((name, str(path), kind))
    progress("reading the source", len(found), len(found))
    units: list[Unit] = []
    for first in range(0, len(listed), reading.rows_per_unit):
        some = tuple(listed[first : first + reading.rows_per_unit])
        number = len(units)
        units.append(
            Unit(number=number, name=".", path=str(root), group=number, first=first, rows=len(some), pictures=some)
        )
    fields = [("file", pa.string())] + [("class", pa.string())] * any(kind is not None for _, _, kind in listed)
    return Plan(kind="pictures", payload="image", column=None, ids=None, schema=pa.schema(fields), files=files,
                units=units)  # fmt: skip


def _table(path: Path, kind: str, name: str, reading: Reading) -> tuple[pa.Schema, list[Unit]]:
    """Return the columns of one file and its units, numbered from 0."""
    if kind == "parquet":
        with pq.ParquetFile(path) as file:
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            starts = [sum(rows[:group]) for group in range(len(rows))]
            made = [
                Unit(number=group, name=name, path=str(path), group=group, first=starts[group], rows=count)
                for group, count in enumerate(rows)
                if count
            ]
            return file.schema_arrow.remove_metadata(), made
    found = blocks(path, kind, size=reading.rows_per_unit)
    if not found:
        return pa.schema([]), []
    units = [
        Unit(number=group, name=name, path=str(path), group=group, first=first, rows=count, start=start, stop=stop)
        for group, (first, count, start, stop) in enumerate(found)
    ]
    return inferred_schema(path, kind, found[0]), units


def _columns(schema: pa.Schema, kind: str, reading: Reading, *, files: Sequence[File], units: Sequence[Unit]) -> Plan:
    table = schema.empty_table()
    ids = reading.ids if reading.ids is not None else ID if ID in schema.names else None
    if ids is not None:
        known_column(table, ids, "ids")
    if reading.text_column is not None and reading.vector_column is not None:
        raise InputError("text_column", got="both it and vector_column", expected="one of the two")
    if reading.vector_column is not None:
        column, payload = known_column(table, reading.vector_column, "vector_column"), "vector"
    elif reading.text_column is not None:
        column, payload = known_column(table, reading.text_column, "text_column"), "text"
    else:
        column, payload = _chosen(schema, ids)
    fitting = is_text if payload == "text" else is_vector
    if not fitting(schema.field(column).type):
        got = f"{column!r}, a column of {schema.field(column).type}"
        raise InputError(f"{payload}_column", got=got, expected="a column of " + _WHAT[payload])
    others = [field for field in schema if field.name != ids and not (payload == "vector" and field.name == column)]
    kept = [field for field in others if is_attribute(field.type) and field.name not in {*RESERVED, EMBEDDING}]
    left_out = [field.name for field in others if field not in kept]
    return Plan(kind=kind, payload=payload, column=column, ids=ids, schema=pa.schema(kept), files=files, units=units,
                left_out=left_out)  # fmt: skip


_WHAT = {"text": "text", "vector": "number lists"}


def _chosen(schema: pa.Schema, ids: str | None) -> tuple[str, str]:
    texts = [field.name for field in schema if is_text(field.type) and field.name != ids]
    if "text" in texts:
        return "text", "text"
    texts = [name for name in texts if name not in LABEL_NAMES]
    vectors = [field.name for field in schema if is_vector(field.type)]
    for found, payload in ((texts, "text"), (vectors, "vector")):
        if len(found) == 1:
            return found[0], payload
    listed = ", ".join(f"{field.name!r} ({field.type})" for field in schema)
    raise InputError("source", got=f"columns {listed}", expected="one of text, or of number lists",
                     remedy="name it with text_column or vector_column")  # fmt: skip


def is_vector(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of numbers."""
    is_ = pa.types
    if not (is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)):
        return False
    return bool(is_.is_integer(kind.value_type) or is_.is_floating(kind.value_type))


def is_attribute(kind: pa.DataType) -> bool:
    """Whether a Space has a place for a column of this Arrow type."""
    is_ = pa.types
    if is_.is_list(kind) or is_.is_large_list(kind):
        return is_text(kind.value_type)
    plain = (is_.is_boolean, is_.is_integer, is_.is_floating, is_.is_date, is_.is_timestamp)
    return is_text(kind) or any(test(kind) for test in plain)


def _name(path: Path, root: Path) -> str:
    return shown(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
