"""One suite for all stores: whatever the engine, a store says what the store in memory says."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings

from search import strategies
from search.stores.conftest import Place, own_names
from spaceform.errors import FilterError, InputError, StoreError
from spaceform.search.exact import exact_search
from spaceform.search.filters import F, parse
from spaceform.search.stores.opening import open_store
from spaceform.search.stores.store import CheckedStore

HOSTILE = [
    "x' OR 1=1 --",
    'x" or 1==1 or "',
    "'; DROP TABLE rows; --",
    "it's",
    'say "hi"',
    "back\\slash",
    "\\",
    "\\'",
    '\\"',
    "\\n",
    "a\nb\r\tc",
    "%",
    "_",
    "{x}",
    "$1 %s %(x)s",
    "`tick`",
    "",
    " ",
    "日本 é 🙂",
    "\u202eright to left",
    "\x01\x1f\x7f",
    "null",
    "true",
    "[1]",
    "a" * 1000,
]
FIELDS = {"cat": int, "price": float, "tag": str}


def rows(n=60, dim=8, seed=0):
    generator = np.random.default_rng(seed)
    fields = {
        "cat": [None if i % 11 == 10 else i % 4 for i in range(n)],
        "price": [None if i % 13 == 12 else float(p) for i, p in enumerate(generator.uniform(0, 1, n))],
        "tag": [None if i % 7 == 6 else HOSTILE[i % len(HOSTILE)] for i in range(n)],
    }
    ids = generator.permutation(10 * n)[:n]
    return ids, generator.normal(size=(n, dim)).astype(np.float32), fields


def filled(store, *, metric="cosine", data=None, name="rows"):
    ids, vectors, fields = data or rows()
    store.create(name, vectors.shape[1], metric=metric, fields=FIELDS, index="flat")
    store.upsert(name, ids, vectors, fields)
    return store


def oracle(**options):
    return filled(open_store("memory:"), **options)


def ask(store, k=5, where=None, queries=None, name="rows"):
    queries = np.random.default_rng(9).normal(size=(3, 8)) if queries is None else queries
    return store.search(name, queries, k, where=where)


def expect_equal(found, expected, tolerance=1e-5):
    """The same rows in the same order but for near-ties, the same scores and fields."""
    np.testing.assert_allclose(found.scores, expected.scores, atol=tolerance, rtol=tolerance)
    for ids, others, scores in zip(found.ids, expected.ids, expected.scores, strict=True):
        for place in np.flatnonzero(ids != others):
            near = np.abs(np.delete(scores, place) - scores[place]) < 2 * tolerance
            assert near.any(), f"{ids} is not {others}"
    for row in set(found.fields) & set(expected.fields):
        assert found.fields[row] == expected.fields[row]


@pytest.fixture(scope="module")
def pair(engine, uri_in, tmp_path_factory):
    """A store and the one in memory, with the same rows of all kinds."""
    place = Place(engine, uri_in(tmp_path_factory.mktemp("pair")))
    yield with_all_kinds(place.open())
    place.close()


def with_all_kinds(store):
    generator = np.random.default_rng(4)
    values = {name: choices for name, (_, choices) in strategies.COLUMNS.items()}
    values["k"] = [[], ["a"], ["b", "it's"], ["é", "a", "b"]]
    chosen = {name: generator.integers(0, len(choices) + 2, 80) for name, choices in values.items()}
    columns = {name: [*values[name], None, None] for name in values}
    fields = {name: [columns[name][i] for i in chosen[name]] for name in values}
    types = {name: kind for name, (kind, _) in strategies.COLUMNS.items()} | {"k": list}
    vectors = generator.normal(size=(80, 6))
    expected = open_store("memory:")
    for one in (store, expected):
        one.create("kept_kinds", 6, fields=types, index="flat", metric="euclidean")
        one.upsert("kept_kinds", np.arange(80), vectors, fields)
        filled(one, name="kept_rows")
    return store, expected


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "ip"])
def test_scores_are_the_cosine_the_product_or_minus_the_distance(store, metric):
    ids, vectors, fields = rows()
    filled(store, metric=metric)
    queries = vectors[:2] * 3 + np.float32(0.1)
    found = ask(store, queries=queries)
    nearest = exact_search(queries, vectors, k=5, metric=metric)
    np.testing.assert_array_equal(found.ids, ids[nearest.rows])
    np.testing.assert_allclose(found.scores, nearest.closeness, rtol=1e-4, atol=1e-4)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    first = int(found.ids[0, 0])
    place = list(ids).index(first)
    assert found.fields[first] == {name: values[place] for name, values in fields.items()}


@pytest.mark.parametrize(
    "where",
    [
        "cat = 3",
        "cat != 3",
        "not cat = 3",
        "cat in (1, 2) and price < 0.5",
        "price between 0.25 and 0.5 or tag is null",
        "not (cat = 1 or price > 0.3)",
        "cat is not null and tag is null",
        "cat > 1.5",
        "cat = 1.5 or cat < 18446744073709551615 and price >= 0",
        "tag < 'it' or tag >= '日'",
        "true",
        "not (cat is null or false)",
    ],
)
def test_filters_select_what_they_select_in_memory(pair, where):
    store, expected = pair
    assert store.count("kept_rows", where) == expected.count("kept_rows", where)
    expect_equal(ask(store, 20, where, name="kept_rows"), ask(expected, 20, where, name="kept_rows"))


def test_hostile_text_is_text(store):
    filled(store)
    tags = rows()[2]["tag"]
    for text in HOSTILE:
        same, other = (sum(tag == text for tag in tags), sum(tag is not None and tag != text for tag in tags))
        assert store.count("rows", F("tag") == text) == store.count("rows", F("tag").isin([text, "z"])) == same
        assert store.count("rows", F("tag") != text) == store.count("rows", ~F("tag").isin([text])) == other
    for text in ("none' OR ''='", 'none" or f_tag != "', "none\\", "none\\' or 1 = 1 or '"):
        assert store.count("rows", F("tag") == text) == 0
        assert (ask(store, where=F("tag") == text).ids == -1).all()
    store.delete("rows", where=F("tag") == "none' OR 1=1 OR '")
    assert store.count("rows") == 60


def test_hostile_names_of_fields(store):
    names = ["id", "vector", "select", "a b", 'quote"', "tick`", "it's", "日本", "Tag", "tag", "in", "f_tag", "f0"]
    fields = {name: [i, i + 1] for i, name in enumerate(names)}
    store.create("rows", 2, fields=dict.fromkeys(names, int), index="flat")
    store.upsert("rows", [5, 6], [[1.0, 0.0], [0.0, 1.0]], fields)
    assert list(store.describe("rows").fields) == names
    for i, name in enumerate(names):
        assert store.search("rows", [[1.0, 1.0]], 2, where=F(name) == i + 1).ids.tolist() == [[6, -1]]
    assert store.take("rows", [6]).fields.to_pylist() == [{name: i + 1 for i, name in enumerate(names)}]


def test_upsert_replaces_vectors_and_fields(store):
    filled(store)
    ids, vectors, _ = rows()
    changed = {"cat": [77, None], "price": [None, -0.0], "tag": ["new", None]}
    store.upsert("rows", [ids[3], 5000], -vectors[[3, 4]], changed)
    assert store.count("rows") == 61
    assert store.count("rows", "cat = 77") == 1
    found = ask(store, 1, queries=-vectors[[3, 4]])
    assert found.ids.tolist() == [[ids[3]], [5000]]
    assert found.fields[int(ids[3])] == {"cat": 77, "price": None, "tag": "new"}
    taken = store.take("rows", [5000, ids[3], 123_456])
    assert taken.ids.tolist() == [ids[3], 5000]
    np.testing.assert_allclose(taken.vectors, -vectors[[3, 4]], rtol=1e-6)
    assert taken.fields.to_pylist()[1] == {"cat": None, "price": 0.0, "tag": None}


def test_rows_are_deleted_by_filter_and_by_id(store):
    filled(store)
    ids = rows()[0]
    expected = oracle()
    for one in (store, expected):
        one.delete("rows", where="cat = 1 or price is null")
    assert store.count("rows") == expected.count("rows") < 60
    expect_equal(ask(store, 30), ask(expected, 30))
    for one in (store, expected):
        one.delete("rows", ids=[*ids[:5], 99_999])
    assert store.count("rows") == expected.count("rows")
    store.delete("rows", ids=[])
    store.delete("rows", where="true")
    assert store.count("rows") == 0
    assert (ask(store).ids == -1).all()
    store.upsert("rows", [1], np.ones((1, 8)), {"cat": [1], "price": [0.5], "tag": ["back"]})
    assert ask(store, 2).ids.tolist() == [[1, -1]] * 3


def test_fewer_rows_than_asked_for_are_padded(pair):
    found = ask(pair[0], 100, name="kept_rows")
    assert (found.ids[:, :60] >= 0).all()
    assert (found.ids[:, 60:] == -1).all()
    assert (found.scores[:, 60:] == -np.inf).all()
    nothing = ask(pair[0], where="cat = 99", name="kept_rows")
    assert (nothing.ids == -1).all()
    assert nothing.fields == {}


def test_a_collection_without_rows_and_one_without_fields(store):
    store.create("empty", 3, fields=FIELDS)
    assert store.count("empty") == store.count("empty", "cat = 1") == 0
    assert store.search("empty", [[1, 2, 3]], 2, where="cat = 1").ids.tolist() == [[-1, -1]]
    store.delete("empty", where="cat = 1")
    store.optimize("empty")
    store.create("bare", 2, metric="ip")
    store.upsert("bare", [4, 2], [[1.0, 0.0], [2.0, 0.0]])
    found = store.search("bare", [[1.0, 0.0]], 3)
    assert found.ids.tolist() == [[2, 4, -1]]
    assert found.fields == {2: {}, 4: {}}
    assert store.count("bare", "true") == 2
    assert store.count("bare", "false") == 0
    assert own_names(store) == ["bare", "empty"]
    store.drop("bare")
    assert own_names(store) == ["empty"]


def test_every_type_of_field_comes_back(store):
    fields = {
        "whole": [-(2**63), 2**63 - 1, None],
        "real": [1e-300, float("inf"), None],
        "text": ["", "日本", None],
        "yes": [True, False, None],
        "day": [dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
        "at": [dt.datetime(1960, 1, 1, 0, 0, 0, 1), dt.datetime(2020, 2, 29, 12, 30, 59, 999_999), None],  # noqa: DTZ001
        "words": [["a", "it's"], [], None],
    }
    types = {"whole": int, "real": float, "text": str, "yes": bool, "day": dt.date, "at": dt.datetime, "words": list}
    store.create("rows", 2, fields=types, index="flat")
    store.upsert("rows", [0, 1, 2], np.eye(3, 2) + 1, fields)
    kept = store.take("rows", [0, 1, 2]).fields
    assert kept.schema == store.describe("rows").arrow
    assert kept.to_pydict() == fields
    assert store.count("rows", "day < date '1970-01-01'") == 1
    assert store.count("rows", "at >= '2020-02-29 12:30:59.999999'") == 1
    assert store.count("rows", "words contains 'it''s'") == 1
    assert store.count("rows", "not words contains any ('it''s', 'b')") == 1
    assert store.count("rows", "yes") == store.count("rows", "not yes") == store.count("rows", "yes is null") == 1
    assert store.count("rows", "whole = 9223372036854775807") == 1


def test_a_store_that_is_opened_again_has_everything(place):
    filled(place.open(), data=rows(50))
    ids, vectors, fields = rows(70)
    expected = oracle(data=rows(50))
    for one in (place.reopen(), expected):
        one.upsert("rows", ids, vectors, fields)
    store = place.reopen()
    assert store.describe("rows") == expected.describe("rows")
    assert store.count("rows") == expected.count("rows")
    expect_equal(ask(store, 20, "cat < 3"), ask(expected, 20, "cat < 3"))


KILLED = """
import os, sys
from spaceform.search.stores.opening import open_store
store = open_store(sys.argv[1])
store.create("rows", 2, fields={"n": int})
store.upsert("rows", [1, 2], [[1.0, 0.0], [0.0, 1.0]], {"n": [1, 2]})
store.upsert("rows", [2, 3], [[1.0, 1.0], [0.0, 1.0]], {"n": [20, 3]})
store.delete("rows", where="n = 1")
os._exit(9)
"""


def test_what_was_written_is_there_after_the_writer_was_killed(place):
    if place.engine == "memory":
        pytest.skip("memory goes with its process")
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED, place.uri], check=False)
    assert killed.returncode == 9
    store = place.open()
    assert store.take("rows", [1, 2, 3]).fields.to_pylist() == [{"n": 20}, {"n": 3}]
    store.upsert("rows", [9], [[1.0, 0.0]], {"n": [9]})
    assert store.count("rows") == 3


@pytest.mark.parametrize("where", ["cat < 3", "tag ilike '%T%'", "not tag ilike '%T%' or tag like '\\\\%'"])
def test_engines_asked_again_search_exactly_among_what_passes(pair, where):
    found = []
    for store in pair:
        collection = store.describe("kept_rows")
        expr = parse(where).check(collection.schema)
        queries = np.random.default_rng(9).normal(size=(2, 8)).astype(np.float32)
        found.append([store._engine.search(collection, queries, 40, where=expr, exact=exact) for exact in (0, 1)])
        np.testing.assert_array_equal(*found[-1])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert (found[0][0][:, 0] >= 0).all()


def test_one_client_sees_what_another_wrote(place):
    writer, reader = place.open(), place.open()
    filled(writer)
    assert reader.count("rows") == 60
    writer.upsert("rows", [100_000], np.ones((1, 8)), {"cat": [99], "price": [0.5], "tag": ["late"]})
    assert reader.search("rows", np.ones((1, 8)), 1, where="cat = 99").ids.tolist() == [[100_000]]
    writer.delete("rows", where="cat = 99")
    assert reader.count("rows", "cat = 99") == 0


def test_the_index_finds_nearly_all_and_never_too_few(store):
    generator = np.random.default_rng(3)
    n, dim = 1200, 16
    vectors = (generator.normal(size=(10, dim))[generator.integers(0, 10, n)] + generator.normal(size=(n, dim))) / 2
    u = generator.uniform(size=n)
    expected = open_store("memory:")
    for one in (store, expected):
        one.create("rows", dim, fields={"u": float}, index="auto")
        for part in (slice(0, 600), slice(600, n)):
            one.upsert("rows", np.arange(n)[part], vectors[part], {"u": u[part]})
        one.optimize("rows")
    queries = vectors[generator.integers(0, n, 20)] + 0.2 * generator.normal(size=(20, dim))
    for share in (1.0, 0.1, 0.01, 0.001):
        found, truth = (one.search("rows", queries, 10, where=F("u") < share) for one in (store, expected))
        np.testing.assert_array_equal(found.ids >= 0, truth.ids >= 0)
        hits = sum(len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(found.ids, truth.ids, strict=True))
        assert hits >= 0.95 * (truth.ids >= 0).sum()


def test_tables_are_taken_as_fields(store):
    store.create("rows", 2, fields={"day": dt.datetime, "n": int}, index="flat")
    moments = pa.array([dt.date(2020, 1, 1), None])
    store.upsert("rows", [1, 2], np.eye(2), pa.table({"n": pa.array([1, 2], pa.int8()), "day": moments}))
    assert store.count("rows", "day = '2020-01-01'") == 1


# ---------------------------------------------------------------- random filters over random rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(expr=strategies.expressions())
@example(expr=parse("not (i < 3 or f > 0.1) and k contains any ('a', 'it''s')"))
def test_random_filters(pair, expr):
    store, expected = pair
    assert store.count("kept_kinds", expr) == expected.count("kept_kinds", expr)
    found, truth = (one.search("kept_kinds", np.ones((1, 6)), 80, where=expr) for one in (store, expected))
    assert set(found.ids[0]) == set(truth.ids[0])
    np.testing.assert_allclose(found.scores, truth.scores, rtol=1e-4)


# ---------------------------------------------------------------- refusals, before the engine sees anything


class Untouchable:
    """An engine that knows one collection, and fails when anything is done to it."""

    failures = ()

    def __init__(self, collection):
        self.collection = collection

    def read(self, name):
        return self.collection if name == "rows" else None

    def names(self):
        return ["rows"]

    def __getattr__(self, name):
        def fail(*_, **__):
            pytest.fail(f"{name} of the engine was called")

        return fail


@pytest.fixture
def guarded():
    return CheckedStore(Untouchable(oracle().describe("rows")))


def good(**changes):
    fields = {"cat": [1, 2], "price": [1.0, 2], "tag": ["a", "b"], **changes.pop("fields", {})}
    return {"ids": [1, 2], "vectors": np.ones((2, 8)), "fields": fields, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": [1, 1]}, "1 twice"),
        ({"ids": [-1, 1]}, "from 0 to"),
        ({"ids": [1, 2**62]}, "from 0 to"),
        ({"ids": [1]}, "1 ids for 2 rows"),
        ({"ids": ["a", "b"]}, "list of integers"),
        ({"ids": None}, "one integer per row"),
        ({"vectors": np.ones((2, 7))}, "8 columns"),
        ({"vectors": [[np.nan] * 8, [1] * 8]}, "NaN"),
        ({"vectors": [[np.inf] * 8, [1] * 8]}, "infinity"),
        ({"vectors": np.zeros((2, 8))}, "norm 0 in row 0"),
        ({"vectors": np.full((2, 8), 1e20)}, "1e15"),
        ({"fields": {"cat": ["1", "2"]}}, "a column of text, expected integer"),
        ({"fields": {"cat": [1.5, 2]}}, "fit int64"),
        ({"fields": {"cat": [True, False]}}, "boolean"),
        ({"fields": {"cat": np.array([2**63, 1], np.uint64)}}, "fit int64"),
        ({"fields": {"price": ["1", "2"]}}, "text"),
        ({"fields": {"tag": [1, 2]}}, "number"),
        ({"fields": {"tag": ["a", 2]}}, "row 1"),
        ({"fields": {"tag": ["a", "b\0"]}}, "NUL"),
        ({"fields": {"tag": ["a"]}}, "one per vector"),
        ({"fields": {"more": [1, 2]}}, "the field 'more'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_at_the_door(guarded, changes, message):
    parts = good(**changes)
    with pytest.raises(InputError, match=message):
        guarded.upsert("rows", parts["ids"], parts["vectors"], parts["fields"])


@pytest.mark.parametrize("fields", [None, {"cat": [1, 2]}, {"cat": [1, 2], "tag": ["a", "b"]}])
def test_missing_fields_are_refused(guarded, fields):
    with pytest.raises(InputError, match="no field"):
        guarded.upsert("rows", [1, 2], np.ones((2, 8)), fields)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("color = 1", "'color'"),
        ("cat = '1'", "number"),
        ("tag = 1", "text"),
        ("price like 'a'", "text"),
        ("tag contains 'a'", "list of texts"),
        (F("tag") == "a\0b", "NUL"),
        (F("tag").like("%\0"), "NUL"),
        (~(F("tag").isin(["a", "\0"]) & (F("cat") == 1)), "NUL"),
        (F("tag").between("a", "b\0"), "NUL"),
        ("cat between 3 and 1", "lower end"),
        (5, "condition"),
    ],
)
def test_filters_that_do_not_fit_are_refused_at_the_door(guarded, where, message):
    for ask_engine in (
        lambda: guarded.count("rows", where),
        lambda: guarded.delete("rows", where=where),
        lambda: guarded.search("rows", np.ones((1, 8)), 1, where=where),
    ):
        with pytest.raises(FilterError, match=message):
            ask_engine()


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.ones((1, 7)), 1, "8 columns"),
        (np.ones(8), 1, "shape"),
        ([[np.nan] * 8], 1, "NaN"),
        (np.zeros((1, 8)), 1, "norm 0"),
        (np.ones((1, 8)), 0, "k: got 0"),
        (np.ones((1, 8)), 1.5, "k: got 1.5"),
        (np.ones((1, 8)), 10**6, "k: got 1000000"),
        (np.ones((0, 8)), 1, "at least 1 row"),
    ],
)
def test_queries_that_do_not_fit_are_refused_at_the_door(guarded, queries, k, message):
    with pytest.raises(InputError, match=message):
        guarded.search("rows", queries, k)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("rows", 8), {}, "which is there"),
        (("no good", 8), {}, "name: got"),
        (("rows'; drop", 8), {}, "name: got"),
        (("a/../b", 8), {}, "name: got"),
        ((5, 8), {}, "name: got"),
        (("new", 0), {}, "dim: got 0"),
        (("new", 8), {"metric": "l3"}, "metric: got 'l3'"),
        (("new", 8), {"index": "tree"}, "index: got 'tree'"),
        (("new", 8), {"fields": {"a": dict}}, "fields\\['a'\\]"),
        (("new", 8), {"fields": {"": int}}, "a field named ''"),
        (("new", 8), {"fields": ["a"]}, "mapping"),
        (("new", 8), {"info": {"a": object()}}, "info: got"),
    ],
)
def test_collections_that_can_not_be_are_refused(guarded, arguments, options, message):
    with pytest.raises(InputError, match=message):
        guarded.create(*arguments, **options)


def test_names_of_nothing_are_refused(guarded):
    for name in ("other", "../rows", 5, None):
        with pytest.raises(InputError, match="a collection of this store: 'rows'"):
            guarded.count(name)
    for options in ({}, {"ids": [1], "where": "true"}):
        with pytest.raises(InputError, match="one of them"):
            guarded.delete("rows", **options)


# ---------------------------------------------------------------- engines that break their word


class Lying:
    """The engine in memory, whose first answers are spoiled."""

    def __init__(self, spoil, times):
        self.engine, self.spoil, self.left, self.asked = oracle()._engine, spoil, times, []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def search(self, collection, queries, k, *, where, exact):
        self.asked.append(exact)
        found = self.engine.search(collection, queries, k, where=where, exact=exact)
        self.left -= 1
        return self.spoil(found) if self.left >= 0 else found


def short(found):
    return np.where(np.arange(5) < 3, found, -1)


def violating(found):
    ids, _, fields = rows()
    other = next(row for row, cat in zip(ids, fields["cat"], strict=True) if cat != 1)
    return np.where(np.arange(5) == 0, other, found)


def doubled(found):
    return found[:, [0, 0, 1, 2, 3]]


def invented(found):
    return np.where(np.arange(5) == 0, 123_456, found)


@pytest.mark.parametrize(
    ("lie", "message"),
    [(short, "found 3 rows"), (violating, "does not pass"), (doubled, "twice"), (invented, "is not there")],
    ids=["short", "violating", "doubled", "invented"],
)
def test_wrong_answers_are_asked_for_again_and_never_passed_on(lie, message):
    once = Lying(lie, 1)
    expect_equal(ask(CheckedStore(once), where="cat = 1"), ask(oracle(), where="cat = 1"))
    assert once.asked == [False, True]
    with pytest.raises(StoreError, match=message):
        ask(CheckedStore(Lying(lie, 2)), where="cat = 1")
