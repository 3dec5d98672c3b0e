"""Utilization, alignment and uniformity against loops, and what holds for all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.metrics.utilization import alignment, uniformity, utilization


def rows(seed, n, width=4):
    return np.random.default_rng(seed).normal(size=(n, width))


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@given(st.integers(0, 200))
def test_utilization_is_the_mean_squared_distance_to_the_nearest(seed):
    Q, X = rows(seed, 7), rows(seed + 1, 9)
    nearest = [min(((q - x) ** 2).sum() for x in unit(X)) for q in unit(Q)]
    assert utilization(Q, X) == pytest.approx(np.mean(nearest))
    assert utilization(3 * Q, X) == pytest.approx(utilization(Q, X))


@given(st.integers(0, 200))
def test_more_training_rows_never_raise_it_and_a_set_uses_itself_wholly(seed):
    Q, X, more = rows(seed, 7), rows(seed + 1, 5), rows(seed + 2, 4)
    assert utilization(Q, np.vstack([X, more])) <= utilization(Q, X) + 1e-12
    assert utilization(X, X) == 0


def test_alignment_and_uniformity_are_means_over_pairs():
    X, y = unit(rows(0, 12)), np.arange(12) % 5
    gaps = ((X[:, None] - X[None]) ** 2).sum(-1)
    apart = ~np.eye(12, dtype=bool)
    assert alignment(X, y) == pytest.approx(gaps[(y[:, None] == y) & apart].mean())
    assert uniformity(X) == pytest.approx(np.log(np.exp(-2 * gaps[apart]).mean()))
    assert uniformity(np.ones((4, 3))) == pytest.approx(0, abs=1e-9)
    assert alignment(np.ones((4, 3)), [0, 0, 1, 1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: utilization([[0.0, 0.0]], [[1.0, 0.0]]), "Q"),
        (lambda: utilization([[1.0, 0.0]], [[np.nan, 0.0]]), "X"),
        (lambda: utilization([[1.0, 0.0]], [[1.0]]), "X"),
        (lambda: alignment([[1.0], [1.0]], [0, 1]), "y"),
        (lambda: uniformity([[1.0, 0.0]]), "X"),
        (lambda: uniformity([[1.0], [1.0]], t=0.0), "t"),
    ],
)
def test_what_has_no_answer_is_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
