"""The index answers as exact search over the passing rows does, whatever the plan, the filter and what was changed."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import strategies
from search.filtered.conftest import draw
from spaceform.errors import FilterError, InputError
from spaceform.search.exact import exact_search
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.asking import cell_counts
from spaceform.search.filters import F, parse

METRICS = ("cosine", "euclidean", "ip")
FILTERS = {
    "group = 3": lambda a: a["group"] == 3,
    "group >= 5 and price > 0": lambda a: (a["group"] >= 5) & (a["price"] > 0),
    "not (price > 0)": lambda a: a["price"] <= 0,
    "price is null": lambda a: np.isnan(a["price"]),
    "tags contains 'blue' or name = 'n3'": lambda a: np.array(
        ["blue" in tags or name == "n3" for tags, name in zip(a["tags"], a["name"], strict=True)]
    ),
    "price > 99": lambda a: a["price"] > 99,
    "id in (5, 7, 11)": lambda a: np.isin(np.arange(len(a["group"])), [5, 7, 11]),
    "true": lambda a: np.ones(len(a["group"]), bool),
}


@pytest.fixture(scope="module")
def fitted(rows):
    return {metric: FilteredIndex(metric=metric).fit(*rows) for metric in METRICS}


def assert_equal(found, expected, k):
    """The same rows, filled up with -1 and -inf."""
    width = expected.rows.shape[1]
    np.testing.assert_array_equal(found.rows[:, :width], expected.rows)
    np.testing.assert_allclose(found.closeness[:, :width], expected.closeness, rtol=1e-12, atol=1e-12)
    assert found.rows.shape == (len(expected.rows), k)
    assert (found.rows[:, width:] == -1).all()
    assert np.isneginf(found.closeness[:, width:]).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("text", FILTERS)
def test_equals_exact_search_at_recall_one(metric, text, fitted, rows, queries):
    mask = FILTERS[text](rows[1])
    for k in (1, 10):
        expected = exact_search(queries, rows[0], k=k, metric=metric, mask=mask)
        assert_equal(fitted[metric].query(queries, k, where=text, recall=1.0), expected, k)
    assert fitted[metric].count(text) == mask.sum()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("plan", ["S", "B", "I", "P", "auto"])
def test_all_plans_agree_at_recall_one(metric, plan, rows, queries):
    index = FilteredIndex(metric=metric, plans=plan, recall=1.0).fit(*rows).prepare("price > 0")
    for text in ("price > 0", "price > 0 and group < 9", "group = 3"):
        mask = parse(text).mask(pa.table(rows[1]))
        assert_equal(
            index.query(queries, 7, where=text), exact_search(queries, rows[0], k=7, metric=metric, mask=mask), 7
        )
    named = index.explain(queries[0], 7, where="price > 0").name
    assert named == plan or plan == "auto"


@pytest.mark.parametrize("metric", METRICS)
def test_recall_is_kept_with_zero_positive_and_negative_correlation(metric, fitted, rows):
    X, attributes = rows
    generator = np.random.default_rng(5)
    asked = X[generator.choice(len(X), 60, replace=False)] + generator.normal(size=(60, X.shape[1])).astype("f4") / 4
    index = fitted[metric]
    for text, mask in [
        ("price > 0.5", attributes["price"] > 0.5),
        ("group < 10", attributes["group"] < 10),  # near some queries, far from others
        ("group = 1", attributes["group"] == 1),
        ("price > 2", attributes["price"] > 2),
    ]:
        truth = exact_search(asked, X, k=10, metric=metric, mask=mask).rows
        for recall in (0.8, 0.95):
            found = index.query(asked, 10, where=text, recall=recall).rows
            assert np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]) >= recall
            assert mask[found[found >= 0]].all()
            assert (found >= 0).all(axis=1).all()


@settings(max_examples=60, deadline=None)
@given(table=strategies.tables(rows=40), expr=strategies.expressions(), k=st.integers(1, 45))
def test_random_filters_on_random_tables(table, expr, k):
    mask = expr.mask(table)
    expected = exact_search(TINY[:2], TINY, k=k, metric="euclidean", mask=mask)
    assert_equal(tiny_index(table).query(TINY[:2], k, where=expr), expected, k)


TINY = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
_MEASURED = FilteredIndex(metric="euclidean", recall=1.0).fit(TINY)


def tiny_index(table):
    """An index of the same rows with other attributes; to measure plans anew for each would take long."""
    from dataclasses import replace

    from spaceform.search.filtered.postings import AttributeIndex
    from spaceform.search.filtered.state import State

    index = FilteredIndex(metric="euclidean", recall=1.0)
    segment = _MEASURED._state.segment
    attributes = AttributeIndex(table.take(segment.base.ids).combine_chunks())
    index._state = State.of(replace(segment, attributes=attributes), 40)
    return index


def test_filters_may_be_masks_ids_expressions_and_one_per_query(fitted, rows, queries):
    index, X = fitted["cosine"], rows[0]
    mask = rows[1]["group"] == 2
    expected = exact_search(queries, X, k=5, mask=mask)
    for where in (mask, np.flatnonzero(mask), np.flatnonzero(mask).tolist(), F("group") == 2, "group = 2"):
        assert_equal(index.query(queries, 5, where=where, recall=1.0), expected, 5)
    several = [None, "group = 2", F("group") == 2, mask, np.array([4, 8]), "price > 99"]
    found = index.query(queries, 5, where=several, recall=1.0)
    for i, where in enumerate(several):
        one = index.query(queries[i : i + 1], 5, where=where, recall=1.0)
        np.testing.assert_array_equal(found.rows[i], one.rows[0])
        np.testing.assert_array_equal(found.closeness[i], one.closeness[0])
    assert (index.query(queries, 3, where=[], recall=1.0).rows == -1).all()


@pytest.mark.parametrize("m", [0, 1, 9, 10, 11])
def test_always_the_smaller_of_k_and_the_matches(m, fitted, queries):
    found = fitted["cosine"].query(queries, 10, where=np.arange(m) * 3)
    assert ((found.rows >= 0).sum(axis=1) == min(10, m)).all()
    assert fitted["cosine"].query(queries, 3_000).rows.shape == (6, 3_000)


@pytest.mark.parametrize("plan", ["S", "B", "I"])
def test_threads_and_numpy_give_the_same(plan, rows, queries):
    X, attributes = rows[0][:600], {name: column[:600] for name, column in rows[1].items()}
    asked = {"k": 10, "where": "price > 0"}
    one = FilteredIndex(recall=1.0, plans=plan).fit(X, attributes).query(queries, **asked)
    for options in ({"threads": 2}, {"compiled": False}):
        other = FilteredIndex(recall=1.0, plans=plan, **options).fit(X, attributes).query(queries, **asked)
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.closeness, other.closeness)


def test_numba_is_not_loaded_for_an_index_in_numpy():
    code = """
