"""Find papers by what is meant and by filters on their facts: their records, in our own filtered index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from spaceform.checks import check_integer
from spaceform.data import models
from spaceform.errors import InputError
from spaceform.geometry.arrays import direction
from spaceform.papers import Paper, all_papers, status
from spaceform.papers.ranking import query_terms, word_index
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filters import as_expression
from spaceform.types import FloatArray, PathLike

MEANING_SHARE = 2.0
"""Weight of a sentence encoder beside the words, as a share of a query's best score by words."""


@dataclass(frozen=True, kw_only=True)
class FoundPaper:
    """A paper and how well it answers; larger is better, comparable within one query only."""

    paper: Paper
    score: float


def find_papers(
    query: str,
    *,
    where: str | None = None,
    k: int = 10,
    encoder: str | None = None,
    results: PathLike | None = None,
) -> list[FoundPaper]:
    """Return up to ``k`` papers that answer a free-text ``query``, among those that ``where`` lets through.

    A record is one vector, and an inner product with it is its score: the BM25 weights of its terms, rotated by their
    singular value decomposition into as many coordinates as there are papers, which loses nothing, and, with
    ``encoder="minilm"``, the sentence vector of its texts. Filters know ``slug, method, title, venue, year, purpose,
    keywords, classes, idea, needs, gives, cost, verdict``. ``results`` is the folder of verdicts.

    Words that no record has find nothing, unless an encoder reads them. Raises ``InputError`` for a query without a
    word, ``FilterError`` for the filter, ``DataUnavailableError`` for an encoder that is not on this machine and can't
    be had. O(papers x terms) once; no model is loaded without ``encoder``.
    """
    check_integer(k, "k", low=1)
    papers = all_papers()
    asked = [_asked(query)]
    parts = [_decomposition().rows]
    if encoder is not None:
        texts, vector = _meaning(encoder, query)
        parts, asked = [*parts, texts], [*asked, MEANING_SHARE * vector]
    rows, question = np.hstack(parts), np.concatenate(asked)
    if not question.any():
        return []
    expression = None if where is None else as_expression(where)
    table = None if expression is None else paper_table(results)
    index = FilteredIndex(metric="ip", recall=1.0, compiled=False).fit(rows, table)
    found = index.query(question[None], min(k, len(papers)), where=expression)
    return [
        FoundPaper(paper=papers[row], score=float(score))
        for row, score in zip(found.rows[0], found.closeness[0], strict=True)
        if row >= 0 and score > _LEAST
    ]


_LEAST = 1e-6
"""Scores up to here are rounding: the paper has nothing of the query."""


def filtered_papers(where: str, *, results: PathLike | None = None) -> list[Paper]:
    """Return the papers that a filter lets through, in the order of the catalogue; raises ``FilterError``."""
    passing = as_expression(where).mask(paper_table(results))
    return [paper for paper, good in zip(all_papers(), passing, strict=True) if good]


def paper_table(results: PathLike | None = None) -> pa.Table:
    """Return the facts that filters may ask for, one row per paper."""
    papers = all_papers()
    facts = ("slug", "method", "title", "venue", "year", "purpose", "idea", "needs", "gives", "cost")
    columns = {name: [getattr(paper, name) for paper in papers] for name in facts}
    columns |= {name: [list(getattr(paper, name)) for paper in papers] for name in ("keywords", "classes")}
    columns["verdict"] = [_verdict(paper, results) for paper in papers]
    return pa.table(columns)


def _verdict(paper: Paper, results: PathLike | None) -> str | None:
    try:
        return status(paper.slug, results_dir=results).verdict
    except InputError:
        return None  # an unreadable result is reported where papers are listed


@dataclass(frozen=True)
class _Terms:
    """The columns of the terms, the papers' coordinates ``rows`` (n, n), and the ``axes`` (n, terms) they stand for."""

    columns: dict[str, int]
    rows: FloatArray
    axes: FloatArray


@lru_cache(maxsize=1)
def _decomposition() -> _Terms:
    """Rotate papers x terms into as many coordinates as there are papers; inner products stay what they are."""
    index = word_index()
    columns = {term: i for i, term in enumerate(index.postings)}
    weights = np.zeros((len(index.papers), len(columns)))
    for term, postings in index.postings.items():
        for paper, weight in postings.items():
            weights[paper, columns[term]] = weight
    left, values, axes = np.linalg.svd(weights, full_matrices=False)
    return _Terms(columns, left * values, axes)


def _asked(query: str) -> FloatArray:
    """Return the terms of a query in the coordinates of the papers, scaled so that the best score is 1."""
    known = _decomposition()
    terms = np.zeros(len(known.columns))
    for term, share in query_terms(query).items():
        terms[known.columns[term]] = share
    own = known.axes @ terms
    best = float((known.rows @ own).max())
    return own / best if best > _LEAST else np.zeros_like(own)


def _meaning(encoder: str, query: str) -> tuple[FloatArray, FloatArray]:
    """Return the sentence vectors of records and query by an encoder of texts."""
    from spaceform.workflows.encoders import named_encoder

    if encoder == "minilm" and not models.is_ready("minilm"):
        raise InputError("encoder", got="'minilm', which is not on this machine", expected="one that is",
                         remedy="run: spaceform data minilm")  # fmt: skip
    texts = [f"{paper.title}. {paper.idea} {paper.gives}. {', '.join(paper.keywords)}" for paper in all_papers()]
    vectors = np.asarray(named_encoder(encoder).encode([*texts, query]), dtype=np.float64)
    rows = direction(vectors[:-1] - vectors[:-1].mean(axis=0))
    return rows, direction(vectors[-1:] - vectors[:-1].mean(axis=0))[0]
