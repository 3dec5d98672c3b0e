"""Letter Recognition out of R's own file format."""

import bz2
import struct

import numpy as np

from spaceform import data
from spaceform.data.registry import package

NAMES = [f"v{index}" for index in range(16)]


def text(value):
    return struct.pack(">ii", 0x00040009, len(value)) + value.encode()


def texts(values):
    return struct.pack(">ii", 16, len(values)) + b"".join(map(text, values))


def pairs(**attributes):
    """An attribute list of R: tagged cells up to the end mark."""
    cells = b"".join(
        struct.pack(">ii", 0x402, 1) + text(tag.replace("_", ".")) + item for tag, item in attributes.items()
    )
    return cells + struct.pack(">i", 254)


def rda(letters, X):
    """LetterRecognition as R saves it: a data frame of a factor and sixteen columns of doubles."""
    codes = struct.pack(">ii", 0x30D, len(letters)) + np.array([ord(c) - 64 for c in letters], dtype=">i4").tobytes()
    levels = [chr(65 + index) for index in range(26)]
    factor = codes + pairs(levels=texts(levels), **{"class": texts(["factor"])})
    columns = b"".join(struct.pack(">ii", 14, len(X)) + column.astype(">f8").tobytes() for column in X.T)
    rows = struct.pack(">ii", 13, 2) + struct.pack(">ii", -(2**31), -len(X))
    described = pairs(names=texts(["lettr", *NAMES]), **{"class": texts(["data.frame"])}, row_names=rows)
    frame = struct.pack(">ii", 0x313, 17) + factor + columns + described
    head = b"RDX2\nX\n" + struct.pack(">iii", 2, 0x30600, 0x20300)
    return bz2.compress(
        head + struct.pack(">ii", 0x402, 1) + text("LetterRecognition") + frame + struct.pack(">i", 254)
    )


def test_letters_and_counts_come_in_file_order(place, pack):
    X = np.random.default_rng(0).integers(0, 16, (5, 16)).astype(float)
    place("mlbench", pack.deb({f"./{package('mlbench').reads}": rda("TIZAA", X)}))
    found = data.load("letter")
    np.testing.assert_array_equal(found.X, X)
    assert found.X.dtype == np.float64
    assert [found.classes[label] for label in found.y] == ["T", "I", "Z", "A", "A"]
    assert len(found.classes) == 26