import sys
import numpy as np
from spaceform.search.filtered.index import FilteredIndex
X = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
index = FilteredIndex(compiled=False).fit(X, {"a": np.arange(300) % 7, "b": [["x", "y"][: i % 3] for i in range(300)]})
index.prepare("a < 3")
for plans in ("auto", "S", "B", "I", "P", "M"):
    index.plans = plans
    for where in ("a = 3", "a < 3", "b contains 'x' and a > 2", "not a = 1", None, [5, 9]):
        index.query(X[:20], 3, where=where)
index.add(X[:5] + 1, {"a": np.arange(5), "b": [["x"]] * 5})
index.delete([3])
assert index.query(X[:1], 3, where="a = 3").rows[0, 0] >= 0
print([name for name in ("numba", "torch", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_explains_itself(fitted, queries):
    plan = fitted["cosine"].explain(queries[0], 10, where="group = 3")
    assert plan.name in plan.predicted_ms
    assert plan.matches == fitted["cosine"].count("group = 3")
    assert 0 <= plan.filter_ms <= plan.measured_ms
    assert plan.screened == 0  # so few are scored at once
    assert plan.scored == plan.matches
    plan = fitted["cosine"].explain(queries[0], 10, where="price > 0")
    assert 10 <= plan.scored <= plan.screened <= plan.matches
    stats = fitted["cosine"].stats_
    assert (stats["rows"], stats["dead"], stats["tail"]) == (2_000, 0, 0)
    assert stats["bytes_per_row"] > 5 * 24


def test_one_query_tells_answer_and_plan_and_rows_that_pass_are_listed(rows, queries):
    index = FilteredIndex(metric="euclidean").fit(*rows)
    index.add(rows[0][:3] + 1, {name: column[:3] for name, column in rows[1].items()})
    found, plan = index.query_one(queries[0], 7, where="group = 3")
    assert_equal(found, index.query(queries[:1], 7, where="group = 3"), 7)
    assert plan.matches == len(index.matching("group = 3")) == index.count("group = 3")
    few = index.matching("group = 3")[:2]
    assert index.query_one(queries[0], 7, where=few)[0].rows.shape == (1, 2)
    np.testing.assert_array_equal(index.take([2, 0])[0], np.asarray(rows[0], np.float32)[[2, 0]])
    np.testing.assert_array_equal(index.matching(), index.ids)
    with pytest.raises(InputError, match="id 5000"):
        index.take([5000])


@pytest.mark.parametrize("metric", METRICS)
def test_changes_are_seen_at_once_and_survive_compaction(metric, queries):
    X, attributes = draw(700)
    index = FilteredIndex(metric=metric, recall=1.0).fit(X, attributes).prepare("group < 10")
    kept = {int(i): (X[i], int(attributes["group"][i])) for i in range(700)}
    generator = np.random.default_rng(2)
    for step in range(6):
        gone = generator.choice(sorted(kept), 30, replace=False)
        index.delete(gone)
        for i in gone.tolist():
            del kept[i]
        extra, more = draw(25, seed=step + 10)
        for i, new in zip(index.add(extra, more).tolist(), range(25), strict=True):
            kept[i] = (extra[new], int(more["group"][new]))
        moved = generator.choice(sorted(kept), 10, replace=False)
        index.update(moved, draw(10, seed=step + 50)[0], {"group": np.full(10, 3)})
        for i, new in zip(moved.tolist(), draw(10, seed=step + 50)[0], strict=True):
            kept[i] = (new, 3)
        if step == 3:
            index.compact()
            assert index.stats_["tail"] == index.stats_["dead"] == 0
        ids = np.array(sorted(kept))
        now, groups = np.stack([kept[i][0] for i in ids]), np.array([kept[i][1] for i in ids])
        assert len(index) == len(ids)
        np.testing.assert_array_equal(index.ids, ids)
        for text, mask in [("true", groups >= 0), ("group < 10", groups < 10), ("group = 3", groups == 3)]:
            expected = exact_search(queries, now, k=8, metric=metric, mask=mask)
            found = index.query(queries, 8, where=text)
            np.testing.assert_array_equal(found.rows, ids[expected.rows])
            np.testing.assert_allclose(found.closeness, expected.closeness, rtol=1e-12, atol=1e-12)
            assert index.count(text) == mask.sum()


@pytest.mark.parametrize("remembered", [0, 9])
def test_searches_see_one_moment_while_rows_are_added(remembered, rows, queries):
    X, group = rows[0], rows[1]["group"]
    sizes = range(1_000, 1_500, 20)
    index = FilteredIndex(recall=1.0, remembered=remembered).fit(X[: sizes[0]], {"group": group[: sizes[0]]})
    expected = [exact_search(queries[:1], X[:n], k=5, mask=group[:n] == 3).rows[0].tolist() for n in sizes]
    done = Event()

    def ask():
        found = []
        while not done.is_set() or not found:
            found.append(index.query(queries[:1], 5, where=F("group") == 3).rows[0].tolist())
        return found

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        for n in sizes[:-1]:
            index.add(X[n : n + 20], {"group": group[n : n + 20]})
        done.set()
    for one in asking:
        assert all(rows in expected for rows in one.result())
    assert index.query(queries[:1], 5, where="group = 3").rows[0].tolist() == expected[-1]


def test_an_index_may_lose_all_rows_and_get_new_ones():
    index = FilteredIndex().fit(np.eye(3), {"a": [1, 2, 3]}, ids=[4, 9, 2])
    assert index.query(np.eye(3), 2).rows[:, 0].tolist() == [4, 9, 2]
    index.delete([9, 2, 4])
    assert (index.compact().query(np.eye(3), 2).rows == -1).all()
    assert index.add(np.eye(3)[:1], {"a": [7]}).tolist() == [10]
    assert index.query(np.eye(3)[:1], 2, where="a = 7").rows.tolist() == [[10, -1]]
    index.update([10], attributes={"a": [8]})
    assert index.count("a = 7") == 0
    assert index.compact().count("a = 8") == 1


def test_a_long_tail_is_compacted():
    X = np.random.default_rng(0).normal(size=(5_000, 4))
    index = FilteredIndex().fit(X[:100])
    index.add(X[100:])
    assert index.stats_["tail"] == 0
    assert len(index) == 5_000


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda index: index.query(np.zeros((1, 24)), 3), "direction"),
        (lambda index: index.query(np.full((1, 24), np.nan), 3), "NaN"),
        (lambda index: index.query(np.ones((1, 23)), 3), "23 columns"),
        (lambda index: index.query(np.ones((1, 24)), 0), "k"),
        (lambda index: index.query(np.ones((1, 24)), 3, recall=2), "recall"),
        (lambda index: index.query(np.ones((1, 24)), 3, where="grup = 1"), "group"),
        (lambda index: index.query(np.ones((1, 24)), 3, where="tags > 'a'"), "tags"),
        (lambda index: index.query(np.ones((1, 24)), 3, where="price between 2 and 1"), "lower end"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=np.ones(3, bool)), "a mask of 3"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=np.ones(3)), "float64"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=[-1, 2]), "id -1"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=[2, 2]), "twice"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=["true", "true"]), "2 filters for 1"),
        (lambda index: index.query(np.ones((1, 24)), 3, where=[1.5]), "list of float"),
        (lambda index: index.add(np.ones((1, 24)), {"group": [1]}), "columns"),
        (lambda index: index.add(np.ones((1, 24))), "columns"),
        (lambda index: index.update([0], attributes={"group": ["x"]}), "group"),
        (lambda index: index.update([0], attributes={"colour": ["x"]}), "colour"),
        (lambda index: index.update([0, 1], np.ones((1, 24))), "2 ids for 1"),
        (lambda index: index.delete([99_999]), "99999"),
        (lambda index: index.delete([3, 3]), "twice"),
        (lambda index: index.prepare("price > 99"), "no row passes"),
    ],
)
def test_bad_questions_are_refused(call, match, fitted):
    with pytest.raises((InputError, FilterError), match=match):
        call(fitted["cosine"])
    assert len(fitted["cosine"]) == 2_000


