"""Fashion-MNIST from a stand-in of its package."""

import gzip

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError


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


def test_a_damaged_file_inside_is_named(place, pack):
    place(
        "fashion-mnist",
        pack.deb({"./usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz": gzip.compress(b"x")}),
    )
    with pytest.raises(InputError, match="an IDX file"):
        data.load("fashion-mnist")
