"""Nouns of WordNet as vectors of MiniLM: the real rows on which search is claimed and measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.data.fetching.cache import remembered
from spaceform.data.wordnet import WordNet, load_nouns
from spaceform.nets.text import TextEncoder
from spaceform.rng import as_generator
from spaceform.types import IntArray, Progress, no_progress

QUERIES = 2_000
"""Nouns that are kept out of the rows; their words, without the gloss, are the queries."""
_TOKENS = 32


class GlossVectors(NamedTuple):
    """Unit vectors of ``rows (n, 384)`` and ``queries (2000, 384)`` float32; the nouns, and which of them are rows."""

    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    nouns: WordNet
    kept: IntArray


def load_gloss_vectors(n: int, *, progress: Progress = no_progress) -> GlossVectors:
    """Return ``n`` nouns drawn once and for all, words and gloss; encoding 52,000 of them takes minutes, once."""
    nouns = load_nouns(progress=progress)
    drawn = as_generator(0).permutation(len(nouns))
    held, kept = drawn[:QUERIES], np.sort(drawn[QUERIES : QUERIES + n])

    def encode() -> dict[str, np.ndarray]:
        encoder = TextEncoder("minilm", max_tokens=_TOKENS)
        texts = nouns.texts()
        words = [", ".join(nouns.lemmas[row]) for row in held.tolist()]
        rows = encoder.encode([texts[row] for row in kept.tolist()], batch_size=256, progress=progress)
        return {"rows": rows, "queries": encoder.encode(words, batch_size=256, progress=progress)}

    made = remembered("gloss-vectors", {"recipe": 1, "rows": n, "tokens": _TOKENS, "model": "minilm"}, encode)
    return GlossVectors(made["rows"], made["queries"], nouns, kept)
