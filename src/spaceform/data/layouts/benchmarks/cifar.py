"""CIFAR-100 in its binary version (train.bin, test.bin); the version of Python pickles is not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import benchmark_file, text_lines
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

_RECORD = 2 + 3 * 32 * 32  # superclass, class, then three planes of 32 x 32


def load_cifar100(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``train.bin`` and ``test.bin``: X (60000, 32, 32, 3) uint8, y = class (100).

    Attributes ``superclass`` (20 names) and ``split``. ``root`` holds them, or the folder ``cifar-100-binary``; class
    names come from ``fine_label_names.txt`` and ``coarse_label_names.txt`` beside them (underscores become spaces).
    Raises ``InputError`` for the Python version (pickles are never read) and files of another length.
    """
    folder = existing(root, "root")
    if (folder / "train").is_file() and (folder / "meta").is_file():
        raise InputError(
            "root",
            got=f"{shown(folder)}, the version of Python pickles",
            expected="the binary version (train.bin, test.bin)",
            remedy="pickles can run code and are never read; unpack cifar-100-binary.tar.gz instead",
        )
    parts = []
    for done, split in enumerate(("train", "test")):
        progress("read cifar-100", done, 2)
        parts.append(_records(benchmark_file(folder, f"{split}.bin", f"cifar-100-binary/{split}.bin")))
    progress("read cifar-100", 2, 2)
    table = np.concatenate(parts)
    fine, coarse = (
        _names(benchmark_file(folder, f"{kind}_label_names.txt", f"cifar-100-binary/{kind}_label_names.txt"), n)
        for kind, n in (("fine", 100), ("coarse", 20))
    )
    if table[:, 0].max() >= 20 or table[:, 1].max() >= 100:
        raise InputError(shown(folder), got="a class beyond 20 and 100", expected="CIFAR-100 records")
    X = np.ascontiguousarray(table[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    split_names = np.repeat(["train", "test"], [len(part) for part in parts])
    attributes = {"superclass": np.array(coarse)[table[:, 0]], "split": split_names}
    licence = "free for research with citation (A. Krizhevsky, 2009)"
    return Dataset("cifar-100", X, table[:, 1].astype(np.int64), fine, attributes, licence, str(root))


def _records(path: Path) -> np.ndarray:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise InputError(shown(path), got=f"{content.size} bytes", expected=f"records of {_RECORD} bytes")
    return content.reshape(-1, _RECORD)


def _names(path: Path, count: int) -> list[str]:
    names = [line.strip().replace("_", " ") for _, line in text_lines(path)]
    if len(names) != count:
        raise InputError(shown(path), got=f"{len(names)} names", expected=f"{count}")
    return names
