"""The index on disk: arrays that are mapped into memory, a record with their checksums, a log of later changes.

A folder holds ``index.json``, one folder of arrays and one log, both named by a generation. A new generation is
written beside the old one and flushed; replacing ``index.json`` is what makes it valid. Whoever is killed at any
moment leaves either the old index with its log, or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spaceform.errors import InputError, SpaceFormatError
from spaceform.files import flush_folder, take_lock
from spaceform.search.filtered.calibration import Subject, timed
from spaceform.search.filtered.graph.links import Graph
from spaceform.search.filtered.journal import (
    DELETE,
    PUT,
    Journal,
    pack_ids,
    pack_rows,
    read_journal,
    unpack_ids,
    unpack_rows,
)  # fmt: skip
from spaceform.search.filtered.planner import Costs, this_machine
from spaceform.search.filtered.postings import AttributeIndex
from spaceform.search.filtered.scan.engine import Engine
from spaceform.search.filtered.scan.layout import Base, Layout, frozen
from spaceform.search.filtered.segment import PrivateList, Segment
from spaceform.search.filtered.state import State
from spaceform.types import IntArray, PathLike

FORMAT, VERSION = "spaceform filtered index", 3
RECORD, LOCK = "index.json", "lock"
_TABLE = "attributes.arrow"
_TRIED = 8


@dataclass(frozen=True)
class Opened:
    """An index as it was read: its options, its rows, and what the log held (records and bytes)."""

    options: dict[str, Any]
    state: State
    generation: int
    records: int
    size: int


class Store:
    """The right to write to a folder, held until `close`; the log of the generation that is valid."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; ``InputError`` names the process that holds it. Without locks (Windows) it is the caller's."""
        _refuse_others(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        self._journal: Journal | None = None
        self._generation = 0
        if not take_lock(self._lock):
            holder = os.pread(self._lock, 100, 0).decode(errors="replace").strip()
            os.close(self._lock)
            raise InputError(
                "path", got=f"{folder}, to which {holder or 'another process'} writes", expected="one writer",
                remedy="close the other one, or load without writable",
            )  # fmt: skip
        if os.name == "posix":
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"process {os.getpid()}\n".encode(), 0)

    def resume(self, opened: Opened) -> None:
        """Go on with the log of an index that was read with the lock held; clear what a crash left."""
        self._generation = opened.generation
        self._journal = Journal(_log(self.folder, opened.generation), number=opened.records, size=opened.size)
        self._clear()

    def replace(self, options: Mapping[str, Any], state: State) -> None:
        """Write a state as a new generation, and make it valid; its log begins with what the segment lacks."""
        if (self.folder / RECORD).exists():
            self._generation = max(self._generation, read_record(self.folder)["generation"])
        generation = self._generation + 1
        _log(self.folder, generation).unlink(missing_ok=True)
        journal = Journal(_log(self.folder, generation), number=0, size=0)
        try:
            self._write(options, state, generation=generation, journal=journal)
        except BaseException:
            journal.close()
            raise
        if self._journal is not None:
            self._journal.close()
        self._journal, self._generation = journal, generation
        self._clear()

    def _write(self, options: Mapping[str, Any], state: State, *, generation: int, journal: Journal) -> None:
        segment, folder = state.segment, _arrays(self.folder, generation)
        if not state.alive.all():
            journal.append(DELETE, pack_ids(segment.base.ids[~state.alive]))
        if state.tail is not None and state.tail_alive.any():
            late = state.tail.base.ids[state.tail_alive]
            journal.append(PUT, pack_rows(late, *state.take(late)))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = _write_segment(folder, segment)
        flush_folder(folder)
        lists = [{"filter": filter_, "costs": one.costs.record()} for filter_, one in segment.lists.items()]
        record = {
            "format": FORMAT, "version": VERSION, "generation": generation, "options": dict(options),
            "next_id": state.next_id, "costs": segment.costs.record(), "lists": lists, "files": files,
        }  # fmt: skip
        waiting = self.folder / (RECORD + ".next")
        with waiting.open("w", encoding="utf-8") as file:
            json.dump({**record, "record": _own_hash(record)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(self.folder)
        os.replace(waiting, self.folder / RECORD)  # noqa: PTH105  the moment of truth should be easy to find
        flush_folder(self.folder)

    def put(self, ids: IntArray, rows: np.ndarray, table: pa.Table) -> None:
        """Log rows that were added or replaced."""
        self._open_log().append(PUT, pack_rows(ids, rows, table))

    def delete(self, ids: IntArray) -> None:
        """Log rows that were deleted."""
        self._open_log().append(DELETE, pack_ids(ids))

    def close(self) -> None:
        """Give the folder back."""
        if self._journal is not None:
            self._journal.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._journal, self._lock = None, -1

    def _open_log(self) -> Journal:
        assert self._journal is not None  # noqa: S101  the index holds a store only after replace or resume
        return self._journal

    def _clear(self) -> None:
        """Remove generations that are not valid: older ones, and those a crash left unfinished."""
        keep = {_arrays(self.folder, self._generation), _log(self.folder, self._generation)}
        for path in self.folder.iterdir():
            if path in keep or path.name in (RECORD, LOCK):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _refuse_others(folder: Path) -> None:
    """Refuse folders that hold anything but an index, or what is left of one."""
    if folder.exists() and not folder.is_dir():
        raise InputError("path", got=f"{folder}, a file", expected="a folder")
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    foreign = [name for name in names if not name.startswith(("arrays-", "changes-", RECORD)) and name != LOCK]
    if foreign:
        raise InputError("path", got=f"{folder}, which holds {foreign[0]!r}", expected="a new folder or an index")


def open_index(path: PathLike, *, verify: bool) -> Opened:
    """Read an index and replay its log; arrays are mapped, and compared with their checksums if ``verify``.

    Raises ``SpaceFormatError`` that names the file which is missing, cut, changed or from the future.
    """
    folder = Path(path)
    for _ in range(10):  # a writer may replace the generation between our two looks
        record = read_record(folder)
        try:
            return _open(folder, record, verify=verify)
        except SpaceFormatError:
            if read_record(folder)["generation"] == record["generation"]:
                raise
    raise SpaceFormatError(f"{folder}: is replaced faster than it can be read")


def read_record(folder: Path) -> dict[str, Any]:
    """Read and check ``index.json``."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise SpaceFormatError(f"{path}: can't be read ({error.strerror}): not a filtered index") from error
    except (ValueError, RecursionError) as error:
        raise SpaceFormatError(f"{path}: is not JSON: half-written or changed ({type(error).__name__})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise SpaceFormatError(f"{path}: does not describe a filtered index (its format is not {FORMAT!r})")
    if record.get("version") != VERSION:
        raise SpaceFormatError(f"{path}: format version {record.get('version')!r}, this library reads {VERSION}")
    own = record.pop("record", None)
    if own != _own_hash(record):
        raise SpaceFormatError(f"{path}: was changed by hand or damaged (its own hash disagrees)")
    return record


def _open(folder: Path, record: dict[str, Any], *, verify: bool) -> Opened:
    generation, options = record["generation"], record["options"]
    arrays = _arrays(folder, generation)
    for name, (size, digest) in record["files"].items():
        _check(arrays / name, size, digest if verify else None)
    engine = Engine(options["metric"], options["compiled"], options["threads"])
    base = Base(*(_mapped(arrays / f"{name}.npy") for name in Base._fields))
    with pa.memory_map(str(arrays / _TABLE)) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    lists = {}
    for number, one in enumerate(record["lists"], start=1):
        layout = _mapped_layout(arrays, number)
        costs = _costs(
            one["costs"], (base, layout, engine), recall=options["recall"], where=layout.where.astype(np.int64)
        )
        lists[one["filter"]] = PrivateList(layout, costs)
    layout = _mapped_layout(arrays, 0)
    graph = None
    if _graph_file(Graph._fields[0]) in record["files"]:
        graph = frozen(Graph(*(_mapped(arrays / _graph_file(name)) for name in Graph._fields)))
    costs = _costs(record["costs"], (base, layout, engine), recall=options["recall"], graph=graph)
    segment = Segment(base, layout, AttributeIndex(table, compiled=engine.compiled), engine, costs, lists, graph)
    state, records, size = State.of(segment, record["next_id"]), 0, 0
    for kind, payload, size in read_journal(_log(folder, generation)):  # noqa: B007  its last value is the log's end
        records += 1
        state = state.put(*unpack_rows(payload)) if kind == PUT else state.without(unpack_ids(payload))
    return Opened(options, state, generation, records, size)


def _write_segment(folder: Path, segment: Segment) -> dict[str, tuple[int, str]]:
    """Write all arrays; return the size and hash of each file."""
    arrays: dict[str, np.ndarray] = dict(zip(Base._fields, segment.base, strict=True))
    for number, layout in enumerate([segment.layout, *(one.layout for one in segment.lists.values())]):
        arrays.update({f"{number}-{name}": getattr(layout, name) for name in Layout._fields})
    if segment.graph is not None:
        arrays.update({_graph_file(name).removesuffix(".npy"): getattr(segment.graph, name) for name in Graph._fields})
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    table = segment.attributes.table
    with pa.OSFile(str(folder / _TABLE), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    facts = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            facts[path.name] = (path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    return facts


def _check(path: Path, size: int, digest: str | None) -> None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                raise SpaceFormatError(f"{path}: has {found:,} bytes, {RECORD} says {size:,}: truncated or replaced")
            if digest is not None and hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise SpaceFormatError(f"{path}: its content is not what was written; restore or build it again")
    except OSError as error:
        raise SpaceFormatError(f"{path}: can't be read ({error.strerror})") from error


def _mapped(path: Path) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False) if path.stat().st_size > 128 else np.load(path)
    array = np.asarray(array)
    array.setflags(write=False)
    return array


def _mapped_layout(folder: Path, number: int) -> Layout:
    return frozen(Layout(*(_mapped(folder / f"{number}-{name}.npy") for name in Layout._fields)))


def _graph_file(name: str) -> str:
    return f"graph-{name}.npy"


def _costs(
    record: dict[str, Any], data: tuple[Base, Layout, Engine], *, recall: float, where: IntArray | None = None,
    graph: Graph | None = None,
) -> Costs:  # fmt: skip
    """Return the stored costs; on another machine, recalls as stored and times measured anew."""
    costs = Costs(**record)
    if costs.machine == this_machine(compiled=data[2].compiled):
        return costs
    generator = np.random.default_rng(0)
    inside = np.arange(len(data[0].ids)) if where is None else where
    drawn = generator.choice(inside, min(_TRIED, len(inside)), replace=False)
    return timed(Subject(*data, drawn, where, graph), costs, recall=recall, generator=generator)


def _arrays(folder: Path, generation: int) -> Path:
    return folder / f"arrays-{generation:06d}"


def _log(folder: Path, generation: int) -> Path:
    return folder / f"changes-{generation:06d}.log"


def _own_hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
