"""A Space on disk: ``rows.parquet`` and ``space.json``, replaced together although a folder has no transactions.

A commit writes ``rows.parquet.tmp`` and ``space.json.next``, flushes both, and renames first the rows and then the
record. Killed before the first rename, the old pair is still there; killed between the two, the rows agree with
``space.json.next``, and whoever opens the Space next finishes the commit. What agrees with neither is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from spaceform.errors import InputError, SpaceFormatError
from spaceform.files import flush_folder, take_lock
from spaceform.space_file import FileFacts, StoredRows, Tail, open_binary, read_tail, write_rows
from spaceform.space_rows import GEOMETRIES, ID, VECTOR

FORMAT = "spaceform.space"
VERSION = 1
ROWS, RECORD = "rows.parquet", "space.json"
_ROWS_TMP, _RECORD_NEXT = "rows.parquet.tmp", "space.json.next"
_ATTEMPTS = 3
"""Readings of the pair before it is called inconsistent: another process may be replacing it meanwhile."""

_PATIENCE, _PAUSE = 50, 0.02
"""Attempts of a writer to get the lock, and seconds between them: readers hold it while they finish a commit."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a Space knows about itself besides its rows."""

    rows: int
    dim: int
    label: str | None
    geometry: str
    encoder: dict[str, Any] | None
    info: dict[str, Any]


def check_json(value: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return a deep copy of a JSON-able mapping; ``InputError`` for NaN, non-text keys and foreign objects."""
    if value is not None and not isinstance(value, Mapping):
        raise InputError(name, got=type(value).__name__, expected="a mapping of plain JSON values")
    try:
        if not _text_keys(value):
            raise InputError(name, got="keys that are not text", expected="a mapping of plain JSON values")
        text = json.dumps(dict(value or {}), allow_nan=False, ensure_ascii=False)
        text.encode()  # refuses halves of surrogate pairs, which no file can hold
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(name, got=str(error), expected="a mapping of plain JSON values") from error


def _text_keys(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _text_keys(inner) for key, inner in value.items())
    return all(map(_text_keys, value)) if isinstance(value, list | tuple) else True


def write_space(folder: Path, header: Header, *, schema: pa.Schema, groups: Iterable[pa.Table]) -> StoredRows:
    """Replace the Space in ``folder`` by a new one, or leave it as it was; other files there are not touched.

    Raises ``InputError`` when the folder can't be made or written (no rights, disk full) or holds a foreign
    ``rows.parquet``, and when another process is writing there. Temporary files do not survive an error.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _sole_writer(folder, patience=_PATIENCE) as alone:
            if not alone:
                raise InputError("path", got=f"{folder}, which another process is writing", expected="one writer")
            return _commit(folder, header, schema, groups)
    except OSError as error:
        raise InputError(
            "path",
            got=f"{folder}: {error.strerror or error}",
            expected="a folder with room that can be written",
            remedy="what was there before is unchanged",
        ) from error


def open_space(folder: Path) -> tuple[Header, StoredRows]:
    """Read the record and the footer of the Space in ``folder``; finish a commit that was cut off.

    Raises ``SpaceFormatError`` naming the file for all that can't be trusted. Reads no rows.
    """
    try:
        return _open_settled(folder)
    except OSError as error:
        raise SpaceFormatError(f"{folder}: can't be read ({error.strerror or error})") from error


def _open_settled(folder: Path) -> tuple[Header, StoredRows]:
    """Read the pair again for as long as it changes: a writer may be replacing the two files meanwhile."""
    if not folder.exists():
        raise SpaceFormatError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise SpaceFormatError(f"{folder}: is not a folder; a Space is one, with {RECORD} and {ROWS} in it")
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            return _read_pair(folder)
        except SpaceFormatError as error:
            if str(error) == reason:
                raise
            reason = str(error)
    raise SpaceFormatError(reason)


def _read_pair(folder: Path) -> tuple[Header, StoredRows]:
    try:
        header, facts = _read_record(folder / RECORD)
        problem = None
    except SpaceFormatError as error:
        problem = error
    if problem is not None and not (folder / _RECORD_NEXT).exists():
        if not (folder / RECORD).exists() and (folder / _ROWS_TMP).exists():
            raise SpaceFormatError(f"{folder}: half-written: its first save was cut off; build it again")
        raise problem
    path = folder / ROWS
    with open_binary(path) as file:
        tail = read_tail(file, path)
    if problem is None and tail.agrees(facts):
        return header, _checked(path, header, facts, tail)
    with suppress(SpaceFormatError):
        header, facts = _read_record(folder / _RECORD_NEXT)
        if tail.agrees(facts):
            with suppress(OSError), _sole_writer(folder) as alone:  # a folder we may not write is read as it is
                if alone:
                    _finish_commit(folder)
            return header, _checked(path, header, facts, tail)
    if problem is not None:
        raise problem
    if tail.size != facts.size:
        state = "truncated or replaced" if tail.size < facts.size else "replaced"
        raise SpaceFormatError(f"{path}: {state}: it has {tail.size:,} bytes, {RECORD} says {facts.size:,}")
    raise SpaceFormatError(f"{path}: its footer is not the one that {RECORD} describes: it was changed")


def _commit(folder: Path, header: Header, schema: pa.Schema, groups: Iterable[pa.Table]) -> StoredRows:
    _finish_commit(folder)  # its record is about to be overwritten
    if (folder / ROWS).exists() and not (folder / RECORD).exists():
        raise InputError(
            "path", got=f"{folder}, where {ROWS} is not a Space's", expected="a new folder or a Space",
            remedy="choose another folder",
        )  # fmt: skip
    temporary = [folder / _ROWS_TMP, folder / _RECORD_NEXT]
    try:
        facts = write_rows(temporary[0], schema, groups)
        _write_durably(temporary[1], _record_text(header, facts))
        os.replace(temporary[0], folder / ROWS)  # noqa: PTH105  the pair of renames reads best side by side
        temporary.clear()  # from here on the new Space is the one that opens
        with suppress(OSError):
            _publish_record(folder)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)
    with open_binary(folder / ROWS) as file:
        tail = read_tail(file, folder / ROWS)
    return StoredRows(folder / ROWS, facts, tail.metadata())


