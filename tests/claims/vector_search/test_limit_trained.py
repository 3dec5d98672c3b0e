"""Maps of an encoder's vectors: MaxSim with padding, and what training and fitting reach where it is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.claims.vector_search.limit_trained import (
    Budget,
    infonce,
    overfit,
    padded,
    token_closeness,
    train_map,
)
from spaceform.search.scorers.max_sim import max_sim

SMALL = Budget(dim=4, steps=60, batch=6, learning_rate=0.02)


def texts(generator, count, *, most=4, d=6):
    return [generator.normal(size=(size, d)).astype(np.float32) for size in generator.integers(1, most + 1, count)]


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_closeness_is_maxsim_over_the_number_of_vectors(seed):
    generator = np.random.default_rng(seed)
    queries, documents = texts(generator, 3), texts(generator, 5)
    expected = max_sim(queries, documents) / np.array([len(one) for one in queries])[:, None]
    np.testing.assert_allclose(token_closeness(padded(queries), padded(documents)), expected, atol=1e-5)


def test_the_loss_is_the_mean_over_relevant_pairs():
    wanted = torch.tensor([[1.0, 1, 0], [0, 0, 1]])
    closeness = torch.tensor([[0.1, 0.2, 0.0], [0.0, 0.0, 0.1]])
    rows = torch.log_softmax(closeness / 0.1, 1)
    assert infonce(closeness, wanted).item() == pytest.approx(-(rows[0, 0] + rows[0, 1] + rows[1, 2]).item() / 3)


@pytest.mark.parametrize("most", [1, 3])
def test_a_map_learns_which_directions_tell(most):
    """Relevance is told by three of twelve coordinates, the rest is noise: training finds them, drawing does not."""
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 3, 60)

    def made(kinds):
        signs = np.eye(3)[kinds][:, None] + 0.05 * generator.normal(size=(len(kinds), most, 3))
        return list(np.concatenate([signs, 1.5 * generator.normal(size=(len(kinds), most, 9))], 2).astype(np.float32))

    queries, documents = made(kinds), made(np.repeat([0, 1, 2], 4))
    relevance = kinds[:, None] == np.repeat([0, 1, 2], 4)
    share = []
    for steps in (1, 200):
        budget = Budget(dim=4, steps=steps, batch=30, learning_rate=0.02)
        apply = train_map(queries, documents, relevance, budget=budget, seed=0)
        new, old = made(kinds), made(np.repeat([0, 1, 2], 4))
        best = max_sim(apply(new), apply(old)).argmax(1)
        share.append(relevance[np.arange(60), best].mean())
    assert share[1] > 0.85 > share[0]


def test_the_same_seed_trains_the_same_map():
    generator = np.random.default_rng(0)
    queries, documents, relevance = texts(generator, 8), texts(generator, 5), np.eye(8, 5, dtype=bool)
    relevance[5:, 0] = True
    one, two, other = (train_map(queries, documents, relevance, budget=SMALL, seed=seed)(queries) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one[0], two[0])
    assert np.abs(one[0] - other[0]).max() > 0.01
    assert [one.shape for one in one] == [(len(text), 4) for text in queries]
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(one), axis=1), 1, atol=1e-5)


def test_maps_fitted_on_the_answers_return_them():
    generator = np.random.default_rng(0)
    queries, documents = generator.normal(size=(10, 12)), generator.normal(size=(6, 12))
    relevance = np.zeros((10, 6), dtype=bool)
    relevance[np.arange(10), np.arange(10) % 6] = True
    scores = overfit(queries, documents, relevance, dim=6, steps=200, seed=0)
    assert (scores.argmax(1) == np.arange(10) % 6).all()
