"""The loop: rows are moved until their answers are exact, or the loss has stopped to fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spaceform.training.free_vectors.optimiser import FreeOptimiser
from spaceform.types import FloatArray, Progress


class Descent(Protocol):
    """Rows of one table of relevance or of several, which a step moves along their gradients."""

    def margins(self) -> list[FloatArray]:
        """Return per table each query's least relevant score less its largest irrelevant one."""
        ...

    def rows(self, place: int) -> tuple[FloatArray, FloatArray]:
        """Return queries and documents of a table."""
        ...

    def losses(self) -> FloatArray:
        """Return the loss of each table and remember the gradients."""
        ...

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these tables alone."""
        ...

    def update(self) -> None:
        """Take the step of the last gradients."""
        ...


@dataclass
class Run:
    """What is known of one table while it is optimised: the ``best`` accuracy and margin at any check, and its rows."""

    best: tuple[float, float] = (-1.0, -np.inf)
    rows: tuple[FloatArray, FloatArray] = (np.empty((0, 0)), np.empty((0, 0)))
    lowest: float = np.inf
    since: int = 0
    loss: float = np.inf
    steps: int = 0
    stopped: str = "steps"


def descend(descent: Descent, count: int, optimiser: FreeOptimiser, progress: Progress) -> list[Run]:
    """Move all tables until each is exact or out of patience; the best answers at any check count."""
    runs = [Run() for _ in range(count)]
    live = list(runs)
    for step in range(optimiser.max_steps + 1):
        if step % optimiser.check_every == 0 or step == optimiser.max_steps:
            for place, (run, margins) in enumerate(zip(live, descent.margins(), strict=True)):
                found = float((margins > 0).mean()), float(margins.min())
                if found > run.best:
                    run.best, run.rows = found, descent.rows(place)
                run.steps = step
                if run.best[0] == 1 and optimiser.stop_when_exact:
                    run.stopped = "exact"
            progress("free embedding", step, optimiser.max_steps, {"accuracy": min(run.best[0] for run in runs)})
            live = _going_on(descent, live)
        if step == optimiser.max_steps or not live:
            break
        for run, loss in zip(live, descent.losses().tolist(), strict=True):
            run.since = 0 if loss < run.lowest - optimiser.tolerance else run.since + 1
            run.lowest = loss if run.since == 0 else run.lowest
            run.loss, run.steps = loss, step
            if run.since >= optimiser.patience:
                run.stopped = "patience"
        live = _going_on(descent, live)
        if not live:
            break
        descent.update()
    return runs


def _going_on(descent: Descent, live: list[Run]) -> list[Run]:
    places = [place for place, run in enumerate(live) if run.stopped == "steps"]
    if places and len(places) < len(live):
        descent.keep(places)
    return [live[place] for place in places]
