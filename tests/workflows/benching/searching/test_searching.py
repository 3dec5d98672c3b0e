"""The harness of filtered search on a made-up bed: cells, masks, truths, recall, tuning, tables, and the whole run."""

import json
import math
from dataclasses import replace

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
    drawer = Drawer(COLUMNS, N)

    def questions(rows):
        cells = drawer.cells(generator, len(rows), equal=("kind",), ranges=("size",), sets=("marks",))
        return beds.Questions(rows, [cell for cell in cells if cell.share in (0.2, 0.01)])

    return beds.Bed("toy", X[:N], COLUMNS, questions(X[N:][:6]), [questions(X[N:][6:33]), questions(X[N:][33:])])


@pytest.fixture
def few(monkeypatch):
    for name, value in {"_GROUPS": 2, "_GROUP": 3}.items():
        monkeypatch.setattr(measuring, name, value)


def test_filters_let_about_the_wanted_share_through(bed):
    masks = Masks(COLUMNS, N)
    assert {cell.name.split()[0] for cell in bed.tune.cells} == {"EM", "R", "EMIS", "C"}
    for questions in bed.seeds:
        assert [cell.name for cell in questions.cells] == [cell.name for cell in bed.tune.cells]
    for cell in bed.seeds[0].cells:
        shares = [masks(where).mean() for where in cell.where]
        slack = 2.0 if cell.kind in ("EM", "EMIS") else 1.6
        assert cell.share / slack <= np.mean(shares) <= cell.share * slack, cell.name
    (window,) = around("place", np.array([0.99]), 0.2)
    assert (window.low.value, window.high.value) == (0.8, 1.0)


def test_masks_are_those_of_the_filters(bed):
    import pyarrow as pa

    masks = Masks(COLUMNS, N)
    table = pa.table({**COLUMNS, "marks": [list(some) for some in COLUMNS["marks"]]})
    for cell in bed.tune.cells:
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
    masks, asked = Masks(COLUMNS, N), bed.seeds[0]
    for cell, found in zip(asked.cells, measuring.truths(bed, masks, asked), strict=True):
        for q, where, ids in zip(asked.queries, cell.where, found, strict=True):
            expected = exact_search(q[None], bed.X, k=10, metric="ip", mask=masks(where)).rows[0]
            np.testing.assert_array_equal(ids, expected[expected >= 0])
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


def known(bed):
    masks = Masks(COLUMNS, N)
    return [measuring.truths(bed, masks, questions) for questions in (bed.tune, *bed.seeds)]


def test_a_method_is_built_once_tuned_and_measured_under_each_seed(bed, few):
    figures = measuring.measure(Brute(), bed, known(bed), threads=(1,))
    assert figures["bytes per row"] == 32
    for one in figures["cells"]:
        assert (one["recall"], one["short"], one["below 0.8"]) == (1, 0, 0)
        assert one["p50 ms"] <= one["p99 ms"]
        assert one["queries"] == sum(len(questions.queries) for questions in bed.seeds)
        speeds = [seed["qps"] for seed in one["seeds"]]
        assert one["qps"] == pytest.approx(sum(speeds) / 2)


class _OnlyRanges(Brute):
    seconds = 5.0

    def refusal(self, where):
        return "" if all(hasattr(one, "low") for one in where) else "does not answer this"


def test_a_cell_that_is_not_answered_or_not_reached_has_a_note(bed, few, monkeypatch):
    for seconds, expected in ((60.0, {"does not answer this", None}), (0.0, {"not reached in 0 s"})):
        monkeypatch.setattr(_OnlyRanges, "seconds", seconds)
        figures = measuring.measure(_OnlyRanges(), bed, known(bed), threads=(1,))
        assert {one.get("note") for one in figures["cells"]} == expected
        for row in tables.rows_of({"toy": {"BLAS": figures}}, "spaceform"):
            assert ("note" in row) != ("qps" in row)


class _Slow(Method):
    name = "slow"
    grid = tuple({"i": i} for i in range(9))

    def fit(self, X, columns):
        self.calls = 0

    def query(self, Q, k, where, setting):
        self.calls += 1
        return np.full((len(Q), k), -1)


def test_a_slow_method_is_asked_little_and_one_that_is_good_enough_is_tuned_no_further(bed, monkeypatch):
    for name in ("TUNING", "ENOUGH", "MEASURING", "BATCHES"):
        monkeypatch.setattr(measuring, name, -1.0)
    slow, nothing = _Slow(), [np.empty(0, int)] * 27  # where nothing passes, all is found
    slow.fit(bed.X, bed.columns)
    asking = measuring.Asking(bed.seeds[0].queries, bed.seeds[0].cells[0].where, nothing)
    assert len(measuring.tuned(slow, asking)) == 2
    assert slow.calls == 2 * (1 + 12)
    missed = measuring.Asking(asking.queries, asking.where, [np.array([1])] * 27)
    assert len(measuring.tuned(slow, missed)) == 9


