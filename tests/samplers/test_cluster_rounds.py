"""Batches of one cluster at a time: balanced, in turn, nothing made up for clusters without pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.samplers.cluster_rounds import ClusterRounds


def rounds(labels, clusters, **options):
    return ClusterRounds(labels, clusters, **{"classes_per_batch": 2, "samples_per_class": 3, **options})


@given(seed=st.integers(0, 10**6), k=st.integers(1, 4), step=st.integers(0, 30))
@settings(deadline=None, max_examples=40)
def test_batches_come_from_one_cluster_in_turn_and_have_pairs(seed, k, step):
    rng = np.random.default_rng(seed)
    y, clusters = rng.integers(-1, 4, 120), rng.integers(0, k, 120)
    plan = rounds(y, clusters, seed=seed)
    rows, cluster = plan(step)
    assert cluster == plan.clusters[step % len(plan.clusters)]
    assert set(clusters[rows]) == {cluster}
    drawn, counts = np.unique(y[rows], return_counts=True)
    assert len(drawn) == 2
    assert (counts >= 2).all()
    assert -1 not in drawn
    np.testing.assert_array_equal(plan(step).rows, rows)


def test_a_pure_cluster_is_skipped():
    y = np.array([0] * 10 + [0, 0, 0, 1, 1, 1])
    plan = rounds(y, np.repeat([0, 1], [10, 6]))
    assert (plan.clusters, plan.skipped) == ([1], [0])
    assert {plan(step).cluster for step in range(5)} == {1}


def test_a_class_with_a_single_row_in_a_cluster_is_left_out():
    y = np.array([0, 0, 0, 1, 1, 1, 2])
    plan = rounds(y, np.zeros(7, dtype=int), classes_per_batch=3)
    assert all(set(y[plan(step).rows]) == {0, 1} for step in range(20))
    assert rounds(np.array([0, 0, 0, 1]), np.zeros(4, dtype=int)).steps_per_epoch == 0


def test_clusters_emptier_than_a_batch_are_skipped_unless_all_are():
    y = np.array([0, 1] * 10)
    plan = rounds(y, np.repeat([0, 1], [16, 4]))
    assert (plan.clusters, plan.skipped) == ([0], [1])
    small = rounds(y[:8], np.repeat([0, 1], 4))
    assert (small.clusters, small.skipped) == ([0, 1], [])
    assert len(small(0).rows) == 4


def test_the_largest_cluster_sets_the_length_of_an_epoch():
    y = np.array([0, 1] * 30)
    plan = rounds(y, np.repeat([0, 1], [48, 12]))
    assert plan.steps_per_epoch == 2 * (48 // 6)
    seen = np.concatenate([plan(step).rows for step in range(plan.steps_per_epoch)])
    assert (np.bincount(seen, minlength=60)[48:] > 0).all()


def test_what_does_not_fit_is_refused():
    y = np.array([0, 0, 1, 1])
    for clusters in ([0, 0, 1], [0, 0, -1, 1], [0.0, 0.0, 1.0, 1.0]):
        with pytest.raises(InputError, match="clusters"):
            rounds(y, clusters)
    with pytest.raises(InputError, match="samples_per_class"):
        rounds(y, [0] * 4, samples_per_class=1)
    with pytest.raises(InputError, match="labels"):
        rounds([0.5, 1, 1, 0], [0] * 4)
    with pytest.raises(InputError, match="two classes of two rows"):
        rounds(np.zeros(4, dtype=int), [0] * 4)(0)
