"""The student sees a part of the teacher's rows; nobody sees those that judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.protocols import Distillation, draw_category_discovery, draw_distillation
from spaceform.errors import InputError

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, -1], [80, 60, 40, 7]))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 1), st.integers(0, 99))
def test_rows_stand_on_one_side(transfer, seed):
    drawn = draw_distillation(LABELS, transfer=transfer, seed=seed)
    used = np.concatenate([drawn.teacher, drawn.validation, drawn.test])
    np.testing.assert_array_equal(np.sort(used), np.flatnonzero(LABELS >= 0))
    assert set(drawn.transfer) <= set(drawn.teacher)
    assert abs(len(drawn.transfer) - transfer * len(drawn.teacher)) <= 3
    for rows in (drawn.transfer, drawn.validation, drawn.test):
        assert set(LABELS[rows]) == {0, 1, 2}


def test_the_rows_that_judge_do_not_depend_on_the_student():
    few, all_of_them = (draw_distillation(LABELS, transfer=share) for share in (0.1, 1.0))
    np.testing.assert_array_equal(few.test, all_of_them.test)
    np.testing.assert_array_equal(few.teacher, all_of_them.teacher)
    np.testing.assert_array_equal(all_of_them.transfer, all_of_them.teacher)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"transfer": 0}, "transfer"),
        ({"transfer": 2}, "transfer"),
        ({"validation": 0}, "validation"),
        ({"test": 1}, "test"),
        ({"validation": 0.5, "test": 0.5}, "shares"),
    ],
)
def test_bad_draws(options, name):
    with pytest.raises(InputError, match=name):
        draw_distillation(LABELS, **options)


def test_one_class_and_other_splits_are_refused():
    with pytest.raises(InputError, match="labels"):
        draw_distillation(np.zeros(9, int))
    with pytest.raises(InputError, match="split"):
        Distillation(draw_category_discovery(LABELS, n_known=1).split)
