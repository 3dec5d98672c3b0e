"""The generator of the stress test: what a query asks for stands in exactly k documents, and nothing else tells."""

import re
from itertools import combinations

import numpy as np
import pytest

from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.patterns import PATTERNS, dense_size, relevance_pattern
from spaceform.data.judged.words import PLAIN_NOUNS
from spaceform.errors import InputError

SMALL = {"n_documents": 30, "n_queries": 15, "min_items": 9}


def liked(text):
    name, _, rest = text.rstrip(".").partition(" likes ")
    return name, re.split(r", | and ", rest)


def test_a_thousand_pairs_take_46_documents():
    assert dense_size(1000, 2) == 46
    sets = relevance_pattern("dense", n_documents=46, n_queries=1000)
    assert sets.tolist() == [list(pair) for pair in combinations(range(46), 2)][:1000]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_query_attribute_stands_in_exactly_its_documents(pattern):
    made = make_limit(PLAIN_NOUNS, **SMALL, pattern=pattern, seed=3)
    table = made.relevance()
    assert table.shape == (15, 30)
    assert (table.sum(1) == 2).all()
    items = [set(liked(text)[1]) for text in made.documents]
    for query, wanted in zip(made.queries, table, strict=True):
        asked = re.fullmatch(r"Who likes (\w+)\?", query).group(1)
        assert [asked in own for own in items] == wanted.tolist()


def test_documents_have_equally_many_attributes_and_names_are_unique():
    made = make_limit(PLAIN_NOUNS, **SMALL)
    names, items = zip(*map(liked, made.documents), strict=True)
    assert {len(own) for own in items} == {9}
    assert all(len(set(own)) == 9 for own in items)
    assert len(set(names)) == 30 == len(set(made.document_ids))
    assert not {name.lower() for name in names} & set(PLAIN_NOUNS)
    assert len(set(made.queries)) == 15


def test_patterns():
    cycle = relevance_pattern("cycle", n_documents=5, n_queries=5, k=2)
    assert cycle.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]
    disjoint = relevance_pattern("disjoint", n_documents=6, n_queries=2, k=3)
    assert disjoint.tolist() == [[0, 1, 2], [3, 4, 5]]
    drawn = relevance_pattern("random", n_documents=50, n_queries=200, k=3, random_state=0)
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.max() == 49


def test_the_same_seed_makes_the_same_texts():
    one, two, other = (make_limit(PLAIN_NOUNS, **SMALL, seed=seed) for seed in (0, 0, 1))
    assert one.documents == two.documents != other.documents


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"attributes": PLAIN_NOUNS[:14]}, "attributes"),
        ({"attributes": PLAIN_NOUNS[:20]}, "fill"),
        ({"attributes": ["figs", "Figs"]}, "twice"),
        ({"min_items": 3}, "min_items.*relevant attributes"),
        ({"n_documents": 5}, "n_documents.*at least 6"),
        ({"pattern": "disjoint", "n_documents": 29}, "at least 30"),
        ({"pattern": "sparse"}, "one of"),
        ({"k": 0}, "k"),
        ({"k": 30}, "k"),
        ({"names": ["Ann Abel"]}, "30, one per document"),
        ({"names": [*(f"N {i}" for i in range(29)), "figs"]}, "an attribute too"),
    ],
)
def test_bad_input_is_refused(changes, part):
    with pytest.raises(InputError, match=part):
        make_limit(**{"attributes": PLAIN_NOUNS, **SMALL, **changes})