def test_a_slow_method_has_one_pass(bed, few, monkeypatch):
    for name in ("TUNING", "ENOUGH", "MEASURING", "BATCHES"):
        monkeypatch.setattr(measuring, name, -1.0)
    monkeypatch.setattr(_Slow, "grid", ({"i": 0},))
    slow = _Slow()
    figures = measuring.measure(slow, bed, known(bed), threads=(1,))
    assert {one["queries"] for one in figures["cells"]} == {2 * 6}
    tuned, single, batched = 1 + len(bed.tune.queries), 2 * (1 + 6), 1
    assert slow.calls == len(figures["cells"]) * (tuned + single + batched)


class _Disturbed(Brute):
    """Takes a second whenever something is asked for the first time, as if the machine was busy, then a millisecond."""

    def __init__(self, clock):
        self.clock, self.seen = clock, set()

    def query(self, Q, k, where, setting):
        asked = Q.tobytes(), str(where)
        self.clock[0] += 0.001 if asked in self.seen else 1.0
        self.seen.add(asked)
        return super().query(Q, k, where, setting)


def test_passes_lie_apart_and_the_fastest_counts(bed, few, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(measuring, "perf_counter", lambda: clock[0])
    for name in ("MEASURING", "BATCHES"):
        monkeypatch.setattr(measuring, name, 1e9)
    monkeypatch.setattr(_Disturbed, "seconds", 1e9)
    figures = measuring.measure(_Disturbed(clock), bed, known(bed), threads=(1,))
    assert all(one["p99 ms"] == pytest.approx(1) for one in figures["cells"])
    assert all(one["queries"] == 54 for one in figures["cells"])
    assert all(one["batch qps 1"] == pytest.approx(3_000) for one in figures["cells"])


class _Planner(Brute):
    grid = ({"recall": 0.95}, {"recall": 0.95, "plans": "S"}, {"recall": 0.95, "plans": "B"})


def test_single_plans_are_measured_beside_their_planner(bed, few):
    for one in measuring.measure(_Planner(), bed, known(bed), threads=(1,))["cells"]:
        assert set(one["plans"]) == {"planner", "S", "B"}
        assert all(plan["recall"] == 1 and plan["qps"] > 0 for plan in one["plans"].values())
    assert all("plans" not in one for one in measuring.measure(Brute(), bed, known(bed), threads=(1,))["cells"])


def test_ours_answers_every_cell(bed):
    ours = methods()["spaceform"]()
    ours.fit(bed.X, bed.columns)
    ours.threads(2)
    masks, asked = Masks(COLUMNS, N), bed.seeds[0]
    for cell, truth in zip(asked.cells, measuring.truths(bed, masks, asked), strict=True):
        found = [
            ours.query(q[None], 10, where, {"recall": 1.0})[0]
            for q, where in zip(asked.queries, cell.where, strict=True)
        ]
        assert measuring.recalls(found, truth).min() == 1
    assert ours.bytes_held() > bed.X.nbytes


def test_rows_and_sums():
    def cell(qps, recall=1.0, plans=None, batch=None):
        speeds = {"qps": qps, "batch qps 2": batch or qps, "seeds": [{"qps": qps - 1}, {"qps": qps + 1}]}
        return {"cell": "R 1%", **speeds, "recall": recall, "curve": [], **({"plans": plans} if plans else {})}

    plans = {
        "planner": {"recall": 1.0, "qps": 80.0},
        "S": {"recall": 1.0, "qps": 100.0},
        "I": {"recall": 0.5, "qps": 900.0},
    }
    about = {"build s": 1.0, "bytes per row": 4.0, "resident MB": 1.0}
    found = {
        "toy": {
            "spaceform": {**about, "cells": [cell(80.0, plans=plans)]},
            "fast": {**about, "cells": [cell(160.0, batch=20.0)]},
            "paper": {**about, "cells": [cell(320.0, batch=10.0)]},
            "wrong": {**about, "cells": [cell(900.0, recall=0.5)]},
            "other": {**about, "cells": [{"cell": "R 1%", "note": "does not answer ranges"}]},
            "away": {"note": "not installed"},
        }
    }
    rows = tables.rows_of(found, "spaceform")
    by_method = {row["method"]: row for row in rows}
    assert by_method["away"]["note"] == "not installed"
    assert by_method["other"] == {"data": "toy", "cell": "R 1%", "method": "other", "note": "does not answer ranges"}
    assert by_method["fast"]["ours / it"] == 0.5
    assert (by_method["fast"]["qps min"], by_method["fast"]["qps max"]) == (159, 161)
    assert "ours / it" not in by_method["wrong"]
    single, batch = tables.summary(rows, "spaceform", references=["paper"])
    assert (single["asked"], batch["asked"]) == ("one by one", "batches on 2 threads")
    assert (single["worst ratio"], single["cells lost"], single["nearest rival"]) == (0.25, 1, "paper")
    assert (single["ratio to peers"], single["to references"]) == (0.5, 1)
    assert single["planner / best plan"] == 1.25
    assert (batch["worst ratio"], batch["cells lost"], batch["nearest rival"]) == (4, 0, "fast")


class _Instant(Method):
    name = "instant"

    def fit(self, X, columns):
        self.n = len(X)

    def query(self, Q, k, where, setting):
        return np.full((len(Q), k), -1)


def test_a_run_goes_on_where_it_was(bed, few, monkeypatch, tmp_path):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))
    calls = []

    def child(name, method, terms, path):
        calls.append(method)
        running.run_one(name, method.name, terms, str(path))
        return json.loads(path.read_text())

    def make(name, seeds=1, progress=None):
        return replace(bed, seeds=bed.seeds[:seeds])

    monkeypatch.setattr(running, "make", make)
    monkeypatch.setattr(running, "_child", child)
    monkeypatch.setattr(running, "methods", lambda: {"instant": _Instant, "BLAS": Brute})
    monkeypatch.setattr(search, "known_methods", lambda: {"instant": _Instant, "BLAS": Brute})
    asked = {"quick": True, "methods": ["instant", "BLAS"], "threads": (1,)}
    for more, expected in (({}, 2), ({}, 2), ({"fresh": True}, 4), ({"seeds": 2}, 6), ({"seeds": 2}, 6)):
        rows = search.run(**asked, **more)
        assert len(calls) == expected
    assert len([row for row in rows if row.get("method")]) == 2 * len(bed.tune.cells)
    drawn = search.curves(**asked, seeds=2)["quick"]
    assert list(drawn) == [cell.name for cell in bed.tune.cells]
    assert len(calls) == 6
    monkeypatch.setattr(_Instant, "package", "no_such_package")
    assert search.run(quick=True, methods=["instant"])[-1]["note"] == "not installed"
    monkeypatch.setattr(Brute, "largest", 10)
    monkeypatch.setattr(Brute, "reason", "too slow")
    assert search.run(quick=True, methods=["BLAS"])[-1]["note"] == "not run on more than 10 rows: too slow"
    for options in ({"threads": (0,)}, {"seeds": 9}, {"methods": ["nothing"]}, {"data": ["nothing"]}):
        with pytest.raises(InputError):
            search.run(quick=True, **options)
    with pytest.raises(InputError):
        search.run(data=["nothing:folder"])


