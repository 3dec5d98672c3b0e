"""Tuning a spectral embedding on known classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons

from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.spectral import spectral_embedding
from spaceform.clustering.spectral_tuning import tune_spectral
from spaceform.errors import InputError
from spaceform.ops.assignment import agreement


def known_moons() -> tuple[np.ndarray, np.ndarray]:
    """Two known moons, and beside them an unlabelled copy."""
    moons, truth = make_moons(120, noise=0.03, random_state=0)
    X = np.concatenate([moons, moons + np.array([3.3, 0.0])])
    return X, np.concatenate([truth, np.full(120, -1)])


def test_the_best_candidate_separates_the_known_classes() -> None:
    X, y = known_moons()
    tuning = tune_spectral(X, y, min_dists=(1e-8, 1e-4, 0.6), n_components=(1, 3))
    assert tuning.score == max(score for *_, score in tuning.scores) > 0.95
    assert (tuning.min_dist, tuning.n_components, tuning.score) in tuning.scores
    assert len(tuning.scores) == 6
    for min_dist, size, score in tuning.scores:
        embedding = spectral_embedding(X, size, min_dist)[y >= 0]
        assert score == pytest.approx(agreement(y[y >= 0], kmeans(embedding, 2, n_init=3, random_state=0).labels))


def test_rows_without_label_bring_no_label_into_the_choice() -> None:
    X, y = known_moons()
    seen: list[int] = []
    first = tune_spectral(X, y, min_dists=(0.1, 0.5), progress=lambda *told: seen.append(told[1]))
    assert seen == [1, 2]
    assert first == tune_spectral(X, y, min_dists=(0.1, 0.5))
    assert {size for _, size, _ in first.scores} == {2, 3, 4, 6, 8}


@pytest.mark.parametrize("y", [np.full(20, -1), np.repeat([3, -1], 10)])
def test_two_known_classes_are_needed(y: np.ndarray) -> None:
    with pytest.raises(InputError, match="y:"):
        tune_spectral(np.random.default_rng(0).normal(size=(20, 2)), y)
