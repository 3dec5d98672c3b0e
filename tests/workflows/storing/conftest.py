"""A small Space on disk."""

import numpy as np
import pytest

from spaceform.space import Space

NAMES = ["cat", "black cat", "dog", "red apple", None]
VECTORS = np.array([[1, 0], [1, 0.1], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)


def make(**changes):
    attributes = {
        "name": NAMES,
        "keywords": [["pet"], ["pet"], [], None, ["x"]],
        "year": [2010, 2015, None, 2016, 2017],
    }
    return Space.create(VECTORS, **{"attributes": attributes, "ids": list("abcde"), **changes})


@pytest.fixture
def folder(tmp_path):
    return make().save(tmp_path / "my space")
