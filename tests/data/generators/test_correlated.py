"""Rows whose attribute follows where they lie, and one that does not."""

import numpy as np
import pytest

from spaceform.data.generators.correlated import correlated_rows
from spaceform.errors import InputError


def test_windows_of_place_hold_the_neighbours_and_windows_of_anywhere_do_not():
    made = correlated_rows(3_000, 16, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(made.X, axis=1), 1, rtol=1e-5)
    scores = made.X[:50] @ made.X.T
    near = np.argsort(-scores, axis=1)[:, 1:11]
    gaps = {name: np.abs(column[near] - column[:50, None]).mean() for name, column in
            (("place", made.place), ("anywhere", made.anywhere))}  # fmt: skip
    assert gaps["place"] < 0.15 < 0.25 < gaps["anywhere"]
    np.testing.assert_array_equal(np.sort(made.place), np.arange(3_000) / 3_000)
    np.testing.assert_array_equal(made.X, correlated_rows(3_000, 16, random_state=0).X)
    with pytest.raises(InputError):
        correlated_rows(0, 16)
