"""A folder with the four IDX files of MNIST, or of a set in its format (Fashion-MNIST, KMNIST)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.idx import parse_idx
from spaceform.data.layouts.benchmarks.text_files import benchmark_file
from spaceform.data.layouts.source import shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

_PARTS = {"train": "train", "t10k": "test"}  # in file names: as attribute


def load_mnist_idx(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, plain or ``.gz``: X (n, 28, 28) uint8, y = class.

    Attribute ``split``: train or test. Raises ``InputError`` for a missing file, one that is no IDX file, and labels of
    another length than the pictures.
    """
    pictures, labels = [], []
    for done, part in enumerate(_PARTS):
        progress("read IDX files", done, len(_PARTS))
        X, y = _read(root, f"{part}-images-idx3-ubyte"), _read(root, f"{part}-labels-idx1-ubyte")
        if X.ndim != 3 or X.dtype != np.uint8 or y.shape != X.shape[:1] or y.dtype != np.uint8:
            got = f"{part} pictures of shape {X.shape} with labels of shape {y.shape}"
            raise InputError(shown(root), got=got, expected="bytes (n, h, w) with bytes (n,)")
        pictures.append(X)
        labels.append(y.astype(np.int64))
    progress("read IDX files", len(_PARTS), len(_PARTS))
    split = np.repeat(list(_PARTS.values()), [len(part) for part in labels])
    y = np.concatenate(labels)
    classes = [str(label) for label in range(int(y.max(initial=-1)) + 1)]
    return Dataset("mnist-idx", np.concatenate(pictures), y, classes, {"split": split}, "the owner's", str(root))


def _read(root: PathLike, name: str) -> np.ndarray:
    path: Path = benchmark_file(root, name, f"{name}.gz")
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(shown(path), got=f"a file that can't be read: {error}", expected="gzip") from error
    return parse_idx(content, shown(path))
