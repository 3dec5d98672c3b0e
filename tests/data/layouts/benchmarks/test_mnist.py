"""A folder of IDX files, plain and compressed, and folders that are none."""

import gzip

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError


def idx(values):
    values = np.asarray(values, dtype=np.uint8)
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 6), ("t10k", 4)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (n, 28, 28))))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n) % 3)))
    return tmp_path


def test_both_parts_are_read(folder):
    found = data.load("mnist-idx", root=folder)
    assert found.X.shape == (10, 28, 28)
    assert found.X.dtype == np.uint8
    assert found.y.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert found.attributes["split"].tolist() == ["train"] * 6 + ["test"] * 4
    assert list(found.classes) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-labels-idx1-ubyte.gz", None, "lacks train-labels"),
        ("train-labels-idx1-ubyte.gz", b"\x1f\x8bno", "can't be read"),
        ("train-labels-idx1-ubyte.gz", gzip.compress(idx([1, 2]), mtime=0), "train pictures of shape"),
        ("t10k-images-idx3-ubyte", b"PNG", "an IDX file"),
    ],
)
def test_broken_folders_are_refused(folder, name, content, words):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        data.load("mnist-idx", root=folder)
