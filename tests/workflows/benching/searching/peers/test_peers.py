"""Every method that is installed answers filters of every kind; what it may miss depends on it, not on our adapter."""

import numpy as np
import pytest

from spaceform.search.exact import exact_search
from spaceform.search.filters import F
from spaceform.search.references import labels
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.peers import (
    codes,
    engines,
    faiss,
    graphs,
    methods,
    ours,
    references,
    scans,
)  # fmt: skip
from spaceform.workflows.benching.searching.running import is_installed

N, D = 400, 16
EVERY = [
    ours.Ours, scans.Brute, scans.Duckdb, faiss.FaissFlat, faiss.FaissIvf, faiss.FaissHnsw, graphs.Hnswlib,
    graphs.HnswlibPost, graphs.Usearch, graphs.Voyager, codes.RiiCodes, codes.Turbovec, engines.Qdrant, engines.Lance,
]  # fmt: skip
WHERE = [
    F("kind") == "k1",
    F("size").between(100, 500),
    F("marks").contains("m2"),
    (F("kind") == "k0") & F("size").between(0, 700),
]


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(N + 4, D)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X, queries = np.ascontiguousarray(X[:N]), np.ascontiguousarray(X[N:])
    columns = {
        "kind": [f"k{i % 3}" for i in range(N)],
        "size": np.arange(N) * 2,
        "marks": [tuple({f"m{i % 5}", "all"}) for i in range(N)],
    }
    return X, queries, columns


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.name)
def test_answers_pass_the_filter_and_the_most_thorough_setting_finds_most(method, rows):
    if not is_installed(method):
        pytest.skip(f"{method.package} is not installed")
    X, queries, columns = rows
    one, masks = method(), Masks(columns, N)
    one.threads(1)
    one.fit(X, columns)
    one.threads(1)
    setting = one.grid[4] if method is ours.Ours else one.grid[-1]
    for where in WHERE:
        mask = masks(where)
        found = one.query(queries, 10, where, setting)
        assert found.shape == (4, 10)
        assert mask[found[found >= 0]].all()
        expected = exact_search(queries, X, k=10, metric="ip", mask=mask).rows
        assert np.mean([np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]) > 0.8
    assert not one.bytes_held() < 0


PUBLISHED = {one.name: one for one in references.published()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_methods_of_papers_answer_what_they_are_made_for_and_refuse_the_rest(rows, name):
    X, queries, columns = rows
    one, masks = PUBLISHED[name](), Masks(columns, N)
    one.fit(X, columns)
    answered = [where for where in WHERE if not one.refusal([where])]
    assert len(answered) == {"caps, reference": 1, "nhq, reference": 1, "segment-tree, reference": 2}.get(
        name, 4 if one.entry.serves("range") else 2
    )
    assert bool(one.refusal(WHERE)) == (len(answered) < len(WHERE))
    for where in answered:
        mask = masks(where)
        found = one.query(queries, 10, where, one.grid[-1])
        assert mask[found[found >= 0]].all() or not one.entry.exact_filter
        expected = exact_search(queries, X, k=10, metric="ip", mask=mask).rows
        assert np.mean([np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]) > 0.8


def test_a_method_says_for_which_column_it_could_not_be_built(rows, monkeypatch):
    X, _, columns = rows
    monkeypatch.setattr(labels, "_MAX_LABELS", 4)
    one = PUBLISHED["ung, reference"]()
    one.fit(X, columns)
    assert one.refusal([WHERE[0]]) == ""
    assert one.refusal([WHERE[1]]) == "does not answer ranges"
    assert one.refusal([WHERE[2]]) == "not built for 'marks': 6 values in ['marks']"
    assert one.refusal([WHERE[0], WHERE[3]]) == "does not answer conjunctions"


def test_the_list_names_every_method():
    known = methods()
    assert {one for one in known.values() if not one.reference} == {*EVERY, engines.Milvus}
    assert {name for name, one in known.items() if one.reference} == set(PUBLISHED)
