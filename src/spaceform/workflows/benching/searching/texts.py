"""Texts as vectors, computed once and kept: by a sentence encoder, or by their words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaceform.data.fetching.cache import remembered
from spaceform.nets.text import TextEncoder
from spaceform.types import Progress, no_progress

_RECIPE = 1
_WORDS = 50_000
"""Largest vocabulary: rarer words tell pairs of texts apart, not kinds."""


def by_encoder(name: str, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
    """Return unit vectors (n, 384) of MiniLM; O(tokens) in a transformer once, some ten minutes for 64,000 lines."""
    encoder = TextEncoder()
    recipe = {"recipe": _RECIPE, "texts": _digest(texts), "encoder": encoder.fingerprint}
    return remembered(f"{name}-minilm", recipe, lambda: {"X": encoder.encode(texts, progress=progress)})["X"]


def by_words(
    name: str, texts: Sequence[str], *, width: int = 256, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Return unit vectors (n, width): tf-idf of words and pairs of words, reduced by a randomised SVD.

    A text without a known word gets the mean direction. O(words width) once, about a minute for 64,000 lines.
    """

    def build() -> dict[str, NDArray]:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        progress("reduce words", 0, 1)
        counts = TfidfVectorizer(
            sublinear_tf=True, min_df=3, max_features=_WORDS, ngram_range=(1, 2), dtype=np.float32
        ).fit_transform(texts)
        X = TruncatedSVD(width, n_iter=2, random_state=0).fit_transform(counts).astype(np.float32)
        norms = np.linalg.norm(X, axis=1, keepdims=True)
        mean = X.mean(axis=0)
        X = np.where(norms > 1e-6, X / np.maximum(norms, 1e-6), mean / np.linalg.norm(mean)).astype(np.float32)
        progress("reduce words", 1, 1)
        return {"X": X}

    return remembered(f"{name}-svd", {"recipe": _RECIPE, "texts": _digest(texts), "width": width}, build)["X"]


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