def test_the_seeds_of_the_made_up_bed_have_questions_of_their_own():
    bed = beds.make("quick", 2)
    asked = [bed.tune, *bed.seeds]
    assert [len(questions.queries) for questions in asked] == [beds.TUNED, beds.MEASURED, beds.MEASURED]
    queries = np.concatenate([questions.queries for questions in asked])
    assert len(np.unique(queries, axis=0)) == len(queries)
    for cells in zip(*(questions.cells for questions in asked), strict=True):
        assert len({cell.name for cell in cells}) == 1
        assert len({str(cell.where[:4]) for cell in cells}) == 3
    again = beds.make("quick", 1)
    assert str(again.seeds[0].cells[0].where) == str(bed.seeds[0].cells[0].where)


def test_a_published_benchmark_becomes_a_bed():
    from spaceform.data.layouts.benchmarks.search import SearchTask

    X = np.random.default_rng(0).integers(0, 255, (300, 4)).astype(np.uint8) + 1
    asked = [[("year", "between", (1, 2)), ("tags", "contains", "t1")], [("year", "=", 2)]] * 80
    task = SearchTask(
        "t", X, {"year": np.arange(300) % 4, "tags": [("t1",)] * 300}, X[:160], asked, np.zeros((160, 1), int)
    )
    made = beds.from_task("yfcc-10M:folder", task)
    assert str(made.tune.cells[0].where[0]) == "year BETWEEN 1 AND 2 AND tags CONTAINS 't1'"
    assert str(made.seeds[0].cells[0].where[0]) == "year BETWEEN 1 AND 2 AND tags CONTAINS 't1'"
    assert made.seeds[0].cells[0].name == "yfcc-10M"
    np.testing.assert_allclose(np.linalg.norm(made.X, axis=1), 1, rtol=1e-5)
    with pytest.raises(InputError, match="queries"):
        beds.from_task("t", SearchTask("t", X, {}, X[:2], asked[:2], np.zeros((2, 1), int)))
