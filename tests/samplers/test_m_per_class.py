"""Class-balanced batches: balanced, pure in the step, split among processes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError, NoPairsError
from spaceform.samplers.m_per_class import MPerClassSampler

Y = np.repeat(np.arange(7), [5, 9, 4, 6, 1, 12, 3])


def sampler(labels=Y, **options):
    return MPerClassSampler(labels, **{"classes_per_batch": 3, "samples_per_class": 4, "seed": 0, **options})


@given(
    seed=st.integers(0, 10**6),
    step=st.integers(0, 50),
    classes=st.integers(2, 8),
    samples=st.integers(2, 6),
    extra=st.integers(0, 5),
)
@settings(deadline=None, max_examples=50)
def test_batches_are_balanced_and_without_repeats(seed, step, classes, samples, extra):
    rows = sampler(seed=seed, classes_per_batch=classes, samples_per_class=samples, extra_rows=extra)(step)
    assert len(np.unique(rows)) == len(rows)
    drawn, counts = np.unique(Y[rows[: len(rows) - extra]], return_counts=True)
    assert len(drawn) == min(classes, 6)
    assert 4 not in drawn
    assert [min(samples, (label == Y).sum()) for label in drawn] == counts.tolist()


def test_an_epoch_draws_every_class_once_and_the_next_one_in_another_order():
    plan = sampler()
    assert (plan.n_classes, plan.steps_per_epoch) == (6, 2)
    epochs = [[np.unique(Y[plan(2 * epoch + part)]).tolist() for part in range(2)] for epoch in range(6)]
    for epoch in epochs:
        assert sorted(label for part in epoch for label in part) == [0, 1, 2, 3, 5, 6]
    assert len({str(epoch) for epoch in epochs}) > 1


def test_all_rows_come_up_in_time():
    plan = sampler()
    seen = np.unique(np.concatenate([plan(step) for step in range(200)]))
    assert seen.tolist() == np.flatnonzero(Y != 4).tolist()


def test_a_step_does_not_depend_on_what_was_asked_before():
    first, second = sampler(extra_rows=2), sampler(extra_rows=2)
    forwards = [first(step) for step in range(8)]
    backwards = [second(step) for step in reversed(range(8))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not np.array_equal(first(0), sampler(seed=1, extra_rows=2)(0))


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_the_parts_of_the_ranks_are_the_batch_of_one_process(world_size):
    for step in range(4):
        parts = [sampler(rank=rank, world_size=world_size, extra_rows=1)(step) for rank in range(world_size)]
        assert np.array_equal(np.concatenate(parts), sampler(extra_rows=1)(step))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_short_classes_repeat_rows_only_when_asked():
    for step in range(6):
        assert len(sampler(samples_per_class=8, fill=True)(step)) == 24
        assert len(sampler(samples_per_class=8)(step)) <= 24
    rows = sampler(samples_per_class=8, fill=True, classes_per_batch=6)(0)
    assert set(np.flatnonzero(Y == 2)) <= set(rows)


def test_unlabelled_rows_are_never_drawn():
    labels = np.where(Y == 1, -1, Y)
    rows = np.concatenate([sampler(labels, extra_rows=9)(step) for step in range(40)])
    assert (labels[rows] >= 0).all()
    assert (labels[rows] == 4).any()


def test_one_class_with_pairs_gets_a_negative():
    labels = np.array([0, 0, 0, 0, 0, 1, 2, 3])
    rows = sampler(labels)(0)
    assert (labels[rows] == 0).sum() == 4
    assert (labels[rows] != 0).sum() == 1


def test_labels_without_pairs_are_refused():
    for labels in (np.zeros(5, int), np.arange(5), np.full(4, -1)):
        with pytest.raises(NoPairsError, match="labels"):
            sampler(labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [("classes_per_batch", 1), ("samples_per_class", 1), ("extra_rows", -1), ("seed", -1), ("rank", 1)],
)
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        sampler(**{name: value})


def test_bad_labels_are_refused():
    for labels in (np.array(["a", "b"]), np.array([0.5, 1]), np.array([-2, 0, 0, 1])):
        with pytest.raises(InputError, match="labels"):
            sampler(labels)
