"""Which rows serve for what: no row twice, every class on its side, draws that nest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.samplers.class_split import joint_disjoint_split

LABELS = np.random.default_rng(0).permutation(np.repeat([3, 5, 8, 11, 20, -1], [9, 2, 30, 12, 5, 7]))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.floats(0.05, 0.95), st.integers(0, 99))
def test_every_labelled_row_serves_once(n_base, share, seed):
    split = joint_disjoint_split(LABELS, n_base, held_out=share, seed=seed)
    used = np.concatenate([split.train, split.support, split.joint])
    np.testing.assert_array_equal(np.sort(used), np.flatnonzero(LABELS >= 0))
    assert len(split.base) == n_base
    assert set(split.base) | set(split.novel) == {3, 5, 8, 11, 20}
    assert set(LABELS[split.train]) == set(split.base)
    assert set(LABELS[split.support]) == set(LABELS[split.disjoint]) == set(split.novel)
    assert set(LABELS[split.joint]) == {3, 5, 8, 11, 20}
    assert set(split.disjoint) <= set(split.joint)


def test_the_share_is_kept_per_class():
    split = joint_disjoint_split(np.repeat(np.arange(4), 100), 2, held_out=0.25)
    np.testing.assert_array_equal(np.bincount(split.joint // 100), [25] * 4)


def test_a_mask_says_which_rows_are_judged():
    writers = np.arange(80) % 8
    labels = np.arange(80) // 20
    split = joint_disjoint_split(labels, 2, held_out=writers >= 6, seed=4)
    assert (writers[split.joint] >= 6).all()
    assert (writers[np.concatenate([split.train, split.support])] < 6).all()


def test_seeds_choose_classes_and_rows():
    splits = [joint_disjoint_split(LABELS, 2, seed=seed) for seed in (0, 0, 1, 2, 3)]
    np.testing.assert_array_equal(splits[0].joint, splits[1].joint)
    assert len({tuple(split.base) for split in splits}) > 1
    assert len({tuple(split.joint) for split in splits}) == 4


def test_supports_nest():
    split = joint_disjoint_split(np.repeat(np.arange(6), 40), 3)
    few, more = (split.draw(np.repeat(np.arange(6), 40), n, seed=1) for n in (2, 7))
    np.testing.assert_array_equal(more[:, :2], few)
    assert more.shape == (3, 7)
    assert set(more.ravel()) <= set(split.support)
    np.testing.assert_array_equal(more // 40, np.repeat(split.novel[:, None], 7, 1))
    assert (split.draw(np.repeat(np.arange(6), 40), 2, seed=2) != few).any()


@pytest.mark.parametrize(
    ("labels", "n_base", "options", "name"),
    [
        ([0, 0, 1, 1], 2, {}, "labels"),
        ([0, 0, 1, 1, 2, 2], 3, {}, "n_base"),
        ([0, 0, 1, 1, 2, 2], 1, {}, "n_base"),
        ([0, 0, 1, 1, 2], 2, {}, "held_out"),
        ([0, 0, 1, 1, 2, 2], 2, {"held_out": 1.0}, "held_out"),
        ([0, 0, 1, 1, 2, 2], 2, {"held_out": np.array([True] * 3)}, "held_out"),
        ([0, 0, 1, 1, 2, 2], 2, {"held_out": np.array([True, False] * 2 + [True] * 2)}, "class 2 left"),
    ],
)
def test_what_does_not_fit_is_refused(labels, n_base, options, name):
    with pytest.raises(InputError, match=name):
        joint_disjoint_split(labels, n_base, **options)


def test_more_supports_than_rows_are_refused():
    labels = np.repeat(np.arange(4), 10)
    with pytest.raises(InputError, match="n_shot"):
        joint_disjoint_split(labels, 2).draw(labels, 8)
