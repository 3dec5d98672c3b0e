"""How much memory a program has needed, which is asked in a process of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def peak_bytes() -> float:
    """Return the largest resident memory of this program; NaN where the system does not tell.

    Linux keeps the figure of ``getrusage`` over an exec, so that a child would show its parent's; ``VmHWM`` is its own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    if importlib.util.find_spec("resource") is None:
        return float("nan")
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def resident_bytes() -> float:
    """Return the memory that this program occupies now; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) * 1024
