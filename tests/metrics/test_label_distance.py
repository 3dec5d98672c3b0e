"""Mean squared label distance by hand, and its refusals."""

import pytest

from spaceform.errors import InputError
from spaceform.geometry import TreeMetric
from spaceform.metrics.label_distance import mean_squared_label_distance

TREE = TreeMetric([-1, 0, 0, 1], labels=["root", "a", "b", "aa"])


def test_hand_value():
    assert mean_squared_label_distance(TREE, ["aa", "b", "a"], ["b", "b", "root"]) == pytest.approx((9 + 0 + 1) / 3)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="y_pred: got 'c', unknown"):
        mean_squared_label_distance(TREE, ["a"], ["c"])
    with pytest.raises(InputError, match="at least one row"):
        mean_squared_label_distance(TREE, ["a"], ["a", "b"])
