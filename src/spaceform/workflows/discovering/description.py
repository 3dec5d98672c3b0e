"""Novel classes described: size, confidence, stability, exemplars and a readable name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spaceform.clustering.stability import cluster_stability
from spaceform.ops.pairs import squared_distances
from spaceform.rng import derive_seed
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray
from spaceform.workflows.discovering.words import distinctive_words

EXEMPLARS, UNSURE = 14, 4


@dataclass(frozen=True, kw_only=True)
class NovelClass:
    """One novel class: its number, name and size, and how far to trust it.

    ``confidence`` is the mean over its rows of 1 - d1 / d2, with d1 and d2 the distances to its own centre and to the
    nearest other, in [0, 1]; ``stability`` the mean Jaccard similarity to its best counterpart when 80% of the rows
    are clustered again (above 0.75 stable, below 0.5 dissolving). ``words`` are what its rows' texts share and others
    do not; ``exemplars`` the rows nearest to its centre, ``unsure`` those that could nearly be of another class;
    ``repeated`` the mean Jaccard similarity to its best counterpart when discovered again with other seeds.
    """

    number: int
    name: str
    size: int
    confidence: float
    stability: float
    words: tuple[str, ...]
    exemplars: tuple[int, ...]
    unsure: tuple[int, ...] = ()
    repeated: float | None = None


def describe(
    space: Space, rows: IntArray, latent: FloatArray, *, found: IntArray, label: str | None, seed: int
) -> tuple[list[NovelClass], FloatArray]:
    """Return the novel classes, largest first, and the confidence ``(m,)`` of every novel row.

    ``rows (m,)`` are the novel rows of the Space, ``latent (m, d)`` what they were clustered in, ``found (m,)`` their
    classes 0..k-1, none empty. Words of the column ``label`` and of columns that follow from it name nothing: where
    known classes were hidden they would give the answer away. O(m k d).
    """
    k = int(found.max()) + 1
    centers = np.stack([latent[found == code].mean(0) for code in range(k)])
    distances = np.sqrt(squared_distances(latent, centers))
    own = distances[np.arange(len(latent)), found]
    others = distances.copy()
    others[np.arange(len(latent)), found] = np.inf
    nearest = others.min(1) if k > 1 else np.full(len(latent), np.inf)
    confidence = np.clip(1 - own / np.maximum(nearest, 1e-12), 0, 1)
    stability = cluster_stability(latent, found, n_runs=5, random_state=derive_seed(seed, "stability"))
    words = distinctive_words(space.table, rows, found, without=label)
    taken: dict[str, int] = {}
    made = []
    for code in np.argsort(-np.bincount(found, minlength=k), kind="stable"):
        members = np.flatnonzero(found == code)
        central = members[np.argsort(own[members], kind="stable")]
        name = " · ".join(words[code][:3]) or f"like {space.ids[rows[central[0]]]}"
        taken[name] = taken.get(name, 0) + 1
        made.append(
            NovelClass(
                number=int(code),
                name=name if taken[name] == 1 else f"{name} ({taken[name]})",
                size=len(members),
                confidence=float(confidence[members].mean()),
                stability=float(stability[code]),
                words=tuple(words[code]),
                exemplars=_varied(space, rows[central], label),
                unsure=tuple(rows[members[np.argsort(confidence[members], kind="stable")]][:UNSURE].tolist()),
            )
        )
    return made, confidence


def _varied(space: Space, central: IntArray, label: str | None) -> tuple[int, ...]:
    """Return the first rows of ``central``, one per value of the Space's own label where that is another column."""
    if space.label is None or space.label == label:
        return tuple(central[:EXEMPLARS].tolist())
    values = space.column(space.label)
    chosen: dict[str, int] = {}
    for row in central.tolist():
        chosen.setdefault(str(values[row]), row)
    return tuple(list(chosen.values())[:EXEMPLARS])
