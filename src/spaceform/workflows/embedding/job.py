"""The nouns of an embedding job: how its source is read, its units of work, what travels to a worker, what returns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from spaceform.workflows.embedding.encoder import BatchEncoder


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How rows are read from the source.

    ``text_column`` or ``vector_column`` names what a table's rows are embedded from (None: the column ``text``, else
    the only one of text, else the only one of number lists), ``ids`` the column of unique ids (None: a column ``id``,
    else file and row number). ``size`` is the side of pictures in pixels. Files without row groups (CSV, TSV, JSONL,
    TXT, pictures) are cut into units of ``rows_per_unit`` rows.
    """

    text_column: str | None = None
    vector_column: str | None = None
    ids: str | None = None
    size: int = 48
    rows_per_unit: int = 4_096


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of the source: ``name`` within it (printable), ``path``, ``digest`` of its bytes, what is wrong."""

    name: str
    path: str
    digest: str
    rows: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A row group of a file: ``rows`` rows from row ``first`` on; ``start`` and ``stop`` are byte offsets in text."""

    number: int
    name: str
    path: str
    group: int
    first: int
    rows: int
    start: int = 0
    stop: int = 0
    pictures: tuple[tuple[str, str, str | None], ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest says of the unit."""
        return {"number": self.number, "file": self.name, "group": self.group, "rows": self.rows}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a source was found to hold.

    ``kind`` is that of its files (``parquet``, ``csv``, ``tsv``, ``jsonl``, ``txt``, ``pictures``), ``payload`` what
    the encoder gets (``text``, ``image``, ``vector``) from ``column``; ``schema`` are the attributes kept, ``left_out``
    columns of types that a Space has no place for.
    """

    kind: str
    payload: str
    column: str | None
    ids: str | None
    schema: pa.Schema
    files: Sequence[File]
    units: Sequence[Unit]
    left_out: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any byte, name or order of the files."""
        return digest([[file.name, file.digest] for file in self.files])


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker needs to know, whichever engine brings it there."""

    out: str
    plan: Plan
    reading: Reading
    batch_size: int
    encoder: BatchEncoder
    encoder_fingerprint: str

    @property
    def identity(self) -> dict[str, str]:
        """Fingerprints of all that the rows of the output depend on, by what they are of."""
        made = {"payload": self.plan.payload, "column": self.plan.column, "ids": self.plan.ids, **asdict(self.reading)}
        return {"source": self.plan.fingerprint, "encoder": self.encoder_fingerprint, "reading": digest(made)}

    @property
    def digest(self) -> str:
        """One fingerprint of the identity; every part carries it."""
        return digest(self.identity)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a unit came to; ``error`` is empty when it was done."""

    number: int
    rows: int = 0
    quarantined: int = 0
    dim: int = 0
    dtype: str = ""
    error: str = ""

    def to_json(self) -> str:
        """Return the report as text, which every engine can carry."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def digest(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return sixteen hexadecimal digits of plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
