"""The rows of one unit of work: what the encoder gets, what is kept beside it, and the rows that can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spaceform.data.layouts.images import read_picture
from spaceform.errors import InputError
from spaceform.workflows.embedding.job import Plan, Reading, Unit
from spaceform.workflows.embedding.records import converted, read_block


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """Rows that were not embedded: ``rows`` of them from ``row`` on in ``file``, and the reason."""

    file: str
    row: int
    reason: str
    id: str | None = None
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Usable rows: ``ids`` (n,) text, ``items`` what the encoder gets, ``numbers`` in the file, and ``attributes``."""

    ids: np.ndarray
    items: np.ndarray
    numbers: np.ndarray
    attributes: pa.Table
    bad: Sequence[Quarantined]


def read_rows(unit: Unit, plan: Plan, reading: Reading) -> Rows:
    """Read the rows of a unit; those that can't be used are named with the reason, and no row is lost between."""
    if plan.kind == "pictures":
        return _pictures(unit, plan, reading.size)
    try:
        table, bad = _parquet(unit, plan) if plan.kind == "parquet" else _records(unit, plan)
    except (pa.ArrowException, OSError) as error:
        reason = f"unreadable row group: {str(error).partition(chr(10))[0]}"
        lost = Quarantined(file=unit.name, row=unit.first, rows=unit.rows, reason=reason)
        empty = np.array([], dtype=object)
        return Rows(ids=empty, items=empty, numbers=empty, attributes=plan.schema.empty_table(), bad=[lost])
    ids = _ids(table, unit, plan, bad)
    items = _texts(table, plan, bad) if plan.payload == "text" else _vectors(table, plan, bad)
    kept = np.array([row not in bad for row in range(table.num_rows)], dtype=bool)
    numbers = unit.first + np.arange(table.num_rows)
    named = [
        Quarantined(file=unit.name, row=int(numbers[row]), reason=reason, id=ids[row])
        for row, reason in sorted(bad.items())
    ]
    used = items[kept] if len(items) else items
    return Rows(
        ids=ids[kept],
        items=np.stack(list(used)).astype(np.float32) if plan.payload == "vector" and len(used) else used,
        numbers=numbers[kept],
        attributes=_attributes(table, plan, pa.array(kept)),
        bad=named,
    )


def _parquet(unit: Unit, plan: Plan) -> tuple[pa.Table, dict[int, str]]:
    wanted = {*plan.schema.names, plan.column, plan.ids}
    with pq.ParquetFile(unit.path) as file:
        names = [name for name in file.schema_arrow.names if name in wanted]
        return file.read_row_group(unit.group, columns=names, use_threads=False), {}


def _records(unit: Unit, plan: Plan) -> tuple[pa.Table, dict[int, str]]:
    records = list(read_block(Path(unit.path), plan.kind, (unit.start, unit.stop)))
    bad = {row: record for row, record in enumerate(records) if isinstance(record, str)}
    fields = {field.name: field.type for field in plan.schema}
    for name in (plan.ids, plan.column):
        if name is not None:
            fields.setdefault(
                name, pa.string() if name == plan.ids or plan.payload == "text" else pa.list_(pa.float64())
            )
    columns = {}
    for name, kind in fields.items():
        values: list[Any] = [None if isinstance(record, str) else record.get(name) for record in records]
        if name == plan.ids:
            values = [value if value is None or isinstance(value, str) else str(value) for value in values]
        columns[name], wrong = converted(values, kind)
        bad |= {row: f"column {name!r}: {reason}" for row, reason in wrong.items() if row not in bad}
    return pa.table(columns), bad


def _ids(table: pa.Table, unit: Unit, plan: Plan, bad: dict[int, str]) -> np.ndarray:
    if plan.ids is None:
        return np.array([f"{unit.name}#{unit.first + row:010d}" for row in range(table.num_rows)], dtype=object)
    if plan.ids not in table.column_names:
        raise InputError("ids", got=f"{unit.name}, which has no column {plan.ids!r}", expected="it in every file")
    values = table[plan.ids].to_pylist()
    for row, value in enumerate(values):
        if value is None:
            bad.setdefault(row, f"no id in column {plan.ids!r}")
    return np.array([None if value is None else str(value) for value in values], dtype=object)


def _texts(table: pa.Table, plan: Plan, bad: dict[int, str]) -> np.ndarray:
    values = _payload(table, plan).cast(pa.string()).to_pylist()
    for row, value in enumerate(values):
        if value is None or not value.strip():
            bad.setdefault(row, "no text")
    return np.array(values, dtype=object)


def _vectors(table: pa.Table, plan: Plan, bad: dict[int, str]) -> np.ndarray:
    values = np.empty(table.num_rows, dtype=object)
    widths = pc.list_value_length(_payload(table, plan)).to_numpy(zero_copy_only=False)
    width = np.nan_to_num(widths[~np.isnan(widths.astype(float))][:1], nan=0).astype(int)
    for row, value in enumerate(_payload(table, plan).to_pylist()):
        if value is None:
            bad.setdefault(row, "no vector")
        elif len(value) != width[0]:
            bad.setdefault(row, f"{len(value)} numbers where there are {width[0]} in the first row")
        elif not np.isfinite(np.asarray(value, dtype=float)).all():
            bad.setdefault(row, "NaN, an infinity or a missing value in the vector")
        values[row] = None if value is None else np.asarray(value, dtype=float)
    return values


def _payload(table: pa.Table, plan: Plan) -> pa.ChunkedArray:
    if plan.column not in table.column_names:
        raise InputError(
            f"{plan.payload}_column", got=f"a file without {plan.column!r}", expected="it in every file of the source"
        )
    return table[plan.column]


def _attributes(table: pa.Table, plan: Plan, kept: pa.Array) -> pa.Table:
    """Return the attributes as every part has them; what a file lacks is missing in all of its rows."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in plan.schema
    ]
    return pa.table([column.filter(kept) for column in columns], schema=plan.schema)


def _pictures(unit: Unit, plan: Plan, size: int) -> Rows:
    kept: list[int] = []
    bad = []
    images = np.empty((len(unit.pictures), size, size, 3), dtype=np.uint8)
    for row, (name, path, _) in enumerate(unit.pictures):
        try:
            images[len(kept)] = read_picture(path, size=size)
            kept.append(row)
        except InputError as error:
            bad.append(Quarantined(file=name, row=0, reason=str(error.got), id=name))
    chosen = [unit.pictures[row] for row in kept]
    columns = {"file": [name for name, _, _ in chosen], "class": [kind for _, _, kind in chosen]}
    return Rows(
        ids=np.array(columns["file"], dtype=object),
        items=images[: len(kept)],
        numbers=np.zeros(len(kept), dtype=np.int64),
        attributes=pa.table({name: columns[name] for name in plan.schema.names}, schema=plan.schema),
        bad=bad,
    )
