"""Extend: tasks over several calls, accuracies by hand, rows appended, and what is refused."""

import json

import numpy as np
import pytest

from spaceform.claims.continual.streams import blobs
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.extending.extend import extend

X, Y = blobs(0, classes=6, rows=20)
NAMES = np.array(list("abcdef"))[Y]
OPTIONS = {"epochs": [8, 6], "embedding_dim": 16, "learning_rates": [0.01, 0.5], "na_weight": 0.1}


def space_of(rows, **more):
    attributes = {"kind": NAMES[rows].tolist(), **more}
    return Space.create(X[rows], attributes=attributes, ids=[f"r{row}" for row in rows], label="kind")


def test_classes_are_added_over_several_calls_and_forgetting_is_measured(tmp_path):
    old, second, third = (np.flatnonzero(np.isin(Y, own)) for own in ([0, 1, 2], [3, 4], [5]))
    folder = tmp_path / "space"
    space_of(old, colour=["red"] * len(old)).save(folder)
    space_of(second).save(tmp_path / "new")
    first = extend(folder, tmp_path / "new", options=OPTIONS)
    assert (first.task, first.classes, first.rows) == (1, ("d", "e"), 40)
    assert len(first.before) == len(first.after) == 1
    last = extend(folder, space_of(third))
    assert last.before == (*first.after, first.new_accuracy), "the learner is the one that was saved"
    rows = last.matrix["accuracies"]
    assert rows[1] == [*first.after, first.new_accuracy]
    assert rows[2] == [*last.after, last.new_accuracy]
    drops = [max(rows[0][0], rows[1][0]) - rows[2][0], rows[1][1] - rows[2][1]]
    assert last.figures["forgetting"] == pytest.approx(np.mean(drops))
    lines = [json.loads(line) for line in (folder / "stream.jsonl").read_text().splitlines()]
    assert [line["classes"] for line in lines] == [["a", "b", "c"], ["d", "e"], ["f"]]
    assert [line["accuracies"] for line in lines] == rows
    grown = Space.open(folder)
    assert len(grown) == 120
    assert grown.column("colour").tolist() == ["red"] * 60 + [None] * 60
    assert np.bincount(grown.column("task")[grown.column("held_out")]).tolist() == [12, 8, 4]
    assert json.loads(json.dumps(last.to_dict()))["method"] == "napa-vq"


def test_what_is_refused(tmp_path):
    old = np.flatnonzero(Y < 3)
    folder = tmp_path / "space"
    space_of(old).save(folder)
    bad = [
        (space_of(np.flatnonzero(Y == 0)), {}, "a class of the Space"),
        (Space.create(np.ones((2, 3)), attributes={"kind": ["x", "x"]}, label="kind"), {}, "dimensions"),
        (space_of(np.flatnonzero(Y == 4)[:1]), {}, "at least two"),
        (space_of(np.flatnonzero(Y == 4)), {"method": "facenet"}, "continual"),
        (space_of(np.flatnonzero(Y == 4)), {"held_out": 0.0}, "over 0"),
        (Space.create(np.ones((2, 6)), attributes={"kind": [None, None]}, label="kind"), {}, "no labelled row"),
    ]
    for items, options, match in bad:
        with pytest.raises(InputError, match=match):
            extend(folder, items, **options)
    assert not (folder / "learner").exists()
    assert len(Space.open(folder)) == 60
