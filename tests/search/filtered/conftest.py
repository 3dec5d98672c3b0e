"""Rows with attributes, some of which follow the vectors and some of which do not."""

import numpy as np
import pytest

N, D = 2_000, 24


def draw(n=N, d=D, seed=0):
    """Return clustered vectors and their attributes: ``group`` follows the vectors, ``price`` and ``tags`` do not."""
    generator = np.random.default_rng(seed)
    centres = 2 * generator.normal(size=(20, d))
    group = generator.integers(0, 20, n)
    X = (centres[group] + generator.normal(size=(n, d))).astype(np.float32)
    price = generator.normal(size=n)
    price[::17] = np.nan
    tags = [["red", "blue", "old"][: i % 4] for i in range(n)]
    name = [None if i % 11 == 0 else f"n{i % 7}" for i in range(n)]
    return X, {"group": group, "price": price, "tags": tags, "name": name}


@pytest.fixture(scope="session")
def rows():
    return draw()


@pytest.fixture(scope="session")
def queries():
    return draw(seed=1)[0][:6] + np.float32(0.1)
