"""Every class arrives once, every row serves once, and the same seed freezes the same tasks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.protocols import ClassIncremental, draw_category_discovery, draw_class_incremental
from spaceform.errors import InputError

LABELS = np.random.default_rng(0).permutation(np.repeat([*range(10, 21), -1], 9))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 3), st.sampled_from([0.0, 0.2]), st.integers(0, 99))
def test_every_class_and_row_serves_once(n_base, n_step, validation, seed):
    stream = draw_class_incremental(LABELS, n_base=n_base, n_step=n_step, validation=validation, seed=seed)
    assert stream.n_tasks == 1 + (11 - n_base) // n_step
    assert [len(stream.classes(task)) for task in range(stream.n_tasks)] == [n_base] + [n_step] * (stream.n_tasks - 1)
    seen = stream.seen(stream.n_tasks - 1)
    assert len(set(seen)) == len(seen)
    parts = [part(task) for task in range(stream.n_tasks) for part in (stream.train, stream.validation, stream.test)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.flatnonzero(np.isin(LABELS, seen)))
    for task in range(stream.n_tasks):
        for part in (stream.train(task), stream.test(task)):
            assert set(LABELS[part]) == set(stream.classes(task))
        assert (len(stream.validation(task)) > 0) == (validation > 0)


def test_the_seed_draws_order_and_rows():
    streams = [draw_class_incremental(LABELS, n_base=5, n_step=2, seed=seed) for seed in (0, 0, 1)]
    assert streams[0] == streams[1]
    assert streams[0] != streams[2]
    assert (streams[0].seen(3) != streams[2].seen(3)).any()


def test_rows_of_a_class_do_not_depend_on_the_cut_into_tasks():
    one, other = (draw_class_incremental(LABELS, n_base=base, n_step=2) for base in (1, 5))
    tests = [np.sort(np.concatenate([s.test(t) for t in range(s.n_tasks)])) for s in (one, other)]
    np.testing.assert_array_equal(*tests)


def test_fewer_tasks_leave_classes_out():
    stream = draw_class_incremental(LABELS, n_base=3, n_step=2, n_tasks=2)
    assert len(stream.seen(1)) == 5
    np.testing.assert_array_equal(stream.seen(0), stream.classes(0))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_base": 11, "n_step": 1}, "labels"),
        ({"n_base": 0, "n_step": 1}, "n_base"),
        ({"n_base": 2, "n_step": 0}, "n_step"),
        ({"n_base": 2, "n_step": 2, "n_tasks": 9}, "n_tasks"),
        ({"n_base": 2, "n_step": 2, "test": 0.0}, "test"),
        ({"n_base": 2, "n_step": 2, "test": 0.6, "validation": 0.4}, "shares"),
    ],
)
def test_bad_draws(options, name):
    with pytest.raises(InputError, match=name):
        draw_class_incremental(LABELS, **options)


def test_tasks_out_of_range_and_other_splits_are_refused():
    stream = draw_class_incremental(LABELS, n_base=3, n_step=4)
    with pytest.raises(InputError, match="task"):
        stream.train(3)
    with pytest.raises(InputError, match="split"):
        ClassIncremental(draw_category_discovery(LABELS, n_known=3).split)
