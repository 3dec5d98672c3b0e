"""Progress on stderr: a bar on a terminal, elsewhere a line every ten seconds. Implements ``types.Progress``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from spaceform.cli.console.output import is_terminal
from spaceform.types import Progress

EVERY = 10.0
"""Seconds between two lines where no bar can be drawn."""


@contextmanager
def progress_bar(stream: TextIO | None = None) -> Iterator[Progress]:
    """Give a ``progress(task, done, total, figures)`` that draws on ``stream`` (default stderr) until the block ends.

    Each new task gets its own bar; ``total`` 0 means that the end is not known. The cursor comes back however
    the block ends.
    """
    target = sys.stderr if stream is None else stream
    if not is_terminal(target):
        yield Lines(target)
        return
    with _bars(target) as draw:
        yield draw


class Lines:
    """Progress for logs: silent for ten seconds, then a line now and then.

    Parameters: ``stream`` to write to, ``every`` seconds between lines, ``clock`` in seconds.
    """

    def __init__(self, stream: TextIO, *, every: float = EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._every, self._clock = stream, every, clock
        self._said = clock()
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        """Take note, and speak when it is time."""
        now = self._clock()
        begun, first = self._begun.get(task, (now, done))
        if done <= first:  # a task of a name that was seen before has begun again
            begun, first = self._begun[task] = (now, done)
        if now - self._said < self._every:
            return
        self._said = now
        share = f"{done:,}/{total:,}" if total else f"{done:,}"
        parts = [f"{task} {share}", format_figures(figures)]
        if total and first < done < total:
            parts.append(f"about {format_seconds((now - begun) * (total - done) / (done - first))} left")
        print(", ".join(filter(None, parts)), file=self._stream, flush=True)


def format_figures(figures: Mapping[str, float] | None) -> str:
    """Return figures as ``name value`` pairs, rates as ``value steps/s``."""
    pairs = {name: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" for name, value in (figures or {}).items()}
    return " ".join(f"{text} {name}" if "/s" in name else f"{name} {text}" for name, text in pairs.items())


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def _bars(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", style="dim"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    known: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(file=stream, highlight=False)) as bars:

        def draw(task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
            if task not in known:
                known[task] = bars.add_task(escape(task), total=total or None, figures="")
            bars.update(known[task], completed=done, total=total or None, figures=escape(format_figures(figures)))

        yield draw
