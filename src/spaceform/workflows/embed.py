"""Embed a data set of any size, on one machine or a cluster, and hand it on as a Space."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from spaceform.checks import check_integer
from spaceform.types import PathLike, Progress, no_progress
from spaceform.workflows.build import build
from spaceform.workflows.embedding.books import Books, EmbedResult
from spaceform.workflows.embedding.driving import sole_driver
from spaceform.workflows.embedding.encoder import BatchEncoder, NamedEncoder
from spaceform.workflows.embedding.engines import ENGINES
from spaceform.workflows.embedding.job import Job, Reading
from spaceform.workflows.embedding.planning import plan
from spaceform.workflows.embedding.scale import Scale
from spaceform.workflows.encoders import FOLDER
from spaceform.workflows.places.folder import writable_folder


def embed(
    source: PathLike,
    out: PathLike,
    encoder: BatchEncoder | str,
    *,
    scale: Scale | None = None,
    batch_size: int = 64,
    resume: bool = True,
    reading: Reading | None = None,
    space: bool = True,
    progress: Progress = no_progress,
) -> EmbedResult:
    """Embed every row of ``source`` exactly once, into one Parquet file per row group below ``out``.

    Parameters: ``source``, a file, a folder or a glob pattern of Parquet, CSV, TSV, JSONL or TXT files, or of
    pictures, read as ``reading`` says; ``encoder``, a :class:`BatchEncoder` or a name of
    :func:`~spaceform.workflows.encoders.named_encoder`; ``scale``, where it runs (default: as the environment says,
    else this process); ``batch_size`` rows per call of the encoder; ``resume`` goes on where an earlier run stood,
    False begins anew. ``space`` makes the folder a Space besides, rows in the order of their ids and the encoder in
    it, so that ``audit``, ``search`` and all other verbs take it; that needs memory for all vectors. Without, the
    parts stay what they are, and ``build out -o space/`` makes one later.

    A unit's part is written under another name, flushed and renamed, so that a run killed at any moment loses the
    units in work and no other, and a repeated one does those alone. Rows without a text, with NaN, or unreadable go to
    ``quarantine.jsonl`` with the reason. Killed workers are replaced. The order of the parts' rows means nothing:
    :func:`~spaceform.data.layouts.embedded.read_embedded` orders by id.

    Raises ``InterruptedRunError`` when files, encoder or reading differ from those of the parts that are there, and
    when workers die again and again; ``InputError`` for what can't be read, an encoder that fails (finished units
    stay) and an id that comes twice; ``MissingExtraError`` without the engine. O(bytes) beside the encoder.
    """
    begun = time.monotonic()
    check_integer(batch_size, "batch_size", low=1)
    scale, reading = scale or Scale.from_environment(), reading or Reading()
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
        books = Books(folder, job, str(source))
        reports = books.open(resume=resume)
        left = [unit for unit in planned.units if unit.number not in reports]
        total = sum(unit.rows for unit in planned.units)
        done = total - sum(unit.rows for unit in left)
        progress("embedding", done, total)
        rows_of = {unit.number: unit.rows for unit in left}
        if left:
            for report in ENGINES[scale.engine](job, left, workers=scale.workers, address=scale.address):
                books.enter(report)
                done += rows_of[report.number]
                speed = (done - total + sum(rows_of.values())) / max(time.monotonic() - begun, 1e-9)
                progress("embedding", done, total, {"rows/s": round(speed, 1)})
        entries = books.close()
    if isinstance(encoder, str) and ":" not in encoder:
        NamedEncoder(encoder).inner.save(folder / FOLDER)
    if space and entries["rows"]:
        build(folder.absolute(), out, progress=progress)
    return EmbedResult(
        path=str(folder), rows=entries["rows"], quarantined=entries["quarantined"], dim=entries["dim"],
        dtype=entries["dtype"], units=len(planned.units), done=len(left), engine=scale.engine, workers=scale.workers,
        left_out=tuple(planned.left_out), seconds=round(time.monotonic() - begun, 1),
    )  # fmt: skip
