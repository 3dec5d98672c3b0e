"""Cells of the benchmark of filtered search: kinds of filter, selectivity, and how filter and query hang together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.claims.vector_search.glosses import Glosses, load_glosses
from spaceform.rng import as_generator
from spaceform.search.filters import And, Contains, Expr, F
from spaceform.search.references.filtering import PreFilterIndex
from spaceform.types import BoolArray, IntArray, Progress

BANDS = {"frequent": (0.15, 0.7), "middle": (0.02, 0.08), "rare": (0.001, 0.004)}
"""Shares of the rows that hold a word."""

RANGES = {"range 50%": 0.5, "range 5%": 0.05, "range 0.2%": 0.002}


class Cell(NamedTuple):
    """Queries with a filter each: ``filters`` as they are asked, ``masks (q, n)``; ``guess (q,)`` by independence."""

    name: str
    filters: list[Any]
    masks: BoolArray
    guess: IntArray


def load_rows(settings: Mapping[str, Any], progress: Progress) -> Glosses:
    """Return nouns of WordNet, or at smoke scale drawn clusters with attributes of the same names."""
    if settings["data"] == "wordnet":
        return load_glosses(settings["rows"], progress=progress)
    return _drawn(settings["rows"], settings["width"])


def _drawn(n: int, d: int) -> Glosses:
    random = as_generator(0)
    centres = 2 * random.normal(size=(32, d))
    group, asked = random.integers(0, 32, n), random.integers(0, 32, 200)
    X, Q = ((centres[g] + random.normal(size=(len(g), d))).astype(np.float32) for g in (group, asked))
    shares = np.array([0.5, 0.2, 0.05, 0.03, 0.003, 0.002])
    held = random.random((n, len(shares))) < shares
    attributes = {
        "kind": [f"k{g // 4}" for g in group.tolist()],
        "words": [[f"w{i}" for i in np.flatnonzero(row)] for row in held],
        "path": [[f"p{depth}-{g % 2**depth}" for depth in range(3)] for g in group.tolist()],
        "length": random.integers(0, 10_000, n).tolist(),
    }
    return Glosses(X, Q, attributes)


def make_cells(data: Glosses, asked: IntArray, seed: int) -> list[Cell]:
    """Return all cells for the queries at ``asked``; filters are drawn by the seed, their values from the data."""
    random, judge = as_generator(seed), PreFilterIndex().fit(data.rows, data.attributes)
    q, n = len(asked), len(data.rows)
    scores = data.queries[asked] @ data.rows.T
    near, far = scores.argmax(axis=1), scores.argmin(axis=1)
    kinds, paths = data.attributes["kind"], data.attributes["path"]
    length = np.sort(np.asarray(data.attributes["length"]))
    shares = _shares(data.attributes["words"])

    def cell(name: str, make: Callable[[int], Expr | None]) -> Cell:
        filters = [make(i) for i in range(q)]
        known = {one: judge.passing(one) for one in set(filters)}
        masks = np.stack([known[one] for one in filters])
        guess = [_guess(one, judge, n) if isinstance(one, And) else int(known[one].sum()) for one in filters]
        return Cell(name, filters, masks, np.array(guess))

    def ranged(share: float) -> Expr:
        low = int(random.integers(0, int(n * (1 - share))))
        return F("length").between(int(length[low]), int(length[min(n - 1, low + int(n * share))]))

    cells = [
        cell("all", lambda i: None),
        cell("equality, near", lambda i: F("kind") == kinds[near[i]]),
        cell("equality, far", lambda i: F("kind") == kinds[far[i]]),
        cell("hierarchy", lambda i: _path(paths[near[i]])),
    ]
    cells += [cell(name, lambda i, share=share: ranged(share)) for name, share in RANGES.items()]  # type: ignore[misc]
    for name, (low, high) in BANDS.items():
        words = sorted(word for word, share in shares.items() if low < share < high)
        cells.append(cell(f"word, {name}", lambda i, w=words: F("words").contains(w[int(random.integers(len(w)))])))  # type: ignore[misc]
    median, top = np.median(scores, axis=1), np.quantile(scores, 0.7, axis=1)
    for name, inside in (("drawn, near", scores > top[:, None]), ("drawn, far", scores < median[:, None])):
        masks = inside & (random.random((q, n)) < 0.3)
        cells.append(Cell(name, list(masks), masks, masks.sum(axis=1)))
    return cells


def truth(data: Glosses, asked: IntArray, cells: list[Cell], k: int) -> list[list[IntArray]]:
    """Return for each cell the k nearest passing rows of each query, by products in float64."""
    rows, queries = data.rows.astype(np.float64), data.queries[asked].astype(np.float64)
    scores = queries @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    found: list[list[IntArray]] = [[] for _ in cells]
    for place, cell in enumerate(cells):
        for line, mask in zip(scores, cell.masks, strict=True):
            passing = np.flatnonzero(mask)
            found[place].append(passing[np.lexsort((passing, -line[passing]))[:k]])
    return found


def _shares(words: list[list[str]]) -> dict[str, float]:
    names, counts = np.unique([word for some in words for word in some], return_counts=True)
    return dict(zip(names.tolist(), (counts / len(words)).tolist(), strict=True))


def _path(path: list[str]) -> Expr | None:
    """Return "in all of these": the way down a tree, each step of which holds within the one before."""
    parts = tuple(F("path").contains(step) for step in path)
    return And(parts) if len(parts) > 1 else (parts[0] if parts else None)


def _guess(condition: And, judge: PreFilterIndex, n: int) -> int:
    """Return the matches as if the parts of a conjunction were independent."""
    assert all(isinstance(part, Contains) for part in condition.parts)
    return int(n * np.prod([judge.passing(part).mean() for part in condition.parts]))


def random_mask(n: int, matches: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask of so many rows, drawn evenly."""
    mask = np.zeros(n, bool)
    mask[random.choice(n, min(n, max(1, matches)), replace=False)] = True
    return mask
