"""How sure a discovery is: figures by hand, blobs that are sure, noise that is not."""

import numpy as np
import pytest

from spaceform.clustering.kmeans import kmeans
from spaceform.workflows.discovering import trust


def test_repeats_measure_each_class_and_all_rows():
    found = np.array([0, 0, 0, 1, 1, 1, -1])
    answers = iter([np.array([5, 5, 5, 2, 2, 2, 2]), np.array([1, 1, 0, 0, 0, 0, 0])])
    kept, agreement = trust.repeat(found, np.full(7, -1), lambda *_: next(answers), times=2, seed=0)
    np.testing.assert_allclose(kept, [(1 + 2 / 3) / 2, (1 + 3 / 4) / 2])
    assert agreement == pytest.approx((1 + 5 / 6) / 2)


def test_a_rehearsal_hides_known_classes_only_and_scores_them():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(10), 20)
    X = 8 * rng.normal(size=(10, 6))[truth] + rng.normal(size=(200, 6))
    y = np.where(truth < 8, truth, -1)
    seen = []

    def fit(masked, count, state):
        seen.append((masked.copy(), count))
        return kmeans(X[masked == -1], count, random_state=state).labels

    done = trust.rehearse(X, y, fit, n_novel=2, seed=1)
    ((masked, count),) = seen
    assert (done.hidden, done.rows, count) == (2, 40, 4)
    assert ((masked == y) | (masked == -1)).all()
    assert (masked[y == -1] == -1).all()
    assert done.accuracy > 0.9
    assert done.plain > 0.9
    assert trust.rehearse(X, np.where(truth < 3, truth, -1), fit, n_novel=2, seed=1) is None


def test_rows_taken_for_known_ones_count_as_wrong():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), np.repeat(np.arange(8), 10)

    def fit(masked, count, state):
        return np.where(np.arange((masked == -1).sum()) < 10, 0, -1)

    assert trust.rehearse(X, y, fit, n_novel=1, seed=0).accuracy == 0.5


def test_words():
    done = trust.Rehearsal(hidden=2, rows=1200, accuracy=0.8, plain=0.6)
    said = list(trust.conclude(stability=[0.9, 0.6, 0.3], agreement=0.7, rehearsal=done))
    assert said[0].startswith("1 of 3 classes are stable")
    assert said[1] == "with other seeds 70% of the rows keep their class"
    assert "80% of their 1,200 rows right (k-means on the vectors: 60%)" in said[2]
