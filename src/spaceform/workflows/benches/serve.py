"""`spaceform serve` under load: many clients on loopback that ask without a pause; latency, errors, memory.

The server is a process of its own, as users start it. Every client keeps one connection and asks, in turn, near rows,
by words, with filters, for facets, and for rows. Memory is the server's, after a warm-up and at the end.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from spaceform.errors import InterruptedRunError
from spaceform.geometry.arrays import direction
from spaceform.rng import as_generator
from spaceform.space import Space
from spaceform.types import Progress, no_progress

ROWS, CLIENTS, SECONDS = 20_000, 64, 60.0
QUICK_ROWS, QUICK_CLIENTS, QUICK_SECONDS = 2_000, 8, 5.0
DIM = 64

FLAT = 0.10
"""Memory is called flat when it grows by less than this share between the end of the warm-up and the end."""

_KINDS, _WORDS = ("food", "animal", "tool", "place"), ("red", "small", "old", "loud", "warm", "sharp")
_STARTING = 600.0


def run(*, quick: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return one row per kind of question, and one for all: answers a second, p50 and p99 in ms, errors; memory in MB.

    ``quick``: 8 clients for 5 s on 2,000 rows, in the place of 64 for 60 s on 20,000.
    """
    rows, clients, seconds = (QUICK_ROWS, QUICK_CLIENTS, QUICK_SECONDS) if quick else (ROWS, CLIENTS, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        space = make_space(rows).save(Path(folder) / "space")
        progress("starting the server", 0, 1)
        with server(space) as (address, process):
            asyncio.run(_drawn(address))
            asyncio.run(_load(address, rows, clients=clients, seconds=seconds / 10))
            before = resident_bytes(process)
            progress("under load", 0, 1)
            seen = asyncio.run(_load(address, rows, clients=clients, seconds=seconds))
            after = resident_bytes(process)
    progress("under load", 1, 1)
    found = [_figures(kind, [one for one in seen if one[0] == kind], clients, seconds) for kind in _questions(rows, 0)]
    memory = {"MB before": before / 1e6, "MB after": after / 1e6, "memory flat": after < before * (1 + FLAT)}
    return [*found, {**_figures("all", seen, clients, seconds), **memory}]


def make_space(rows: int) -> Space:
    """Return clustered unit vectors with a kind, words, a year and a price."""
    generator = as_generator(0)
    kinds = generator.integers(len(_KINDS), size=rows)
    centers = generator.normal(size=(len(_KINDS), DIM))
    vectors = centers[kinds] + generator.normal(size=(rows, DIM))
    words = generator.integers(len(_WORDS), size=(rows, 2))
    return Space.create(
        direction(vectors),
        attributes={
            "kind": [_KINDS[kind] for kind in kinds],
            "words": [sorted({_WORDS[word] for word in pair}) for pair in words],
            "year": generator.integers(1990, 2025, size=rows).tolist(),
            "price": generator.gamma(2.0, 10.0, size=rows).tolist(),
        },
        label="kind",
        geometry="sphere",
    )


@contextmanager
def server(space: Path) -> Iterator[tuple[str, int]]:
    """Serve a Space in a process of its own; give its address and process number, and end it with the block."""
    command = [sys.executable, "-m", "spaceform", "serve", str(space), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own command
    try:
        assert process.stdout is not None  # noqa: S101  it was asked for
        line = process.stdout.readline()
        if " at http" not in line:
            raise InterruptedRunError(f"the server did not start: {line.strip() or 'see above'}")
        yield line.split(" at ")[1].split()[0], process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


def resident_bytes(process: int) -> float:
    """Return the memory that a process holds now; NaN where the system does not tell."""
    path = Path(f"/proc/{process}/statm")
    if not path.is_file():
        return float("nan")
    return float(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _drawn(address: str) -> None:
    """Wait until the map is drawn, which takes a core for itself and happens once for a Space."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    end = time.perf_counter() + _STARTING
    while await _status(reader, writer, f"GET /api/map HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n") == 202:
        if time.perf_counter() > end:
            raise InterruptedRunError(f"the map was not drawn in {_STARTING:g} s")
        await asyncio.sleep(0.5)
    writer.close()


def _questions(rows: int, turn: int) -> dict[str, str]:
    """Return a path per kind of question; they differ from turn to turn."""
    row, year = (turn * 7919) % rows, 1990 + turn % 35
    where = quote(f"kind = '{_KINDS[turn % 4]}' and year >= {year}")
    return {
        "near a row": f"/api/search?row={row}&k=24",
        "filtered": f"/api/search?row={row}&k=24&where={where}",
        "words": f"/api/search?text={_WORDS[turn % 6]}%20{_KINDS[turn % 4]}&k=24",
        "facets": f"/api/facets?where={where}",
        "one row": f"/api/rows/{row}",
    }


async def _load(address: str, rows: int, *, clients: int, seconds: float) -> list[tuple[str, float, int]]:
    """Return kind, seconds and status (0: no answer) of every question asked."""
    place, end = urlsplit(address), time.perf_counter() + seconds
    seen: list[tuple[str, float, int]] = []

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        turn = number * 101
        while time.perf_counter() < end:
            for kind, path in _questions(rows, turn).items():
                begun = time.perf_counter()
                status = await _status(reader, writer, f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n")
                seen.append((kind, time.perf_counter() - begun, status))
                if not status:
                    writer.close()
                    reader, writer = await asyncio.open_connection(place.hostname, place.port)
            turn += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return seen


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: str) -> int:
    """Return the status of the answer, which is read to its end; 0 for a broken connection."""
    try:
        writer.write(request.encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
        return int(head.split()[1])
    except (OSError, asyncio.IncompleteReadError, StopIteration):
        return 0


def _figures(kind: str, seen: list[tuple[str, float, int]], clients: int, seconds: float) -> dict[str, Any]:
    times = np.array([took for _, took, _ in seen]) * 1e3
    p50, p99 = np.percentile(times, (50, 99)) if len(times) else (float("nan"), float("nan"))
    return {
        "question": kind,
        "clients": clients,
        "answers": len(seen),
        "answers/s": len(seen) / seconds,
        "p50 ms": float(p50),
        "p99 ms": float(p99),
        "errors": sum(status != 200 for _, _, status in seen),
    }
