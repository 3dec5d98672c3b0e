"""Temperatures: what they do to probabilities, and that a known one is found again."""

import numpy as np
import pytest
from scipy.special import softmax

from spaceform.errors import InputError
from spaceform.metrics.calibration import apply_temperature, fit_temperature


def test_a_temperature_divides_logits():
    logits = np.random.default_rng(0).normal(size=(5, 4))
    for T in (0.3, 1.0, 4.0):
        np.testing.assert_allclose(apply_temperature(softmax(logits, axis=1), T), softmax(logits / T, axis=1))


def test_zeros_stay_and_scale_does_not_matter():
    P = np.array([[0.0, 1e-300, 3e-300]])
    np.testing.assert_allclose(apply_temperature(P, 1.0), [[0, 0.25, 0.75]])
    np.testing.assert_allclose(apply_temperature(P, 0.01), [[0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("truth", [0.25, 1.0, 5.0])
def test_a_known_temperature_is_found(truth):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 5)) * 2
    columns = (softmax(logits, axis=1).cumsum(axis=1) > rng.uniform(size=(20_000, 1))).argmax(axis=1)
    assert fit_temperature(softmax(logits * truth, axis=1), columns) == pytest.approx(truth, rel=0.1)


def test_votes_of_neighbours_have_a_finite_likelihood():
    P = np.array([[1.0, 0.0], [0.8, 0.2], [0.0, 1.0]])
    assert np.isfinite(fit_temperature(P, np.array([1, 0, 1])))


def test_no_rows_are_refused():
    with pytest.raises(InputError, match="at least one"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=int))
