"""Files of text that hold records: where their blocks begin, and what a block holds, record by record."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import csv as arrow_csv

DELIMITER = {"csv": ",", "tsv": "\t"}
TEXT = "text"
"""The column of a file of plain lines."""

Bounds: TypeAlias = tuple[int, int, int, int]
"""Of a block: its first record, how many there are, and the bytes where it begins and ends."""

Record: TypeAlias = Mapping[str, Any] | str
"""Values by column, or what is wrong with the record."""


def blocks(path: Path, kind: str, *, size: int) -> list[Bounds]:
    """Return the blocks of ``size`` records (the last may be shorter) of a file. One pass, O(1) memory a block."""
    found: list[Bounds] = []
    with path.open("rb") as file:
        lines = _Lines(file)
        ends = _record_ends(lines, kind)
        start = next(ends, 0) if kind in DELIMITER else 0
        first = count = 0
        end = start
        for end in ends:
            count += 1
            if count == size:
                found.append((first, count, start, end))
                first, count, start = first + count, 0, end
    return [*found, (first, count, start, end)] if count else found


def read_block(path: Path, kind: str, bounds: tuple[int, int]) -> Iterator[Record]:
    """Yield the records between two bytes of a file."""
    start, stop = bounds
    with path.open("rb") as file:
        header = file.readline() if kind in DELIMITER else b""
        file.seek(start)
        text = file.read(stop - start).decode("utf-8", errors="surrogateescape")
    if kind in DELIMITER:
        yield from _table_records(header.decode("utf-8-sig", errors="surrogateescape"), text, kind)
    else:
        lines = (text.removeprefix("\ufeff") if start == 0 else text).split("\n")
        parse = _json_record if kind == "jsonl" else _line_record
        yield from (parse(line) for line in lines if line.strip())


def inferred_schema(path: Path, kind: str, first: Bounds) -> pa.Schema:
    """Return the columns of a file and their types, as the first block of records shows them."""
    if kind == "txt":
        return pa.schema([(TEXT, pa.string())])
    if kind == "jsonl":
        records = [record for record in read_block(path, kind, first[2:]) if not isinstance(record, str)]
        names = dict.fromkeys(name for record in records for name in record)
        return pa.schema([(name, _json_type([record.get(name) for record in records])) for name in names])
    with path.open("rb") as file:
        text = file.read(first[3])
    table = arrow_csv.read_csv(
        io.BytesIO(text.decode("utf-8", errors="replace").encode()),
        parse_options=arrow_csv.ParseOptions(
            delimiter=DELIMITER[kind], newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        ),
        convert_options=arrow_csv.ConvertOptions(null_values=[""], strings_can_be_null=True),
    )
    plain = pa.types.is_null, pa.types.is_time
    return pa.schema(
        [(field.name, pa.string() if any(test(field.type) for test in plain) else field.type) for field in table.schema]
    )


def converted(values: Sequence[Any], kind: pa.DataType) -> tuple[pa.Array, dict[int, str]]:
    """Return values as a column of a type, and by row what can't be (None stands there)."""
    try:
        return _column(values, kind), {}
    except (pa.ArrowException, UnicodeError, TypeError, ValueError, OverflowError):
        pass
    kept, bad = list(values), {}
    for row, value in enumerate(values):
        try:
            _column([value], kind)
        except UnicodeError:
            kept[row], bad[row] = None, "bytes that are no UTF-8"
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            kept[row], bad[row] = None, f"{str(value)[:40]!r} is no {kind}"
    return _column(kept, kind), bad


class _Lines:
    """The lines of a binary file as text, and how many bytes of it were taken."""

    def __init__(self, file: Any) -> None:
        self._file, self.taken = file, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.taken += len(line)
            yield line.decode("utf-8", errors="surrogateescape")


def _record_ends(lines: _Lines, kind: str) -> Iterator[int]:
    """Yield where each record ends, the line of column names included."""
    if kind in DELIMITER:
        with _long_fields():
            for row in csv.reader(iter(lines), delimiter=DELIMITER[kind]):
                if row:
                    yield lines.taken
        return
    for line in lines:
        if line.strip():
            yield lines.taken


def _table_records(header: str, text: str, kind: str) -> Iterator[Record]:
    names = next(csv.reader([header], delimiter=DELIMITER[kind]))
    with _long_fields():
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITER[kind]):
            if row:
                fits = len(row) == len(names)
                values = {name: value or None for name, value in zip(names, row, strict=False)}
                yield values if fits else f"{len(row)} fields where there are {len(names)} columns"


def _json_record(line: str) -> Record:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return value if isinstance(value, dict) else f"JSON that is a {type(value).__name__}, not an object"


def _line_record(line: str) -> Record:
    return {TEXT: line.removesuffix("\r")}


def _json_type(values: list[Any]) -> pa.DataType:
    try:
        kind = pa.array(values).type
    except (pa.ArrowException, UnicodeError):
        return pa.string()
    return pa.string() if pa.types.is_null(kind) else kind


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    texts = [value for value in values if isinstance(value, str)]
    if texts and not (pa.types.is_string(kind) or pa.types.is_nested(kind)):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be longer than the csv module's 131,072 characters while a file is read."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
