"""Search under filters: our index beside every engine that the registries offer, in cells of filter and selectivity.

The protocol is that of Iff et al., arXiv 2507.21989, with selectivities down to 0.02 % and correlated filters added:
each query has a filter of its own, whose evaluation counts; settings are tuned on other queries; recall@10 has
min(k, matches) for its denominator; the fastest setting that reaches a mean recall of 0.95 is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spaceform.errors import InputError
from spaceform.types import Progress, no_progress
from spaceform.workflows.benching.searching import running, tables
from spaceform.workflows.benching.searching.peers import methods as known_methods

QUICK_METHODS = ("spaceform", "BLAS", "faiss Flat", "faiss HNSW", "hnswlib, filter")
MAX_THREADS = 64


def run(
    *,
    quick: bool = False,
    data: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    threads: Sequence[int] = (1, 2),
    fresh: bool = False,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Return a row per data set, cell and method, and a row per data set that sums up.

    Parameters: ``data`` and ``methods`` by name (a benchmark of the user's as "name:folder"; default all;
    ``quick``: 6,000 rows made up, a few methods),
    ``threads`` of the batches (single queries have one), ``fresh`` measures anew what an earlier run has kept.
    A method that is not installed has a row that says so. O(minutes); every method runs in a process of its own.
    """
    if not all(isinstance(count, int) and 1 <= count <= MAX_THREADS for count in threads) or not threads:
        raise InputError("threads", got=repr(threads), expected=f"numbers from 1 to {MAX_THREADS}")
    beds = running.check_data(data or (["quick"] if quick else None))
    names = running.check_names(methods or (QUICK_METHODS if quick else None), known_methods(), "methods")
    found = running.figures_of(beds, names, threads=threads, fresh=fresh, progress=progress)
    rows = tables.rows_of(found, running.OURS)
    return [*tables.summary(rows, running.OURS), *rows]


def curves(
    *, data: Sequence[str] | None = None, methods: Sequence[str] | None = None, threads: Sequence[int] = (1, 2)
) -> dict[str, dict[str, dict[str, list[tuple[float, float]]]]]:
    """Return recall and queries per second of every setting, by data set, cell and method, as `run` has kept them."""
    names = running.check_names(methods, known_methods(), "methods")
    found = running.figures_of(running.check_data(data), names, threads=threads, fresh=False)
    made: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for bed, by_method in found.items():
        for name, figures in by_method.items():
            for cell in figures.get("cells", ()):
                points = [(one["recall"], one["qps"]) for one in cell["curve"]]
                made.setdefault(bed, {}).setdefault(cell["cell"], {})[name] = points
    return made
