"""CIFAR-10 and CIFAR-100 in their binary versions."""

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError


def write(tmp_path, content, name="a.txt"):
    (tmp_path / name).write_text(content)
    return tmp_path / name


@pytest.fixture
def cifar(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 3), ("test", 2)):
        records = rng.integers(0, 20, (n, 3074), dtype=np.uint8)
        records.tofile(tmp_path / f"{split}.bin")
    write(tmp_path, "".join(f"class_{i}\n" for i in range(100)), "fine_label_names.txt")
    write(tmp_path, "".join(f"super_{i}\n" for i in range(20)), "coarse_label_names.txt")
    return tmp_path


def test_cifar_records_become_pictures_with_both_labels(cifar):
    raw = np.fromfile(cifar / "train.bin", dtype=np.uint8).reshape(3, 3074)
    found = data.load("cifar-100", root=cifar)
    assert found.X.shape == (5, 32, 32, 3)
    assert found.classes[found.y[0]] == f"class {raw[0, 1]}"
    assert found.attributes["superclass"][0] == f"super {raw[0, 0]}"
    assert found.attributes["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert found.X[1, 5, 7].tolist() == [raw[1, 2 + plane * 1024 + 5 * 32 + 7] for plane in range(3)]


def test_the_pickled_version_is_refused_with_the_way_out(tmp_path):
    for name in ("train", "test", "meta"):
        write(tmp_path, "", name)
    with pytest.raises(InputError, match="pickles can run code and are never read; unpack cifar-100-binary"):
        data.load("cifar-100", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.bin", b"x" * 3073, "records of 3074"),
        ("test.bin", b"", "0 bytes"),
        ("test.bin", b"\xff" * 3074, "beyond 20 and 100"),
        ("fine_label_names.txt", b"a\n", "1 names, expected 100"),
    ],
)
def test_damaged_cifar_files_are_refused(cifar, name, content, message):
    (cifar / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.load("cifar-100", root=cifar)


@pytest.fixture
def cifar10(tmp_path):
    """Two records in each of the five training files, three in the test file, in the folder of the archive."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, n in [*((f"data_batch_{part}", 2) for part in range(1, 6)), ("test_batch", 3)]:
        records = rng.integers(0, 10, (n, 3073), dtype=np.uint8)
        records.tofile(folder / f"{name}.bin")
    write(folder, "".join(f"class_{i}\n" for i in range(10)), "batches.meta.txt")
    return tmp_path


def test_cifar10_records_become_pictures(cifar10):
    raw = np.fromfile(cifar10 / "cifar-10-batches-bin" / "data_batch_2.bin", dtype=np.uint8).reshape(2, 3073)
    found = data.load("cifar-10", root=cifar10)
    assert (found.X.shape, len(found.classes)) == ((13, 32, 32, 3), 10)
    assert found.classes[found.y[2]] == f"class {raw[0, 0]}"
    assert found.attributes["split"].tolist() == ["train"] * 10 + ["test"] * 3
    assert found.X[3, 5, 7].tolist() == [raw[1, 1 + plane * 1024 + 5 * 32 + 7] for plane in range(3)]


def test_pickled_and_damaged_cifar10_is_refused(cifar10, tmp_path):
    folder = cifar10 / "cifar-10-batches-bin"
    (folder / "test_batch.bin").write_bytes(b"\xff" * 3073)
    with pytest.raises(InputError, match="class 255"):
        data.load("cifar-10", root=cifar10)
    (folder / "test_batch.bin").write_bytes(b"x" * 3072)
    with pytest.raises(InputError, match="records of 3073"):
        data.load("cifar-10", root=folder)
    for name in ("data_batch_1", "batches.meta"):
        write(tmp_path, "", name)
    with pytest.raises(InputError, match="never read; unpack cifar-10-binary"):
        data.load("cifar-10", root=tmp_path)
