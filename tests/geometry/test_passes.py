"""The compiled passes, and that they compile: depth-first order with a cycle hidden in it."""

import numpy as np

from spaceform.geometry import passes


def test_parents_come_first_and_subtrees_are_contiguous():
    parent = np.array([3, 0, 0, -1, 3, 1])
    order = passes.depth_first(parent)
    assert order.tolist() == [3, 0, 1, 5, 2, 4]


def test_a_cycle_is_left_out():
    assert passes.depth_first(np.array([-1, 2, 1, 0])).tolist() == [0, 3]


def test_the_least_variance_is_clamped_at_zero_and_skips_what_is_not_allowed():
    variance = np.array([[-1e-15, 1.0], [-2.0, 1.0], [0.0, 1.0 + 1e-12]])
    label, value = np.empty(2, dtype=np.int64), np.empty(2)
    passes.least(variance, np.array([7, -1, 3]), 1e-9, label, value)
    assert label.tolist() == [3, 3]
    assert value.tolist() == [0.0, 1.0]


def test_nothing_kept_is_infinitely_far():
    found = passes.nearest_distances(np.array([-1, 0]), np.ones(2), np.zeros(2, dtype=bool))
    assert np.isinf(found).all()


def test_depths_and_pairs():
    parent, length = np.array([-1, 0, 1, 0]), np.array([0.0, 2.0, 3.0, 4.0])
    assert passes.depths(parent, length).tolist() == [0, 2, 5, 4]
    ends = np.array([2, 1, 3]), np.array([3, 2, 3])
    assert passes.pair_distances(parent, length, *ends).tolist() == [9, 3, 0]
    rows = np.empty((1, 4))
    passes.source_distances(parent, length, np.array([2]), rows)
    assert rows.tolist() == [[5, 3, 0, 9]]
    assert passes.spanned(parent, np.array([False, False, True, False])).tolist() == [False, False, True, False]
