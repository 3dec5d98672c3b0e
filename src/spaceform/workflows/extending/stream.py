"""The stream of tasks of a Space: written so that a task is there wholly or not at all, whenever the program ends."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from spaceform.errors import SpaceFormatError
from spaceform.space import Space

LEARNERS, LOG = "learner", "stream.jsonl"
"""Inside the folder of the Space: a folder with one learner, named by its last task, and a line of JSON per task."""

STREAM = "stream"
"""Key of the lines in the ``info`` of the Space. These count; the log is a copy of them for people."""

COLUMNS = ("task", "held_out")
"""Columns of an extended Space: the task of a row (0 the base), and whether it only judges; missing without a label."""


class Saved(Protocol):
    """What is kept of a learner."""

    def save(self, path: Path) -> object:
        """Write the learner into a new folder."""
        ...


@dataclass(frozen=True)
class Stream:
    """What has been learned so far: ``lines`` by task, and the folder ``learner`` of the state after the last."""

    lines: list[dict[str, Any]] = field(repr=False)
    learner: Path


def read_stream(space: Space, folder: Path) -> Stream | None:
    """Return the stream of the Space in ``folder``, None if there is none; what an earlier end left open is finished.

    Raises ``SpaceFormatError`` when the columns of the tasks are gone.
    """
    lines = space.info.get(STREAM)
    if not lines or not (learner := folder / LEARNERS / str(len(lines) - 1)).is_dir():
        return None
    if missing := [name for name in COLUMNS if name not in space.columns]:
        raise SpaceFormatError(f"{folder} has a learner but not its columns {', '.join(missing)}")
    _settle(folder, lines)
    return Stream(lines, learner)


def add_task(space: Space, learner: Saved, folder: Path, line: Mapping[str, Any], *, so_far: Stream | None) -> None:
    """Write the learner, then the Space with the line in its ``info``, which makes both count, then what follows.

    A program that ends before the Space is replaced leaves the stream as it was, and one that ends later leaves the new
    one: the next :func:`read_stream` writes the log and removes the learner before.
    """
    lines = [*(so_far.lines if so_far else ()), dict(line)]
    made = folder / LEARNERS / str(len(lines) - 1)
    shutil.rmtree(made, ignore_errors=True)
    made.parent.mkdir(parents=True, exist_ok=True)
    learner.save(made)
    for path in made.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    space.with_info(space.info | {STREAM: lines}).save(folder)
    _settle(folder, lines)


def _settle(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Bring the log and the learners to what the Space says."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    log = folder / LOG
    if not log.is_file() or log.read_text(encoding="utf-8") != text:
        draft = folder / f".{LOG}.partial"
        draft.write_text(text, encoding="utf-8")
        draft.replace(log)
    for path in (folder / LEARNERS).iterdir():
        if path.name != str(len(lines) - 1):
            shutil.rmtree(path)
