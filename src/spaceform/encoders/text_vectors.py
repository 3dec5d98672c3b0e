"""Vectors of many texts, kept in the cache part by part: hours of encoding are spent once and can be cut off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.data.fetching.cache import remembered
from spaceform.errors import InputError
from spaceform.types import FloatArray, Progress, no_progress

PART = 1_024
"""Texts per file of the cache, the most that a killed run loses."""


class SentenceEncoder(Protocol):
    """What turns texts into vectors; ``fingerprint`` changes with whatever changes them."""

    @property
    def fingerprint(self) -> str:
        """Text that names the encoder and its weights."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors ``(n, d)``."""
        ...


def kept_vectors(
    encoder: SentenceEncoder, texts: Sequence[str], *, part: int = PART, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Return ``encoder.encode(texts)``, float32 ``(n, d)``, from the cache where the same texts were encoded before.

    Each ``part`` texts are one file, verified by its hash and made by one process while others wait: a repeated call
    goes on after the last whole part. The same texts in other parts are encoded again. Raises ``InputError`` for no
    texts and what the encoder refuses. One pass of the encoder beside the reading of n d float32.
    """
    part = check_integer(part, "part", low=1)
    if not len(texts):
        raise InputError("texts", got="none", expected="one or more texts")
    found = []
    for start in range(0, len(texts), part):
        own = list(texts[start : start + part])
        recipe = {"recipe": 1, "encoder": encoder.fingerprint, "texts": _digest(own)}
        found.append(remembered("text-vectors", recipe, partial(_encoded, encoder, own))["vectors"])
        progress("embedding texts", min(start + part, len(texts)), len(texts))
    return np.concatenate(found)


def _encoded(encoder: SentenceEncoder, texts: Sequence[str]) -> dict[str, np.ndarray]:
    return {"vectors": np.asarray(encoder.encode(texts), dtype=np.float32)}


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
