"""The books of a job: what its folder says is done, what is left, and what it all came to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spaceform.data.layouts.columns import ID
from spaceform.data.layouts.embedded import FORMAT, PARTS, RECORD, VERSION, part_file, read_manifest
from spaceform.errors import InputError, InterruptedRunError
from spaceform.files import remove_partial, write_whole
from spaceform.workflows.embedding.job import Job, Report
from spaceform.workflows.embedding.rows import Quarantined
from spaceform.workflows.embedding.worker import QUARANTINE, read_note, write_lines

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


class Books:
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
