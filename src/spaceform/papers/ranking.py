"""Search over the records: BM25 with light stemming, and prefixes and misspellings at a discount."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from spaceform.errors import InputError
from spaceform.papers.catalogue import all_papers
from spaceform.papers.records import PURPOSES, Paper

# How much one word counts in each field: a name or a keyword is a deliberate choice of words, prose is not.
_WEIGHTS = {"names": 5, "keywords": 4, "purpose": 2, "gives": 2, "needs": 1, "idea": 1, "limits": 0.25, "origin": 1}
_PREFIX = 3
"""Letters from which on the beginning of a word stands for the word."""
_PREFIX_DISCOUNT = 0.6
_SPELLING_DISCOUNT = 0.5
_SPELLING_CUTOFF = 0.75
_PHRASE = 0.5
"""Weight of two words side by side, relative to one word."""
_STOP = frozenset(
    """a an and any are as at be but by can do each for from has have how i if in into is it its my no not of on one or
    our so than that the their them they this to use want was what when where which who why will with without you
    your""".split()  # noqa: SIM905  a list of forty quoted words is harder to read and to keep
)

_NEGATIONS = frozenset({"no", "nobody", "not", "never", "without"})
"""Words after which the next one stands for its opposite, too: what nobody labelled is unlabelled."""


def search(query: str, k: int = 10) -> list[tuple[Paper, float]]:
    """Return up to ``k`` papers that match the words of ``query``, best first, with their scores (> 0).

    Words and pairs of neighbouring words count by BM25 over the record (names and keywords weigh more than
    prose). A word also stands, at a discount, for the words that begin with it; one which no record has stands for
    its own beginning, and failing that for the words nearest in spelling. Ties keep the order of the
    catalogue. O(words x vocabulary) after the first call.

    Raises ``InputError`` for a query without a word and for ``k`` < 1.

    >>> [paper.slug for paper, _ in search("semi-hard triplets", k=1)]
    ['facenet']
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError("k", got=repr(k), expected="an integer >= 1")
    index, scores = word_index(), defaultdict[int, float](float)
    for term, share in query_terms(query).items():
        for paper, weight in index.postings[term].items():
            scores[paper] += share * weight
    best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
    return [(index.papers[i], score) for i, score in best]


def query_terms(query: str) -> dict[str, float]:
    """Return the indexed terms that a query stands for, with the share of its weight that each gets; may be empty.

    Raises ``InputError`` for a query without a word.
    """
    words = _words(query) if isinstance(query, str) else []
    if not words:
        raise InputError("query", got=repr(query), expected="some words", remedy="`spaceform papers` lists all")
    return _expand(words, word_index().postings)


def _expand(words: Sequence[str], vocabulary: Collection[str]) -> dict[str, float]:
    """Return the indexed terms that the words of a query stand for, with the share of its weight that each gets."""
    shares: dict[str, float] = defaultdict(float)
    for pair in _pairs(words):
        if pair in vocabulary:
            shares[pair] += _PHRASE
    negated = {"un" + _stem(word): 1.0 for before, word in pairwise(words) if before in _NEGATIONS}
    shares |= {term: share for term, share in negated.items() if term in vocabulary}
    for stem in [_stem(word) for word in words if word not in _STOP] or [_stem(word) for word in words]:
        for term, share in _likes(stem, vocabulary).items():
            shares[term] = max(shares[term], share)
    return shares


def _likes(stem: str, vocabulary: Collection[str]) -> dict[str, float]:
    likes = {stem: 1.0} if stem in vocabulary else {}
    if len(stem) >= _PREFIX:
        longer = [term for term in vocabulary if term.startswith(stem) and term != stem and " " not in term]
        likes |= {term: _PREFIX_DISCOUNT * len(stem) / len(term) for term in longer}
    if not likes:
        beginnings = [stem[:n] for n in range(max(_PREFIX, 2 * len(stem) // 3), len(stem)) if stem[:n] in vocabulary]
        near = difflib.get_close_matches(stem, vocabulary, n=2, cutoff=_SPELLING_CUTOFF)
        likes = dict.fromkeys(near, _SPELLING_DISCOUNT)
        likes |= {term: _PREFIX_DISCOUNT * len(term) / len(stem) for term in beginnings}
    return likes


@dataclass(frozen=True)
class WordIndex:
    """Of every term the papers (by their place in ``papers``) that have it, with its BM25 weight in each."""

    papers: tuple[Paper, ...]
    postings: Mapping[str, Mapping[int, float]]


@cache
def word_index() -> WordIndex:
    """Return the terms of all records; made once."""
    from spaceform.bm25 import bm25  # with NumPy, which a list of all papers does without

    papers = all_papers()
    counts = [_term_weights(paper) for paper in papers]
    lengths = [sum(terms.values()) for terms in counts]
    mean = sum(lengths) / len(lengths)
    frequency = Counter(term for terms in counts for term in terms)
    held = [(term, i, count) for i, terms in enumerate(counts) for term, count in terms.items()]
    weights = bm25(
        [count for _, _, count in held], [lengths[i] / mean for _, i, _ in held],
        holding=[frequency[term] for term, _, _ in held], documents=len(papers),
    )  # fmt: skip
    postings: dict[str, dict[int, float]] = {}
    for (term, i, _), weight in zip(held, weights.tolist(), strict=True):
        postings.setdefault(term, {})[i] = weight
    return WordIndex(papers, postings)


def _term_weights(paper: Paper) -> dict[str, float]:
    fields = {
        "names": [paper.slug, paper.method, paper.title, *paper.classes],
        "keywords": paper.keywords,
        "purpose": [paper.purpose, PURPOSES[paper.purpose]],
        "gives": [paper.gives],
        "needs": [paper.needs],
        "idea": [paper.idea],
        "limits": paper.limits,
        "origin": [*paper.authors, paper.venue, str(paper.year), paper.arxiv, *paper.layouts],
    }
    weights: dict[str, float] = defaultdict(float)
    for field, texts in fields.items():
        for text in texts:
            words = _words(text)
            for word in words:
                if word not in _STOP:
                    weights[_stem(word)] += _WEIGHTS[field]
            if field in {"names", "keywords"}:
                for pair in _pairs(words):
                    weights[pair] += _WEIGHTS[field]
    return dict(weights)


def _words(text: str) -> list[str]:
    """Split into lower-case words without accents; ``NextClassSelector`` gives its parts and the whole."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    words = []
    for word in re.findall(r"[A-Za-z0-9]+", plain):
        words.append(word.lower())
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|[0-9]+", word)
        if len(parts) > 1 and any(c.isupper() for c in word[1:]) and any(c.islower() for c in word):
            words += [part.lower() for part in parts if len(part) > 1]
    return words


def _pairs(words: Sequence[str]) -> list[str]:
    """Return neighbouring words, by their stems, as terms of their own."""
    stems = [_stem(word) for word in words if word not in _STOP]
    return [f"{first} {second}" for first, second in pairwise(stems)]


@cache
def _stem(word: str) -> str:
    """Cut the endings in which a searcher and a record most often differ: plurals, -ing, -ed, -er, -ly and the like."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ization", "isation", "ation", "izing", "ising", "ized", "ised", "ize", "ise", "ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiousz":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word
