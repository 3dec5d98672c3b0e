"""What ``spaceform embed`` left in a folder: one Parquet file per unit of work, put back in order by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaceform.data.layouts.columns import ID, attribute_columns, id_column, label_column, nested_vectors
from spaceform.data.layouts.source import Source, shown
from spaceform.errors import InputError

FORMAT, VERSION = "spaceform.embedded", 1
RECORD, PARTS, EMBEDDING = "manifest.json", "parts", "embedding"


def is_embedded(folder: Path) -> bool:
    """Whether ``embed`` has worked in this folder: its manifest is there."""
    return (folder / RECORD).is_file() and (folder / PARTS).is_dir()


def part_file(number: int) -> str:
    """Return the name of the part of a unit, the same in every run."""
    return f"part-{number:06d}.parquet"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of ``folder``; ``InputError`` when it is damaged, foreign or of a later version."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] == FORMAT and record["version"] <= VERSION:
            return dict(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(shown(path), got=f"a damaged or foreign file ({reason})", expected="a manifest") from error
    raise InputError(shown(path), got=f"format {record['format']!r}, {record['version']}", expected=f"{FORMAT!r}, 1")


def read_embedded(folder: Path, *, label: str | None = None) -> Source:
    """Return the vectors and attributes of all parts, ordered by id (by number where every id is an integer).

    ``label`` as in ``read_table``. Raises ``InputError`` for a job that is not finished, for an id that comes twice,
    and when no row was embedded. O(n d) memory.
    """
    record = read_manifest(folder)
    if not record["finished"]:
        raise InputError(shown(folder), got="an embedding job that is not finished", expected="a finished one",
                         remedy="repeat the command that began it")  # fmt: skip
    places = [folder / PARTS / part_file(unit["number"]) for unit in record["units"]]
    parts = [part for place in places if (part := pq.read_table(place)).num_rows]
    if not parts:
        raise InputError(shown(folder), got="no embedded row", expected="at least one")
    table = pa.concat_tables([part.replace_schema_metadata() for part in parts], promote_options="permissive")
    table = table.take(pa.array(id_order(table[ID])))
    vectors = nested_vectors(table[EMBEDDING], EMBEDDING)
    rest = table.drop_columns([EMBEDDING])
    names, label = id_column(rest, None, folder), label_column(rest, label)
    attributes = attribute_columns(rest, label, None)
    return Source(kind="vectors", path=str(folder), vectors=vectors, attributes=attributes, label=label, ids=names)


def id_order(ids: pa.ChunkedArray) -> np.ndarray:
    """Return the rows in ascending order of their ids: as numbers if all are plain integers, else as text."""
    names = ids.to_numpy().astype(str)
    plain = np.char.isdecimal(names) & (np.char.str_len(names) <= 18)
    if plain.all():
        return np.argsort(names.astype(np.int64), kind="stable")
    return np.argsort(names, kind="stable")
