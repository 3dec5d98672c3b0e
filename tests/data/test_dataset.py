"""The Dataset keeps its rows, labels and attributes in step."""

import json

import numpy as np
import pytest

from spaceform.data import Dataset
from spaceform.errors import InputError


def make(**changes):
    parts = {
        "name": "toy",
        "X": np.zeros((3, 2)),
        "y": np.array([0, -1, 0]),
        "classes": ["a", "b"],
        "attributes": {"colour": ["r", "g", "r"]},
        "licence": "free",
        "source": "here",
    }
    return Dataset(**{**parts, **changes})


def test_the_summary_counts_what_is_there():
    summary = make().summary()
    assert json.loads(json.dumps(summary)) == {
        "name": "toy",
        "rows": 3,
        "shape": [3, 2],
        "dtype": "float64",
        "megabytes": 0.0,
        "classes": 2,
        "rows_per_class": [2, 2],
        "unlabelled": 1,
        "attributes": {"colour": 2},
        "licence": "free",
        "source": "here",
    }
    assert len(make()) == 3


def test_an_empty_and_an_unlabelled_set_have_summaries():
    assert make(y=np.full(3, -1)).summary()["rows_per_class"] == [0, 0]
    empty = make(X=np.zeros((0, 2)), y=np.zeros(0, dtype=np.int64), attributes={})
    assert empty.summary()["rows"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.zeros(2, dtype=np.int64)}, "y: got int64 of shape"),
        ({"y": np.zeros(3)}, "y: got float64"),
        ({"y": np.array([0, 1, 2])}, "outside the classes"),
        ({"y": np.array([0, 1, -2])}, "outside the classes"),
        ({"attributes": {"colour": ["r"]}}, r"attributes\['colour'\]: got 1 values"),
    ],
)
def test_parts_out_of_step_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)
