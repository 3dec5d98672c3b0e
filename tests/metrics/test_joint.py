"""Base, novel, overall and harmonic accuracy, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.metrics.joint import joint_accuracy


def test_by_hand():
    found = joint_accuracy(["a", "a", "a", "b", "x"], ["a", "a", "x", "b", "x"], ["a", "b"])
    assert found.to_dict() == pytest.approx({"base": 3 / 4, "novel": 1, "overall": 4 / 5, "harmonic": 6 / 7})


def test_giving_up_on_one_kind_leaves_nothing():
    assert joint_accuracy([0, 0, 0, 9], [0, 0, 0, 0], [0]).harmonic == 0
    assert joint_accuracy([0, 9], [9, 0], [0]).harmonic == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_the_overall_accuracy_lies_between_the_two(pairs):
    true, predicted = [0, 5, *(t for t, _ in pairs)], [0, 5, *(p for _, p in pairs)]
    found = joint_accuracy(true, predicted, [0, 1, 2])
    low, high = sorted((found.base, found.novel))
    assert low - 1e-12 <= found.overall <= high + 1e-12
    assert low - 1e-12 <= found.harmonic <= high + 1e-12


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="novel class"):
        joint_accuracy([0, 1], [0, 1], [0, 1])
    with pytest.raises(InputError, match="base class"):
        joint_accuracy([0, 1], [0, 1], [2])
    with pytest.raises(InputError, match="y_pred"):
        joint_accuracy([0, 1], [0], [0])
