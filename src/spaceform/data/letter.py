"""Letter Recognition (Frey and Slate, 1991): 20,000 pictures of capital letters as 16 counts; 26 classes."""

from __future__ import annotations

import numpy as np

from spaceform.checks import require
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_member
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.data.registry import fetch, package
from spaceform.types import Progress, no_progress

_RECIPE = 1


def load_letter(*, progress: Progress = no_progress) -> Dataset:
    """Return X (20000, 16) float64 of whole numbers 0..15, in the order of the original file; y: A to Z.

    The original's own split is the first 16,000 rows for training and the last 4,000 for test.
    Raises ``DataUnavailableError`` and, where ``rdata`` is not installed, ``MissingExtraError``.
    """
    source = package("mlbench")

    def build() -> Arrays:
        rdata = require("rdata", "data")
        content = read_member(fetch(source, progress), source.reads)
        parsed = rdata.parser.parse_data(content)
        frame = rdata.conversion.convert(parsed, default_encoding="ascii")["LetterRecognition"]
        letters = frame.pop("lettr").astype(str).to_numpy()
        return {
            "X": frame.to_numpy(dtype=np.float64),
            "y": np.array([ord(letter) - ord("A") for letter in letters], dtype=np.int64),
        }

    arrays = remembered("letter", {"recipe": _RECIPE, "source": source.sha256}, build)
    classes = [chr(ord("A") + index) for index in range(26)]
    return Dataset("letter", arrays["X"], arrays["y"], classes, {}, source.licence, source.title)
