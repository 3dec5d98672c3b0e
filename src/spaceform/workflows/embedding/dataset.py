"""Embed a data set: plan its units, leave out those that are done, run the rest, and close the books."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spaceform.checks import check_choice, check_integer
from spaceform.data.layouts.columns import ID
from spaceform.data.layouts.embedded import FORMAT, PARTS, RECORD, VERSION, part_file, read_manifest
from spaceform.errors import InputError, InterruptedRunError
from spaceform.files import remove_partial, write_whole
from spaceform.types import PathLike, Progress, no_progress
from spaceform.workflows.embedding.driving import sole_driver
from spaceform.workflows.embedding.encoder import BatchEncoder, NamedEncoder
from spaceform.workflows.embedding.engines import ENGINES
from spaceform.workflows.embedding.job import Job, Reading, Report
from spaceform.workflows.embedding.planning import plan
from spaceform.workflows.embedding.rows import Quarantined
from spaceform.workflows.embedding.worker import QUARANTINE, read_note, write_lines
from spaceform.workflows.places.folder import writable_folder

_MAGNITUDES = {"source": "the files", "encoder": "the encoder", "reading": "how the source is read"}


@dataclass(frozen=True, kw_only=True)
class EmbedResult:
    """What was embedded: ``units`` in all, of which this run did ``done`` and found the others finished.

    ``rows`` have a vector of ``dim`` numbers of ``dtype``; ``quarantined`` have none and stand in
    ``quarantine.jsonl`` with the reason; ``left_out`` are columns of types that a Space has no place for.
    """

    path: str
    rows: int
    quarantined: int
    dim: int
    dtype: str
    units: int
    done: int
    engine: str
    workers: int
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def embed_dataset(
    source: PathLike,
    out: PathLike,
    encoder: BatchEncoder | str,
    *,
    engine: str = "local",
    workers: int = 1,
    address: str | None = None,
    batch_size: int = 64,
    resume: bool = True,
    reading: Reading | None = None,
    progress: Progress = no_progress,
) -> EmbedResult:
    """Embed every row of ``source`` exactly once, into one Parquet file per row group below ``out``.

    Parameters: ``source``, a file, a folder or a glob pattern of Parquet, CSV, TSV, JSONL or TXT files, or of
    pictures, read as ``reading`` says; ``encoder``, a :class:`BatchEncoder` or a name of
    :func:`~spaceform.workflows.encoders.named_encoder`; ``engine``, ``local`` (this process, or ``workers`` processes),
    ``ray`` or ``dask`` (on this machine, or the cluster at ``address``, which must see both folders); ``batch_size``
    rows per call of the encoder; ``resume`` goes on where an earlier run stood, False begins anew.

    A unit's part is written under another name, flushed and renamed, so that a run killed at any moment loses the
    units in work and no other, and a repeated one does those alone. Rows without a text, with NaN, or unreadable go to
    ``quarantine.jsonl`` with the reason. Killed workers are replaced. The order of the parts' rows means nothing:
    :func:`~spaceform.data.layouts.embedded.read_embedded` orders by id.

    Raises ``InterruptedRunError`` when files, encoder or reading differ from those of the parts that are there, and
    when workers die again and again; ``InputError`` for what can't be read, an encoder that fails (finished units
    stay) and an id that comes twice; ``MissingExtraError`` without the engine. O(bytes) beside the encoder.
    """
    begun = time.monotonic()
    check_choice(engine, "engine", list(ENGINES))
    check_integer(workers, "workers", low=1)
    check_integer(batch_size, "batch_size", low=1)
    reading = reading or Reading()
    check_integer(reading.rows_per_unit, "rows_per_unit", low=1)
    made = NamedEncoder(encoder) if isinstance(encoder, str) else encoder
    size = getattr(made, "picture_size", None)
    reading = replace(reading, size=size or check_integer(reading.size, "size", low=1, high=4096))
    planned = plan(source, reading, progress)
    folder = Path(out)
    job = Job(
        out=str(folder.absolute()), plan=planned, reading=reading, batch_size=batch_size, encoder=made,
        encoder_fingerprint=str(made.fingerprint),
    )  # fmt: skip
    with writable_folder(folder), sole_driver(folder):
        books = _Books(folder, job, str(source))
        reports = books.open(resume=resume)
        left = [unit for unit in planned.units if unit.number not in reports]
        total = sum(unit.rows for unit in planned.units)
        done = total - sum(unit.rows for unit in left)
        progress("embedding", done, total)
        rows_of = {unit.number: unit.rows for unit in left}
        if left:
            for report in ENGINES[engine](job, left, workers=workers, address=address):
                books.enter(report)
                done += rows_of[report.number]
                speed = (done - total + sum(rows_of.values())) / max(time.monotonic() - begun, 1e-9)
                progress("embedding", done, total, {"rows/s": round(speed, 1)})
        entries = books.close()
    return EmbedResult(
        path=str(folder), rows=entries["rows"], quarantined=entries["quarantined"], dim=entries["dim"],
        dtype=entries["dtype"], units=len(planned.units), done=len(left), engine=engine, workers=workers,
        left_out=tuple(planned.left_out), seconds=round(time.monotonic() - begun, 1),
    )  # fmt: skip


class _Books:
    """The manifest of a folder, and what its parts say of themselves."""

    def __init__(self, folder: Path, job: Job, source: str) -> None:
        self.folder, self.job, self.source = folder, job, source
        self.reports: dict[int, Report] = {}

    def open(self, *, resume: bool) -> dict[int, Report]:
        """Write the manifest, or compare it with the one there; return the reports of units that are done."""
        if not resume:
            self._clear()
        if (self.folder / RECORD).exists():
            self._compare(read_manifest(self.folder)["identity"])
        elif (self.folder / PARTS).exists() and any((self.folder / PARTS).glob("part-*.parquet")):
            raise InterruptedRunError(f"{self.folder}: parts of a job without its {RECORD}; embed into another folder")
        for name in (PARTS, QUARANTINE):
            (self.folder / name).mkdir(exist_ok=True)
            remove_partial(self.folder / name)
        remove_partial(self.folder)
        for unit in self.job.plan.units:
            note = read_note(self.folder / PARTS / part_file(unit.number))
            if note is not None and note[0] != self.job.digest:
                raise InterruptedRunError(f"{self.folder / PARTS / part_file(unit.number)} is a part of another job")
            if note is not None:
                self.enter(note[1])
        self._write(finished=False)
        return dict(self.reports)

    def enter(self, report: Report) -> None:
        """Take a unit as done; refuse one that failed, or whose vectors are not like the others."""
        if report.error:
            unit = self.job.plan.units[report.number]
            place = f"{report.error} (in {unit.name}, rows {unit.first} to {unit.first + unit.rows - 1})"
            raise InputError("unit", got=place, expected="one that is read, embedded and written",
                             remedy="finished units are kept: the same command goes on")  # fmt: skip
        other = next((one for one in self.reports.values() if one.rows), report)
        if report.rows and (report.dim, report.dtype) != (other.dim, other.dtype):
            (self.folder / PARTS / part_file(report.number)).unlink(missing_ok=True)
            got = f"vectors {report.dim} x {report.dtype} after {other.dim} x {other.dtype}"
            raise InputError("encoder", got=got, expected="one width and type in all units")
        self.reports[report.number] = report

    def close(self) -> dict[str, Any]:
        """Check that every unit has its part and no id comes twice; write the quarantine and the last manifest."""
        places = [self.folder / PARTS / part_file(unit.number) for unit in self.job.plan.units]
        missing = [place.name for place in places if not place.is_file()]
        if missing:
            raise InterruptedRunError(f"{self.folder}: no {missing[0]} after all; is {PARTS} seen by every worker?")
        _refuse_twins([self.folder / PARTS / part_file(one.number) for one in self.reports.values() if one.rows])
        self._gather()
        return self._write(finished=True)

    def _gather(self) -> None:
        """Join the rows that were not embedded, and the files that can't be read, in one file."""
        files = self.job.plan.files
        lost = [Quarantined(file=one.name, row=0, rows=0, reason=one.problem) for one in files if one.problem]
        numbers = sorted(report.number for report in self.reports.values() if report.quarantined)

        def write(file: IO[bytes]) -> None:
            write_lines(file, lost)
            for number in numbers:
                file.write((self.folder / QUARANTINE / f"{number:06d}.jsonl").read_bytes())

        if lost or numbers:
            write_whole(self.folder / f"{QUARANTINE}.jsonl", write)

    def _write(self, *, finished: bool) -> dict[str, Any]:
        reports = list(self.reports.values())
        shaped = next((report for report in reports if report.rows), Report(number=0))
        record = {
            "format": FORMAT, "version": VERSION, "finished": finished, "source": self.source,
            "identity": self.job.identity, "payload": self.job.plan.payload, "column": self.job.plan.column,
            "rows": sum(report.rows for report in reports),
            "quarantined": sum(report.quarantined for report in reports),
            "dim": shaped.dim, "dtype": shaped.dtype, "left_out": list(self.job.plan.left_out),
            "files": [
                {"name": file.name, "digest": file.digest, "rows": file.rows, "problem": file.problem}
                for file in self.job.plan.files
            ],
            "units": [unit.to_dict() for unit in self.job.plan.units],
        }  # fmt: skip
        text = json.dumps(record, indent=1).encode() + b"\n"
        write_whole(self.folder / RECORD, lambda file: file.write(text))
        return record

    def _compare(self, theirs: dict[str, str]) -> None:
        changed = [_MAGNITUDES[name] for name, value in self.job.identity.items() if theirs.get(name) != value]
        if changed:
            raise InterruptedRunError(
                f"{self.folder} holds vectors made otherwise: {' and '.join(changed)} changed since; embed into "
                "another folder, or begin anew with resume=False (--no-resume)"
            )

    def _clear(self) -> None:
        """Remove what an earlier job of ours left; a folder of something else is not touched."""
        if (self.folder / RECORD).exists():
            read_manifest(self.folder)
            for name in (PARTS, QUARANTINE):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / f"{QUARANTINE}.jsonl").unlink(missing_ok=True)
            (self.folder / RECORD).unlink()


def _refuse_twins(places: Sequence[Path]) -> None:
    """Raise ``InputError`` for an id that stands in two rows. O(n log n) over the ids alone."""
    if not places:
        return
    ids = pa.chunked_array([chunk for place in places for chunk in pq.read_table(place, columns=[ID])[ID].chunks])
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = ids.value_counts()
        twin = next(entry["values"].as_py() for entry in counts if entry["counts"].as_py() > 1)
        raise InputError("ids", got=f"{twin!r} in more than one row", expected="every id once",
                         remedy="drop the repeated rows, or name another column of ids")  # fmt: skip
