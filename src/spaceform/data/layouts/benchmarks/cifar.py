"""CIFAR-10 and CIFAR-100 in their binary versions; the versions of Python pickles are not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import benchmark_file, text_lines
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

_PIXELS = 3 * 32 * 32  # three planes of 32 x 32
_LICENCE = "free for research with citation (A. Krizhevsky, 2009)"


def load_cifar10(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``: X (60000, 32, 32, 3) uint8, y = class.

    Attribute ``split``. ``root`` holds them, or the folder ``cifar-10-batches-bin``; the ten names come from
    ``batches.meta.txt`` beside them. Raises ``InputError`` for the Python version (pickles are never read) and files of
    another length.
    """
    folder = existing(root, "root")
    _refuse_pickles(folder, ("data_batch_1", "batches.meta"), "data_batch_1.bin ...", "cifar-10-binary.tar.gz")
    names = [*(f"data_batch_{part}.bin" for part in range(1, 6)), "test_batch.bin"]
    parts = []
    for done, name in enumerate(names):
        progress("read cifar-10", done, len(names))
        parts.append(_records(benchmark_file(folder, name, f"cifar-10-batches-bin/{name}"), labels=1))
    progress("read cifar-10", len(names), len(names))
    classes = _names(benchmark_file(folder, "batches.meta.txt", "cifar-10-batches-bin/batches.meta.txt"), 10)
    table = np.concatenate(parts)
    if table[:, 0].max() >= 10:
        raise InputError(shown(folder), got=f"class {table[:, 0].max()}", expected="CIFAR-10 records")
    split = np.repeat(["train", "test"], [len(table) - len(parts[-1]), len(parts[-1])])
    return Dataset(
        "cifar-10",
        _pictures(table[:, 1:]),
        table[:, 0].astype(np.int64),
        classes,
        {"split": split},
        _LICENCE,
        str(root),
    )


def load_cifar100(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``train.bin`` and ``test.bin``: X (60000, 32, 32, 3) uint8, y = class (100).

    Attributes ``superclass`` (20 names) and ``split``. ``root`` holds them, or the folder ``cifar-100-binary``; class
    names come from ``fine_label_names.txt`` and ``coarse_label_names.txt`` beside them (underscores become spaces).
    Raises ``InputError`` for the Python version (pickles are never read) and files of another length.
    """
    folder = existing(root, "root")
    _refuse_pickles(folder, ("train", "meta"), "train.bin, test.bin", "cifar-100-binary.tar.gz")
    parts = []
    for done, split in enumerate(("train", "test")):
        progress("read cifar-100", done, 2)
        parts.append(_records(benchmark_file(folder, f"{split}.bin", f"cifar-100-binary/{split}.bin"), labels=2))
    progress("read cifar-100", 2, 2)
    table = np.concatenate(parts)
    fine, coarse = (
        _names(benchmark_file(folder, f"{kind}_label_names.txt", f"cifar-100-binary/{kind}_label_names.txt"), n)
        for kind, n in (("fine", 100), ("coarse", 20))
    )
    if table[:, 0].max() >= 20 or table[:, 1].max() >= 100:
        raise InputError(shown(folder), got="a class beyond 20 and 100", expected="CIFAR-100 records")
    split_names = np.repeat(["train", "test"], [len(part) for part in parts])
    attributes = {"superclass": np.array(coarse)[table[:, 0]], "split": split_names}
    return Dataset(
        "cifar-100", _pictures(table[:, 2:]), table[:, 1].astype(np.int64), fine, attributes, _LICENCE, str(root)
    )


def _refuse_pickles(folder: Path, files: tuple[str, ...], binary: str, archive: str) -> None:
    if all((folder / name).is_file() for name in files):
        raise InputError(
            "root",
            got=f"{shown(folder)}, the version of Python pickles",
            expected=f"the binary version ({binary})",
            remedy=f"pickles can run code and are never read; unpack {archive} instead",
        )


def _records(path: Path, *, labels: int) -> np.ndarray:
    """Return the records ``(n, labels + pixels)`` of a file: bytes of labels, then the planes of the picture."""
    content, record = np.fromfile(path, dtype=np.uint8), labels + _PIXELS
    if content.size == 0 or content.size % record:
        raise InputError(shown(path), got=f"{content.size} bytes", expected=f"records of {record} bytes")
    return content.reshape(-1, record)


def _pictures(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _names(path: Path, count: int) -> list[str]:
    names = [line.strip().replace("_", " ") for _, line in text_lines(path)]
    if len(names) != count:
        raise InputError(shown(path), got=f"{len(names)} names", expected=f"{count}")
    return names
