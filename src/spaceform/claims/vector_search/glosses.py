"""The nouns of WordNet as vectors of MiniLM with real attributes: what the claims of vector search run on."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.data.fetching.cache import remembered
from spaceform.data.wordnet import LEXICOGRAPHER_CLASSES, WordNet, load_nouns
from spaceform.nets.text import TextEncoder
from spaceform.rng import as_generator
from spaceform.types import IntArray, Progress, no_progress

QUERIES = 2_000
"""Nouns that are kept out of the index; their words, without the gloss, are the queries."""
_TOKENS = 32


class Glosses(NamedTuple):
    """Unit vectors of ``rows (n, 384)`` and ``queries (2000, 384)`` float32, and the attributes of the rows.

    ``kind`` lexicographer class (26 values), ``path`` the ancestors at depths 1 to 4 in the tree of kinds (sets),
    ``words`` the words of the gloss (sets), ``length`` of the gloss in characters.
    """

    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    attributes: dict[str, Any]


def load_glosses(n: int, *, progress: Progress = no_progress) -> Glosses:
    """Return ``n`` nouns drawn once and for all; encoding 52,000 of them takes minutes, once."""
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
    return Glosses(made["rows"], made["queries"], _attributes(nouns, kept))


def _attributes(nouns: WordNet, rows: IntArray) -> dict[str, Any]:
    glosses = [nouns.glosses[row] for row in rows.tolist()]
    above = _above(nouns.parents)[rows].tolist()
    return {
        "kind": [LEXICOGRAPHER_CLASSES[kind] for kind in nouns.classes[rows].tolist()],
        "path": [[nouns.ids[row] for row in line if row >= 0] for line in above],
        "words": [sorted(set(re.findall(r"[a-z]+", gloss.lower()))) for gloss in glosses],
        "length": [len(gloss) for gloss in glosses],
    }


def _above(parents: IntArray) -> IntArray:
    """Return the ancestors of each synset at depths 1 to 4, itself included, -1 where it stands higher."""
    chain = [np.arange(len(parents))]
    while (chain[-1] >= 0).any():
        chain.append(np.where(chain[-1] >= 0, parents[chain[-1]], -1))
    steps = np.stack(chain)
    depth = (steps >= 0).sum(axis=0) - 1
    wanted = depth - np.arange(1, 5)[:, None]
    return np.where(wanted >= 0, np.take_along_axis(steps, np.maximum(wanted, 0), 0), -1).T
