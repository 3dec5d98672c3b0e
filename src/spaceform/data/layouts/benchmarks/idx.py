"""IDX files, the format of MNIST and its relatives."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spaceform.errors import InputError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(content: bytes, name: str) -> NDArray:
    """Return the array in an IDX file: two zero bytes, a type, the number of axes, sizes, then the values.

    Raises ``InputError`` with ``name`` when the header is no IDX header or the values are too few or too many.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or len(content) < 4 + 4 * content[3]:
        raise InputError(name, got="another header", expected="an IDX file")
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    kind = np.dtype(_TYPES[content[2]])
    expected = start + kind.itemsize * math.prod(shape)
    if len(content) != expected:
        raise InputError(name, got=f"{len(content)} bytes", expected=f"{expected} for an array of shape {shape}")
    return np.frombuffer(content, dtype=kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))
