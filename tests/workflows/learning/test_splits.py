"""What is held back from an encoder: whole classes where there are enough, else rows, else nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.workflows.learning.splits import MIN_CLASSES, split_rows


def parts(split):
    return split.train, split.validation, split.test


@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=30),
    share=st.sampled_from([0.1, 0.2, 0.5, 0.9]),
    seed=st.integers(0, 5),
)
def test_parts_never_share_rows_and_classes_stay_whole(sizes, share, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    y[:: max(2, len(y) // 3)] = -1
    split = split_rows(y, share=share, seed=seed)
    rows = np.concatenate(parts(split))
    assert len(rows) == len(np.unique(rows))
    assert (y[rows] >= 0).all()
    classes = [set(y[part]) for part in parts(split)]
    if split.by == "classes":
        assert not classes[0] & classes[1]
        assert not classes[0] & classes[2]
        assert not classes[1] & classes[2]
        assert min(map(len, classes)) >= 2
    elif split.by == "rows":
        assert set(y[rows]) == set(y[y >= 0])
        for part in parts(split)[1:]:
            assert np.unique(y[part], return_counts=True)[1].min() >= 2
        assert len(split.train) >= 2
    else:
        assert set(split.train) == set(np.flatnonzero(y >= 0))
        assert len(split.validation) == len(split.test) == 0


def test_shares_are_of_classes():
    split = split_rows(np.repeat(np.arange(50), 3), share=0.2, seed=0)
    assert [len(part) // 3 for part in parts(split)] == [35, 5, 10]
    other = split_rows(np.repeat(np.arange(50), 3), share=0.2, seed=1)
    assert not np.array_equal(split.test, other.test)


@pytest.mark.parametrize(("classes", "rows", "by"), [(MIN_CLASSES, 2, "classes"), (9, 8, "rows"), (9, 5, "")])
def test_few_classes_hold_back_rows_and_few_rows_nothing(classes, rows, by):
    y = np.repeat(np.arange(classes), rows)
    assert split_rows(y, share=0.2, seed=0).by == by
    assert split_rows(y, share=0.0, seed=0).by == ""
