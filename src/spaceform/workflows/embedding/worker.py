"""One worker, whichever engine runs it: reads a unit, embeds it, and writes its part, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaceform.data.layouts.columns import ID
from spaceform.data.layouts.embedded import EMBEDDING, PARTS, part_file
from spaceform.errors import InputError
from spaceform.files import write_whole
from spaceform.workflows.embedding.encoder import Batch
from spaceform.workflows.embedding.job import Job, Report, Unit
from spaceform.workflows.embedding.rows import Quarantined, Rows, read_rows

QUARANTINE = "quarantine"
"""Folder of the rows that were not embedded, one file per unit that has any; and the name of the file of all."""

NOTE = b"spaceform"
"""Where a part says, in the footer of its Parquet file, which job it is of and what it came to."""


class Worker:
    """Does units of one job, one after the other; its encoder is set up before the first."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._ready = False

    def attempt(self, unit: Unit) -> Report:
        """Do a unit; what its encoder raises stands in the report, since not every exception can travel."""
        try:
            return self.do(unit)
        except Exception as error:
            return Report(number=unit.number, error=f"{type(error).__name__}: {error}")

    def do(self, unit: Unit) -> Report:
        """Read, embed and write a unit; its part, renamed last, says that it is done."""
        if not self._ready:
            self.job.encoder.setup()
            self._ready = True
        rows = read_rows(unit, self.job.plan, self.job.reading)
        vectors, reasons = self._embed(rows)
        kept = np.array([not reason for reason in reasons], dtype=bool)
        odd = [
            Quarantined(file=unit.name, row=int(rows.numbers[row]), reason=reasons[row], id=rows.ids[row])
            for row in np.flatnonzero(~kept)
        ]
        bad = sorted([*rows.bad, *odd], key=lambda one: (one.row, one.file))
        note = Report(
            number=unit.number,
            rows=int(kept.sum()),
            quarantined=sum(one.rows for one in bad),
            dim=vectors.shape[1] if kept.any() else 0,
            dtype=str(vectors.dtype) if kept.any() else "",
        )
        out = Path(self.job.out)
        if bad:
            write_whole(out / QUARANTINE / f"{unit.number:06d}.jsonl", lambda file: write_lines(file, bad))
        table = _table(rows, vectors, kept).replace_schema_metadata(
            {NOTE: json.dumps({"job": self.job.digest, **asdict(note)}).encode()}
        )
        write_whole(out / PARTS / part_file(unit.number), lambda file: pq.write_table(table, file))
        return note

    def _embed(self, rows: Rows) -> tuple[np.ndarray, list[str]]:
        """Return vectors in the order of the rows, and per row what is wrong with its vector, if anything."""
        size, found = self.job.batch_size, []
        for start in range(0, len(rows.ids), size):
            ids = rows.ids[start : start + size]
            batch = {ID: ids.astype(str), self.job.plan.payload: rows.items[start : start + size]}
            found.append(_answer(self.job.encoder(batch), batch[ID]))
        if not found:
            return np.empty((0, 0), dtype=np.float32), []
        if len({(vectors.shape[1], vectors.dtype) for vectors in found}) > 1:
            raise InputError("encoder", got="batches of different widths or types", expected="one width and type")
        vectors = np.concatenate(found)
        finite = np.isfinite(vectors).all(axis=1)
        return vectors, ["" if good else "the encoder gave NaN or an infinity" for good in finite]


def write_lines(file: IO[bytes], bad: Iterable[Quarantined]) -> None:
    """Write quarantined rows as JSON lines."""
    file.writelines(json.dumps(asdict(one)).encode() + b"\n" for one in bad)


def read_note(path: Path) -> tuple[str, Report] | None:
    """Return the job that a part is of and what it came to; None when the file is no part or damaged."""
    try:
        note = json.loads((pq.read_metadata(path).metadata or {})[NOTE])
        return note.pop("job"), replace(Report(number=0), **note)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        return None


def _answer(answer: Batch, ids: np.ndarray) -> np.ndarray:
    """Return the vectors of an encoder's answer in the order of the batch."""
    try:
        vectors, theirs = np.asarray(answer[EMBEDDING]), np.asarray(answer[ID]).astype(str)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError("encoder", got=f"an answer without {error}", expected="'embedding' and 'id'") from error
    if vectors.ndim != 2 or vectors.dtype not in (np.float32, np.float16) or len(vectors) != len(ids):
        got = f"{vectors.dtype} of shape {vectors.shape} for {len(ids)} rows"
        raise InputError("encoder", got=got, expected=f"float32 or float16 of shape ({len(ids)}, d)")
    own, other = np.argsort(ids, kind="stable"), np.argsort(theirs, kind="stable")
    if not np.array_equal(ids[own], theirs[other]):
        raise InputError("encoder", got="other ids than those of the batch", expected="each id of the batch once")
    ordered = np.empty_like(vectors)
    ordered[own] = vectors[other]
    return ordered


def _table(rows: Rows, vectors: np.ndarray, kept: np.ndarray) -> pa.Table:
    mask = pa.array(kept, pa.bool_())
    columns = {ID: pa.array(rows.ids[kept], pa.string())}
    columns |= {name: rows.attributes[name].filter(mask) for name in rows.attributes.column_names}
    if kept.any():
        flat = pa.array(np.ascontiguousarray(vectors[kept]).reshape(-1))
        columns[EMBEDDING] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns)
