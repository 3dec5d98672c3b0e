"""The nouns of WordNet as vectors of MiniLM with real attributes: what the claims of vector search run on."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.data.wordnet import LEXICOGRAPHER_CLASSES, WordNet
from spaceform.encoders.gloss_vectors import load_gloss_vectors
from spaceform.types import IntArray, Progress, no_progress


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
    made = load_gloss_vectors(n, progress=progress)
    return Glosses(made.rows, made.queries, _attributes(made.nouns, made.kept))


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