@pytest.mark.parametrize(
    ("options", "arguments", "match"),
    [
        ({"metric": "manhattan"}, (np.eye(3),), "metric"),
        ({"recall": 1.5}, (np.eye(3),), "recall"),
        ({"plans": "SX"}, (np.eye(3),), "plans"),
        ({"threads": 0}, (np.eye(3),), "threads"),
        ({}, (np.zeros((2, 3)),), "direction"),
        ({}, ([[np.inf, 1.0]],), "infinity"),
        ({"metric": "ip"}, ([[1e30, 1.0]],), "1e15"),
        ({}, (np.eye(3), {"a": [1, 2]}), "a"),
        ({}, (np.eye(3), {"a": [1, "x", 2]}), "a"),
        ({}, (np.eye(3), {"id": [1, 2, 3]}), "id"),
    ],
)
def test_bad_rows_are_refused(options, arguments, match):
    with pytest.raises(InputError, match=match):
        FilteredIndex(**options).fit(*arguments)
    with pytest.raises(InputError, match="twice"):
        FilteredIndex().fit(np.eye(2), ids=[1, 1])
    with pytest.raises(InputError, match="fit"):
        FilteredIndex().query(np.eye(2), 1)


def test_counts_of_cells_ignore_what_lies_outside():
    words = bitmaps.full(130)
    assert cell_counts(words, np.array([3, 64, 129])).tolist() == [61, 65]
