"""How long `import spaceform` and `spaceform --help` take, beside bare Python and the libraries they must not load."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from spaceform.types import Progress, no_progress

LIMIT = 0.3
"""Seconds: what a person still takes for at once."""

COMMANDS = {
    "import spaceform": ("-c", "import spaceform"),
    "spaceform --help": ("-m", "spaceform", "--help"),
    "python alone": ("-c", "pass"),
    "import numpy": ("-c", "import numpy"),
    "import sklearn": ("-c", "import sklearn.base"),
    "import torch": ("-c", "import torch"),
}


def run(*, quick: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return one row per command: the median wall time in seconds of whole processes, and its share of the limit."""
    repeats = 3 if quick else 9
    rows = []
    for done, (name, arguments) in enumerate(COMMANDS.items()):
        progress("starting processes", done, len(COMMANDS))
        seconds = statistics.median(_seconds(arguments) for _ in range(repeats))
        rows.append({"what": name, "seconds": seconds, "of the limit of 0.3 s": seconds / LIMIT})
    progress("starting processes", len(COMMANDS), len(COMMANDS))
    return rows


def _seconds(arguments: tuple[str, ...]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 - our own commands
    return time.perf_counter() - begun