def _finish_commit(folder: Path) -> None:
    """Publish the waiting record if it, and not the present one, describes the rows; call it with the lock held."""
    with suppress(SpaceFormatError), open_binary(folder / ROWS) as file:
        tail = read_tail(file, folder / ROWS)
        with suppress(SpaceFormatError):
            if tail.agrees(_read_record(folder / RECORD)[1]):
                return
        if tail.agrees(_read_record(folder / _RECORD_NEXT)[1]):
            _publish_record(folder)


def _publish_record(folder: Path) -> None:
    os.replace(folder / _RECORD_NEXT, folder / RECORD)  # noqa: PTH105
    flush_folder(folder)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _sole_writer(folder: Path, *, patience: int = 1) -> Iterator[bool]:
    """Hold the folder's lock, which the system drops with the process; False if ``patience`` attempts found it held."""
    if os.name != "posix":  # folders can't be opened there: a writer alone is the caller's affair
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        alone = False
        for attempt in range(patience):
            time.sleep(_PAUSE if attempt else 0)
            if alone := take_lock(handle):
                break
        yield alone
    finally:
        os.close(handle)


def _record_text(header: Header, facts: FileFacts) -> str:
    record = {"format": FORMAT, "version": VERSION, **asdict(header), "file": asdict(facts)}
    return json.dumps({**record, "record": _own_hash(record)}, indent=2, ensure_ascii=False) + "\n"


def _own_hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read_record(path: Path) -> tuple[Header, FileFacts]:
    with open_binary(path) as file:
        data = file.read()
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SpaceFormatError(f"{path}: is not JSON: half-written or changed ({type(error).__name__})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise SpaceFormatError(f"{path}: does not describe a Space (its format is not {FORMAT!r})")
    version = record.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise SpaceFormatError(f"{path}: format version {version!r}, this library reads up to {VERSION}; upgrade it")
    own = record.pop("record", None)
    if own != _own_hash(record):
        raise SpaceFormatError(f"{path}: was changed by hand or damaged (its own hash disagrees)")
    try:
        header = Header(**{name: record[name] for name in Header.__dataclass_fields__})
        facts = FileFacts(**record["file"])
    except (KeyError, TypeError) as error:
        raise SpaceFormatError(f"{path}: lacks a field or has one too many ({error})") from error
    return header, facts


def _checked(path: Path, header: Header, facts: FileFacts, tail: Tail) -> StoredRows:
    """Compare the record with the schema of the rows."""
    stored = StoredRows(path, facts, tail.metadata())
    schema = stored.schema
    if stored.metadata.num_rows != header.rows:
        raise SpaceFormatError(f"{path}: {stored.metadata.num_rows} rows, {RECORD} says {header.rows}")
    if ID not in schema.names or schema.field(ID).type != pa.string():
        raise SpaceFormatError(f"{path}: no text column {ID!r}")
    vector = schema.field(VECTOR).type if VECTOR in schema.names else None
    if vector is None or not pa.types.is_fixed_size_list(vector) or vector.value_type != pa.float32():
        raise SpaceFormatError(f"{path}: no column {VECTOR!r} of float32 lists of one size")
    if vector.list_size != header.dim:
        raise SpaceFormatError(f"{path}: vectors of dimension {vector.list_size}, {RECORD} says {header.dim}")
    if header.geometry not in GEOMETRIES:
        raise SpaceFormatError(f"{path.parent / RECORD}: unknown geometry {header.geometry!r}")
    if header.label is not None and header.label not in schema.names:
        raise SpaceFormatError(f"{path}: no column {header.label!r}, which {RECORD} names as the label")
    return stored
