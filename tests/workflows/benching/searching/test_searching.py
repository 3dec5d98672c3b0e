"""The harness of filtered search on a made-up bed: cells, masks, truths, recall, tuning, tables, and the whole run."""

import json
import math

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.search.exact import exact_search
from spaceform.search.filters import F, parse
from spaceform.workflows.benches import search
from spaceform.workflows.benching.searching import beds, measuring, running, tables
from spaceform.workflows.benching.searching.cells import Drawer, around
from spaceform.workflows.benching.searching.masks import Masks, milvus, sql
from spaceform.workflows.benching.searching.method import Method, padded
from spaceform.workflows.benching.searching.peers import methods
from spaceform.workflows.benching.searching.peers.graphs import over_fetched
from spaceform.workflows.benching.searching.peers.scans import Brute

N = 600
COLUMNS = {
    "kind": [f"k{min(int(i**0.5), 9)}" for i in range(N)],
    "size": np.random.default_rng(0).integers(0, 10_000, N),
    "marks": [tuple({f"m{i % 5}", f"m{i % 100}"}) for i in range(N)],
}


@pytest.fixture
def bed():
    generator = np.random.default_rng(1)
    X = generator.normal(size=(N + 60, 8)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    cells = Drawer(COLUMNS, N, generator).cells(60, equal=("kind",), ranges=("size",), sets=("marks",))
    return beds.Bed("toy", X[:N], COLUMNS, X[N:], [cell for cell in cells if cell.share in (0.2, 0.01)])


@pytest.fixture
def few(monkeypatch):
    for name, value in {"TUNED": 6, "_GROUPS": 2, "_GROUP": 3}.items():
        monkeypatch.setattr(measuring, name, value)


def test_filters_let_about_the_wanted_share_through(bed):
    masks = Masks(COLUMNS, N)
    assert {cell.name.split()[0] for cell in bed.cells} == {"EM", "R", "EMIS", "C"}
    for cell in bed.cells:
        shares = [masks(where).mean() for where in cell.where]
        slack = 2.0 if cell.kind in ("EM", "EMIS") else 1.6
        assert cell.share / slack <= np.mean(shares) <= cell.share * slack, cell.name
    (window,) = around("place", np.array([0.99]), 0.2)
    assert (window.low.value, window.high.value) == (0.8, 1.0)


def test_masks_are_those_of_the_filters(bed):
    import pyarrow as pa

    masks = Masks(COLUMNS, N)
    table = pa.table({**COLUMNS, "marks": [list(some) for some in COLUMNS["marks"]]})
    for cell in bed.cells:
        for where in cell.where[:5]:
            np.testing.assert_array_equal(masks(where), where.mask(table))
    np.testing.assert_array_equal(masks(parse("kind = 'k1' or size = 5")), parse("kind = 'k1' or size = 5").mask(table))
    with pytest.raises(InputError, match="conjunction"):
        masks(~F("size").between(1, 2))


def test_filters_in_other_languages():
    both = (F("kind") == "it's") & F("marks").contains("a") & F("size").between(1, 2)
    assert sql(both, "has") == "(kind = 'it''s') AND (has(marks, 'a')) AND (size BETWEEN 1 AND 2)"
    assert milvus(F("kind") == "a") == 'kind == "a"'
    assert milvus(F("size").between(1, 2) & F("marks").contains("b")) == (
        '(size >= 1 and size <= 2) and (array_contains(marks, "b"))'
    )
    for translate in (lambda where: sql(where, "has"), milvus):
        with pytest.raises(InputError):
            translate(~F("size").between(1, 2))


def test_truth_and_recall_count_the_smaller_of_k_and_the_matches(bed):
    masks, cell = Masks(COLUMNS, N), bed.cells[0]
    for q, where, found in zip(bed.queries, cell.where, measuring.truths(bed, masks, cell), strict=True):
        expected = exact_search(q[None], bed.X, k=10, metric="ip", mask=masks(where)).rows[0]
        np.testing.assert_array_equal(found, expected)
    truth = [np.array([1, 2]), np.array([], int), np.array([3])]
    np.testing.assert_array_equal(measuring.recalls(padded([[2, 9], [5], []], 3, 10), truth), [0.5, 1.0, 0.0])


def test_the_fastest_setting_that_is_good_enough_is_chosen():
    curve = [
        {"setting": {"a": 1}, "recall": 0.9, "qps": 100.0},
        {"setting": {"a": 2}, "recall": 0.96, "qps": 50.0},
        {"setting": {"a": 3}, "recall": 1.0, "qps": 60.0},
        {"setting": {"plans": "S"}, "recall": 1.0, "qps": 99.0},
    ]
    assert measuring.chosen(curve) == {"a": 3}
    assert measuring.chosen(curve[:1]) == {"a": 1}
    assert measuring.geometric_mean([1.0, 4.0]) == pytest.approx(2)
    assert math.isnan(measuring.geometric_mean([]))


def test_asking_for_more_stops_when_enough_pass():
    asked = []

    def search_all(rows, wanted):
        asked.append(wanted)
        return np.broadcast_to(np.arange(wanted), (len(rows), wanted))

    mask = np.zeros(100, bool)
    mask[[50, 60, 99]] = True
    found = over_fetched(search_all, np.zeros((2, 3), np.float32), 2, mask=mask, factor=0.5)
    np.testing.assert_array_equal(found, [[50, 60]] * 2)
    assert asked == [33, 66]
    assert (over_fetched(search_all, np.zeros((1, 3)), 2, mask=mask & False, factor=1) == -1).all()


def test_a_method_is_built_tuned_and_measured(bed, few):
    masks = Masks(COLUMNS, N)
    known = [measuring.truths(bed, masks, cell) for cell in bed.cells]
    figures = measuring.measure(Brute(), bed, known, threads=(1,))
    assert figures["bytes per row"] == 32
    for one in figures["cells"]:
        assert (one["recall"], one["short"], one["below 0.8"]) == (1, 0, 0)
        assert one["qps"] > 0
        assert one["p50 ms"] <= one["p99 ms"]


def test_ours_answers_every_cell(bed):
    ours = methods()["spaceform"]()
    ours.fit(bed.X, bed.columns)
    ours.threads(2)
    masks = Masks(COLUMNS, N)
    for cell in bed.cells:
        found = [
            ours.query(q[None], 10, where, {"recall": 1.0})[0] for q, where in zip(bed.queries, cell.where, strict=True)
        ]
        assert measuring.recalls(found, measuring.truths(bed, masks, cell)).min() == 1
    assert ours.bytes_held() > bed.X.nbytes


def test_rows_and_sums():
    def cell(qps, recall=1.0, curve=()):
        return {"cell": "R 1%", "qps": qps, "recall": recall, "curve": list(curve)}

    curve = [
        {"setting": {"recall": 0.95}, "recall": 1.0, "qps": 80.0},
        {"setting": {"recall": 0.95, "plans": "S"}, "recall": 1.0, "qps": 100.0},
    ]
    about = {"build s": 1.0, "bytes per row": 4.0, "resident MB": 1.0}
    found = {
        "toy": {
            "spaceform": {**about, "cells": [cell(80.0, curve=curve)]},
            "fast": {**about, "cells": [cell(160.0)]},
            "wrong": {**about, "cells": [cell(900.0, recall=0.5)]},
            "away": {"note": "not installed"},
        }
    }
    rows = tables.rows_of(found, "spaceform")
    by_method = {row["method"]: row for row in rows}
    assert by_method["away"]["note"] == "not installed"
    assert by_method["fast"]["ours / it"] == 0.5
    assert "ours / it" not in by_method["wrong"]
    (one,) = tables.summary(rows, "spaceform")
    assert (one["worst ratio"], one["cells lost"], one["nearest peer"]) == (0.5, 1, "fast")
    assert one["planner / best plan"] == 1.25


class _Instant(Method):
    name = "instant"

    def fit(self, X, columns):
        self.n = len(X)

    def query(self, Q, k, where, setting):
        return np.full((len(Q), k), -1)


def test_a_run_goes_on_where_it_was(bed, few, monkeypatch, tmp_path):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))
    calls = []

    def child(name, method, threads, path):
        calls.append(method)
        running.run_one(name, method, threads, str(path))
        return json.loads(path.read_text())

    monkeypatch.setattr(running, "make", lambda name, progress=None: bed)
    monkeypatch.setattr(running, "_child", child)
    monkeypatch.setattr(running, "methods", lambda: {"instant": _Instant, "BLAS": Brute})
    monkeypatch.setattr(search, "known_methods", lambda: {"instant": _Instant, "BLAS": Brute})
    for fresh, expected in ((False, 2), (False, 2), (True, 4)):
        rows = search.run(quick=True, methods=["instant", "BLAS"], threads=(1,), fresh=fresh)
        assert len(calls) == expected
    assert len(rows) == 1 + 2 * len(bed.cells)
    monkeypatch.setattr(_Instant, "package", "no_such_package")
    assert search.run(quick=True, methods=["instant"])[-1]["note"] == "not installed"
    with pytest.raises(InputError, match="threads"):
        search.run(quick=True, threads=(0,))
    for options in ({"methods": ["nothing"]}, {"data": ["nothing"]}, {"data": ["nothing:folder"]}):
        with pytest.raises(InputError):
            search.run(**options)


def test_a_published_benchmark_becomes_a_bed():
    from spaceform.data.layouts.benchmarks.search import SearchTask

    X = np.random.default_rng(0).integers(0, 255, (300, 4)).astype(np.uint8) + 1
    asked = [[("year", "between", (1, 2)), ("tags", "contains", "t1")], [("year", "=", 2)]] * 80
    task = SearchTask(
        "t", X, {"year": np.arange(300) % 4, "tags": [("t1",)] * 300}, X[:160], asked, np.zeros((160, 1), int)
    )
    made = beds.from_task("yfcc-10M:folder", task)
    assert str(made.cells[0].where[0]) == "year BETWEEN 1 AND 2 AND tags CONTAINS 't1'"
    assert made.cells[0].name == "yfcc-10M"
    np.testing.assert_allclose(np.linalg.norm(made.X, axis=1), 1, rtol=1e-5)
    with pytest.raises(InputError, match="queries"):
        beds.from_task("t", SearchTask("t", X, {}, X[:2], asked[:2], np.zeros((2, 1), int)))
