"""Stability: real clusters come back, cut ones don't."""

from __future__ import annotations

import numpy as np
import pytest

from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.stability import cluster_stability
from spaceform.errors import InputError


def test_separated_blobs_are_stable_and_a_halved_blob_is_not() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (200, 5)), rng.normal(30, 1, (50, 5)), rng.normal(-30, 1, (50, 5))])
    stable = cluster_stability(X, np.repeat([0, 1, 2], [200, 50, 50]), random_state=0)
    np.testing.assert_allclose(stable, 1)
    labels = kmeans(X, 4, random_state=0).labels
    halves = np.flatnonzero(np.bincount(labels[:200], minlength=4))
    values = cluster_stability(X, labels, random_state=0)
    assert values[halves].max() < 0.8
    np.testing.assert_allclose(np.delete(values, halves), 1)


def test_unlabelled_rows_belong_to_no_cluster() -> None:
    X = np.concatenate([np.zeros((10, 2)), np.ones((10, 2))]) + np.random.default_rng(0).normal(0, 0.01, (20, 2))
    labels = np.repeat([0, 1], 10)
    labels[0] = -1
    assert len(cluster_stability(X, labels, random_state=0)) == 2


def test_same_seed_same_result() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    labels = kmeans(X, 4, random_state=0).labels
    first, second = (cluster_stability(X, labels, random_state=2) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("options", [{"n_runs": 0}, {"share": 1.5}])
def test_bad_input_is_refused(options: dict) -> None:
    with pytest.raises(InputError):
        cluster_stability(np.eye(4), np.array([0, 0, 1, 1]), **options)
