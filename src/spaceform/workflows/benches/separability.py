"""How long the H0 lifetimes of a cloud take: our spanning tree beside ripser and SciPy's single linkage.

Every method runs in a process of its own with one thread, a memory limit and a time limit, so that a peer which
needs the square matrix of distances can fail without taking the run along. Seconds are those of the core, so that
other work on the machine does not count. The limit is the time in which this
core multiplies each pair of rows once, ``n^2 d / 2`` multiply-adds at its measured float32 matrix-product rate.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.types import FloatArray, Progress, no_progress
from spaceform.workflows.benching.memory import peak_bytes

SIZES = ((5_000, 64), (5_000, 384), (20_000, 64), (20_000, 384))
QUICK = ((1_500, 64),)
SECONDS = 240
"""A method that takes longer is stopped."""

MEGABYTES = 12_000
"""Address space of one process."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
METHODS = {"spaceform": "spaceform", "ripser, maxdim 0": "ripser", "SciPy single linkage": "scipy"}
"""Each method with the package that it needs."""


def run(*, quick: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per method and size: seconds, peak memory, and how many times the limit that is.

    ``note`` holds the relative difference of the sum of lifetimes from ours, or the reason why a method that was
    stopped has no figures. Peers that are not installed are left out.
    """
    sizes = QUICK if quick else SIZES
    methods = [name for name, package in METHODS.items() if importlib.util.find_spec(package) is not None]
    rate = _child("rate", 1_000, 384)["multiply_adds_per_second"]
    rows: list[dict[str, Any]] = []
    for n, d in sizes:
        ours: dict[str, Any] = {}
        for name in methods:
            progress("H0 lifetimes", len(rows), len(methods) * len(sizes))
            found = _child(name, n, d)
            ours = ours or found
            rows.append({"rows": n, "columns": d, "method": name, **_figures(found, ours, n * n * d / 2 / rate)})
    progress("H0 lifetimes", len(rows), len(rows))
    return rows


def measure(method: str, n: int, d: int) -> dict[str, float]:
    """Time one method once on ``n`` rows of ``d`` columns, in this process. Compilation is not counted."""
    if method == "rate":
        A = np.ones((n, d), np.float32)
        product = np.empty((n, n), np.float32)
        seconds = min(_seconds(lambda: np.matmul(A, A.T, out=product)) for _ in range(20))
        return {"multiply_adds_per_second": n * n * d / seconds}
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(20, d))[np.arange(n) % 20] + 0.5 * rng.normal(size=(n, d))).astype(np.float32)
    function = _function(method)
    function(X[:1_100])
    total: list[float] = []
    seconds = _seconds(lambda: total.append(float(np.sum(function(X), dtype=np.float64))))
    return {"seconds": seconds, "megabytes": peak_bytes() / (1 << 20), "total": total[0]}


def _function(method: str) -> Callable[[FloatArray], FloatArray]:
    if method == "spaceform":
        from spaceform.ops.spanning import euclidean_mst

        return lambda X: euclidean_mst(X)[2]
    if method == "ripser, maxdim 0":
        from ripser import ripser

        def lifetimes(X: FloatArray) -> FloatArray:
            deaths: FloatArray = ripser(X, maxdim=0)["dgms"][0][:, 1]
            return deaths[np.isfinite(deaths)]

        return lifetimes
    if method == "SciPy single linkage":
        from scipy.cluster.hierarchy import linkage

        return lambda X: linkage(X, "single")[:, 2]
    raise InputError("method", got=repr(method), expected="one of " + ", ".join(map(repr, METHODS)))


def _child(method: str, n: int, d: int) -> dict[str, Any]:
    """Measure in a new process with one thread; a reason instead of figures when it hits a limit."""
    code = (
        "import json, sys\n"
        f"from spaceform.workflows.benches.separability import limit_memory, measure\nlimit_memory({MEGABYTES})\n"
        f"print(json.dumps(measure({method!r}, {n}, {d})))"
    )
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    try:
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"stopped after {SECONDS} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        memory = done.returncode < 0 or any("memory" in line.lower() or "bad_alloc" in line for line in lines)
        return {"reason": f"more than {MEGABYTES:,} MB" if memory else (lines or ["failed"])[-1]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def limit_memory(megabytes: int) -> None:
    """Bound the address space of this process, where the system can."""
    if importlib.util.find_spec("resource") is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def _figures(found: dict[str, Any], ours: dict[str, Any], limit: float) -> dict[str, Any]:
    if "reason" in found:
        return {
            "seconds": None,
            "megabytes": None,
            "times ours": None,
            "times the limit": None,
            "note": found["reason"],
        }
    agreement = abs(found["total"] - ours["total"]) / ours["total"] if "total" in ours else None
    return {
        "seconds": round(found["seconds"], 3),
        "megabytes": round(found["megabytes"]),
        "times ours": found["seconds"] / ours["seconds"] if "seconds" in ours else None,
        "times the limit": found["seconds"] / limit,
        "note": "" if agreement is None else f"differs by {agreement:.0e}",
    }


def _seconds(function: Callable[[], object]) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun
