"""Search under filters: our index beside every engine that the registries offer, in cells of filter and selectivity.

The protocol is that of Iff et al., arXiv 2507.21989, with selectivities down to 0.02 % and correlated filters added:
each query has a filter of its own, whose evaluation counts; settings are tuned on other queries; recall@10 has
min(k, matches) for its denominator; the fastest setting that reaches a mean recall of 0.95 is measured,
under every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.types import Progress, no_progress
from spaceform.workflows.benching.searching import running, tables
from spaceform.workflows.benching.searching.beds import MOST_SEEDS
from spaceform.workflows.benching.searching.peers import methods as known_methods
from spaceform.workflows.benching.searching.running import Terms

QUICK_METHODS = ("spaceform", "BLAS", "faiss Flat", "faiss HNSW", "hnswlib, filter")
MAX_THREADS = 64
SEEDS = 3

Curves = dict[str, dict[str, dict[str, list[tuple[float, float]]]]]
"""Recall and queries per second of every setting, by data set, cell and method."""


def run(
    *,
    quick: bool = False,
    data: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    threads: Sequence[int] = (1, 2),
    seeds: int | None = None,
    fresh: bool = False,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Return rows that sum up, per data set and way of asking, and a row per data set, cell and method.

    Parameters: ``data`` and ``methods`` by name (a benchmark of the user's as "name:folder"; default all;
    ``quick``: 6,000 rows made up, a few methods, one seed), ``threads`` of the batches (single queries have one),
    ``seeds`` of queries and filters, drawn anew for each (default 3), ``fresh`` measures anew what an earlier run has
    kept. A method that is not installed, or does not answer a kind of filter, has a row that says so. O(minutes); every
    method runs in a process of its own, is built once and tuned once.
    """
    wanted = _wanted(quick=quick, data=data, methods=methods, threads=threads, seeds=seeds)
    found = running.figures_of(*wanted, fresh=fresh, progress=progress)
    rows = tables.rows_of(found, running.OURS)
    return [*tables.summary(rows, running.OURS, references=references()), *rows]


def curves(
    *,
    quick: bool = False,
    data: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    threads: Sequence[int] = (1, 2),
    seeds: int | None = None,
) -> Curves:
    """Return what the settings reached on the queries to tune with, as `run` with these parameters has kept it."""
    made: Curves = {}
    wanted = _wanted(quick=quick, data=data, methods=methods, threads=threads, seeds=seeds)
    for bed, by_method in running.figures_of(*wanted, fresh=False).items():
        for name, figures in by_method.items():
            for cell in figures.get("cells", ()):
                points = [(one["recall"], one["qps"]) for one in cell.get("curve", ()) if "plans" not in one["setting"]]
                made.setdefault(bed, {}).setdefault(cell["cell"], {})[name] = points
    return made


def references() -> list[str]:
    """Return the names of the methods of papers: rivals that run in our own code, not packages to install."""
    return [name for name, method in known_methods().items() if method.reference]


def _wanted(
    *, quick: bool, data: Sequence[str] | None, methods: Sequence[str] | None, threads: Sequence[int], seeds: int | None
) -> tuple[list[str], list[str], Terms]:
    """Return data sets, methods and terms by what was asked for, checked."""
    if not all(isinstance(count, int) and 1 <= count <= MAX_THREADS for count in threads) or not threads:
        raise InputError("threads", got=repr(threads), expected=f"numbers from 1 to {MAX_THREADS}")
    if seeds is None:
        seeds = 1 if quick else SEEDS
    beds = running.check_data(data or (["quick"] if quick else None))
    names = running.check_names(methods or (QUICK_METHODS if quick else None), known_methods(), "methods")
    return beds, names, Terms(threads, check_integer(seeds, "seeds", low=1, high=MOST_SEEDS))
