"""The generator of LIMIT: people who like things, and "Who likes X?", wanting nearly all pairs of few people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.judged.patterns import relevance_pattern
from spaceform.data.judged.texts import JudgedTexts
from spaceform.data.judged.words import people
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import IntArray


def make_limit(
    attributes: Sequence[str],
    *,
    n_documents: int = 46,
    n_queries: int = 1000,
    k: int = 2,
    pattern: str = "dense",
    min_items: int = 45,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> JudgedTexts:
    """Return people with what they like, and a query for every attribute that exactly k of them share.

    Each query takes an attribute of its own, whose k people are those of `patterns.relevance_pattern`; everybody is
    then given further attributes that no query asks for, up to ``min_items`` in all, in random order. The defaults
    are those of the published small set (46 people), ``n_documents=50_000`` is the full one; there each person has
    about as many.

    Parameters: ``attributes`` different words, at least one per query and enough for filling; ``names`` of the people,
    different and no attributes (default: made up). Raises ``InputError`` else, and when somebody must like more than
    ``min_items``. O(n_documents min_items).
    """
    sets = relevance_pattern(
        pattern, n_documents=n_documents, n_queries=n_queries, k=k, random_state=derive_seed(seed, "pattern")
    )
    min_items = check_integer(min_items, "min_items", low=1)
    words = _different(attributes, "attributes")
    called = people(n_documents, seed=seed) if names is None else _different(names, "names")
    if len(called) < n_documents:
        raise InputError("names", got=f"{len(called)} names", expected=f"{n_documents}, one per document")
    shared = {name.lower() for name in called} & {word.lower() for word in words}
    if shared:
        raise InputError("names", got=f"{min(shared)!r}, which is an attribute too", expected="names of people")
    counts = np.bincount(sets.ravel(), minlength=n_documents)
    if counts.max() > min_items:
        got = f"{min_items} for a document with {counts.max()} relevant attributes"
        raise InputError("min_items", got=got, expected=f"at least {counts.max()}")
    missing = int(min_items - counts.min())
    if len(words) < n_queries + missing:
        expected = f"at least {n_queries + missing}: one per query, and {missing} to fill documents with"
        raise InputError("attributes", got=f"{len(words)} attributes", expected=expected)
    generator = np.random.default_rng(derive_seed(seed, "attributes"))
    order = generator.permutation(len(words))
    asked, spare = order[:n_queries], order[n_queries:]
    items = _wanted(sets, asked, n_documents)
    documents = []
    for name, own in zip(called, items, strict=False):
        liked = np.concatenate([own, generator.choice(spare, min_items - len(own), replace=False)])
        documents.append(f"{name} likes {_listed([words[word] for word in generator.permutation(liked)])}.")
    pairs = np.stack([np.repeat(np.arange(n_queries), k), sets.ravel()], axis=1)
    return JudgedTexts(
        name=f"limit-{pattern}",
        documents=documents,
        document_ids=list(called[:n_documents]),
        queries=[f"Who likes {words[word]}?" for word in asked],
        query_ids=[f"query_{row}" for row in range(n_queries)],
        pairs=pairs,
    )


def _wanted(sets: IntArray, asked: IntArray, n_documents: int) -> list[IntArray]:
    """Return the attributes that queries ask of each document."""
    order = np.argsort(sets.ravel(), kind="stable")
    owners, words = sets.ravel()[order], np.repeat(asked, sets.shape[1])[order]
    return np.split(words, np.searchsorted(owners, np.arange(1, n_documents)))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _different(words: Sequence[str], name: str) -> list[str]:
    found = list(words)
    if len({word.lower() for word in found}) != len(found):
        raise InputError(name, got="a word twice", expected="different words")
    return found
