"""A task is there wholly or not at all, wherever the program ends."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spaceform.errors import SpaceFormatError
from spaceform.space import Space
from spaceform.workflows.extending.stream import STREAM, add_task, read_stream


class Ended(BaseException):
    """No handler of ours catches it."""


class Learner:
    def __init__(self, task, *, fails=False):
        self.task, self.fails = task, fails

    def save(self, path):
        path.mkdir()
        (path / "half.json").write_text("{}")
        if self.fails:
            raise Ended
        (path / "task.json").write_text(json.dumps(self.task))


def space_of(tasks):
    columns = {"kind": [f"k{task}" for task in tasks], "task": tasks, "held_out": [False] * len(tasks)}
    return Space.create(np.eye(4, dtype=np.float32)[: len(tasks)], attributes=columns, label="kind", info={"mine": 1})


def line(task):
    return {"task": task, "classes": [f"k{task}"], "accuracies": [1.0] * (task + 1)}


def ends(monkeypatch, owner, name, *, after=False, of=None):
    whole = getattr(owner, name)

    def broken(*given, **named):
        if of is not None and given[0].name != of:
            return whole(*given, **named)
        if after:
            whole(*given, **named)
        raise Ended

    monkeypatch.setattr(owner, name, broken)


DRAFT = ".stream.jsonl.partial"
POINTS = {
    "before the learner": lambda patch: ends(patch, Learner, "save"),
    "within the learner": None,
    "after the learner": lambda patch: ends(patch, Learner, "save", after=True),
    "before the Space": lambda patch: ends(patch, Space, "save"),
    "after the Space": lambda patch: ends(patch, Space, "save", after=True),
    "before the log": lambda patch: ends(patch, Path, "write_text", of=DRAFT),
    "within the log": lambda patch: ends(patch, Path, "write_text", after=True, of=DRAFT),
    "after the log": lambda patch: ends(patch, Path, "iterdir"),
    "after the old learner": lambda patch: ends(patch, shutil, "rmtree", after=True),
}
OLD = {"before the learner", "within the learner", "after the learner", "before the Space"}


@pytest.mark.parametrize("point", POINTS)
def test_a_program_that_ends_leaves_the_old_stream_or_the_new_one(point, tmp_path):
    add_task(space_of([0]), Learner(0), tmp_path, line(0), so_far=None)
    before = read_stream(Space.open(tmp_path), tmp_path)
    grown = space_of([0, 1])
    with pytest.MonkeyPatch.context() as patch:
        if POINTS[point]:
            # the folder of the new learner is removed first, in case there is one: that call is not the last
            POINTS[point](patch) if point != "after the old learner" else _second(patch)
        with pytest.raises(Ended):
            add_task(grown, Learner(1, fails=point == "within the learner"), tmp_path, line(1), so_far=before)
    whole = 1 if point in OLD else 2
    for _ in range(2):
        opened = Space.open(tmp_path)
        found = read_stream(opened, tmp_path)
        assert len(opened) == len(found.lines) == whole
        assert json.loads((found.learner / "task.json").read_text()) == whole - 1
        assert [path.name for path in (tmp_path / "learner").iterdir()] == [str(whole - 1)]
        logged = [json.loads(text) for text in (tmp_path / "stream.jsonl").read_text().splitlines()]
        assert logged == found.lines
        assert opened.info["mine"] == 1
    if whole == 1:
        add_task(grown, Learner(1), tmp_path, line(1), so_far=found)
        assert len(read_stream(Space.open(tmp_path), tmp_path).lines) == 2


def _second(patch):
    whole, calls = shutil.rmtree, []

    def broken(*given, **named):
        calls.append(given)
        whole(*given, **named)
        if len(calls) == 2:
            raise Ended

    patch.setattr(shutil, "rmtree", broken)


def test_a_space_without_its_learner_or_columns(tmp_path):
    add_task(space_of([0]), Learner(0), tmp_path / "space", line(0), so_far=None)
    whole = Space.open(tmp_path / "space")
    bare = Space.create(whole.vectors, attributes={"kind": ["a"]}, label="kind", info={STREAM: [line(0)]})
    assert read_stream(bare, tmp_path / "other") is None, "saved elsewhere it has no learner"
    with pytest.raises(SpaceFormatError, match="task, held_out"):
        read_stream(bare, tmp_path / "space")
