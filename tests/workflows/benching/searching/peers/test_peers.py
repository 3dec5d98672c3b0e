"""Every method that is installed answers filters of every kind; what it may miss depends on it, not on our adapter."""

import numpy as np
import pytest

from spaceform.search.exact import exact_search
from spaceform.search.filters import F
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.peers import codes, engines, faiss, graphs, methods, ours, scans
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


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.name)
def test_answers_pass_the_filter_and_the_most_thorough_setting_finds_most(method):
    if not is_installed(method):
        pytest.skip(f"{method.package} is not installed")
    generator = np.random.default_rng(0)
    X = generator.normal(size=(N + 4, D)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X, queries = np.ascontiguousarray(X[:N]), np.ascontiguousarray(X[N:])
    columns = {
        "kind": [f"k{i % 3}" for i in range(N)],
        "size": np.arange(N) * 2,
        "marks": [tuple({f"m{i % 5}", "all"}) for i in range(N)],
    }
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


def test_the_list_names_every_method():
    assert set(EVERY) | {engines.Milvus} == set(methods().values())
