"""MaxSim against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.search.scorers.max_sim import max_sim


@given(st.integers(0, 10_000))
def test_scores_are_those_of_a_slow_loop(seed):
    generator = np.random.default_rng(seed)
    queries, documents = (
        [generator.normal(size=(count, 3)) for count in generator.integers(1, 5, size)] for size in (3, 4)
    )
    expected = [[sum(max(q @ d for d in document) for q in query) for document in documents] for query in queries]
    np.testing.assert_allclose(max_sim(queries, documents), expected)


def test_one_vector_each_is_the_inner_product():
    X, Y = np.random.default_rng(0).normal(size=(2, 5, 4))
    np.testing.assert_allclose(max_sim(list(X[:, None]), list(Y[:, None])), X @ Y.T)


@pytest.mark.parametrize("documents", [[], [np.ones((2, 4))], [np.empty((0, 3))], [np.full((1, 3), np.nan)]])
def test_bad_input_is_refused(documents):
    with pytest.raises(InputError, match="documents"):
        max_sim([np.ones((1, 3))], documents)
