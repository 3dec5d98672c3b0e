"""Plan M: tiles are products, no row that may belong to an answer is dropped, threads change nothing."""

import numpy as np
import pytest
from numba import njit

from spaceform.errors import InputError
from spaceform.search.exact import exact_search
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filtered.scan import bitmaps, engine, plans
from spaceform.search.filtered.scan.batches.threads import share
from spaceform.search.filtered.scan.batches.tiles import HEIGHT, WIDTH, passing, tile
from spaceform.search.filtered.scan.engine import Engine, Wanted
from spaceform.search.filtered.scan.layout import METRICS, Base, frozen, lay_out, norms_of


@njit
def tiled(rows, places, asked, number, out, half):
    if half:
        tile(rows, places, 1, 0, asked, number, out, 1)
    else:
        tile(rows, places, 1, 0, asked, number, out, 2)


@njit
def bounded(out, r, number, numbers, slack, floor):
    return passing(out, r, number, numbers, slack, floor)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("d", [1, 7, 16, 17, 100])
def test_a_tile_is_a_piece_of_the_product(d, half):
    generator = np.random.default_rng(d)
    rows = generator.normal(size=(20, d)).astype(np.float32)
    asked = generator.normal(size=(3, d, WIDTH)).astype(np.float32)
    places = generator.choice(20, HEIGHT + 1, replace=False).astype(np.int32)
    out = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    tiled(rows, places, asked, 2, out, half)
    expected = rows[places[1:]] @ asked[2]
    if half:
        expected[:, WIDTH // 2 :] = 0
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_bounds_that_reach_the_floor_are_found_as_bits():
    generator = np.random.default_rng(0)
    out = generator.normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    slack, floor = generator.random((2, 3 * WIDTH)).astype(np.float32)
    expected = out.copy()
    expected[4] = 0.5 * out[4] + 2 * slack[WIDTH : 2 * WIDTH] + np.float32(0.25)
    bits = bounded(out, 4, 1, (np.float32(0.5), np.float32(2), np.float32(0.25)), slack, floor)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_array_equal([bits >> i & 1 for i in range(WIDTH)], out[4] >= floor[WIDTH : 2 * WIDTH])


def multiplied(X, queries, *, mask, metric, k, threads=1):
    base = Base(X, norms_of(X), np.arange(len(X)))
    order, layout = lay_out(base, metric, n_cells=None, generator=np.random.default_rng(0))
    base = frozen(Base(X[order], base.norms[order], order.astype(np.int64)))
    found, told = Engine(metric, threads=threads).scan(
        Wanted(plans.PRODUCT), queries, k, words=bitmaps.pack(mask[order]), base=base, layout=layout, recall=1.0
    )
    assert (told[:, 0] == plans.PRODUCT).all()
    return found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("q", "k"), [(1, 3), (9, 10), (40, 1), (150, 7), (3, 2_500)])
def test_answers_are_those_of_an_exact_search(metric, q, k, rows, monkeypatch):
    X = rows[0]
    generator = np.random.default_rng(q)
    queries = X[generator.choice(len(X), q)] + generator.normal(size=(q, X.shape[1])).astype(np.float32)
    mask = generator.random(len(X)) < 0.6
    expected = exact_search(queries, X, k=k, metric=metric, mask=mask)
    width = expected.rows.shape[1]
    found = multiplied(X, queries, mask=mask, metric=metric, k=k)
    np.testing.assert_array_equal(found.ids[:, :width], expected.rows)
    np.testing.assert_allclose(found.closeness[:, :width], expected.closeness, rtol=1e-12, atol=1e-12)
    assert (found.seen[:, 0] == mask.sum()).all()
    assert found.seen[:, 1].max() <= max(1.1 * min(k, mask.sum()), k + 5)
    monkeypatch.setattr(engine, "_SHARED", 1)
    shared = multiplied(X, queries, mask=mask, metric=metric, k=k, threads=3)
    np.testing.assert_array_equal(shared.ids, found.ids)
    np.testing.assert_array_equal(shared.closeness, found.closeness)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("order", [1, -1])
def test_rows_that_get_better_and_better_and_rows_that_are_equal_are_all_looked_at(metric, order):
    steps = np.repeat(np.linspace(0.5, 1.5, 500)[::order], 3)
    X = np.stack([np.ones(1_500), steps, np.zeros(1_500)], axis=1).astype(np.float32)
    queries = np.array([[0, 1, 0], [1, 0.2, 0], [-1, -1, 0]], np.float32)
    everything = np.ones(len(X), bool)
    found = multiplied(X, queries, mask=everything, metric=metric, k=4)
    expected = exact_search(queries, X, k=4, metric=metric)
    np.testing.assert_array_equal(found.ids, expected.rows)
    ones, same = np.ones((900, 5), np.float32), everything[:900]
    equal = multiplied(ones, ones[:2], mask=same, metric=metric, k=4)
    np.testing.assert_array_equal(equal.ids, [[0, 1, 2, 3]] * 2)


@pytest.mark.parametrize(("scale", "shift"), [(1e-20, 0), (1e12, 0), (1, 1e3)])
@pytest.mark.parametrize("metric", METRICS)
def test_numbers_may_be_small_or_large_or_far_from_zero(metric, scale, shift, rows, queries):
    if metric == "cosine" and scale < 1:
        scale = 1e-9
    X, asked = (((one + shift) * scale).astype(np.float32) for one in (rows[0][:600], queries))
    found = multiplied(X, asked, mask=np.ones(600, bool), metric=metric, k=5)
    expected = exact_search(asked, X, k=5, metric=metric)
    np.testing.assert_array_equal(found.ids, expected.rows)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_is_answered_whole_where_some_of_its_queries_could_open_cells(rows, queries, threads):
    X, attributes = rows
    index = FilteredIndex(threads=threads).fit(X, attributes)
    costs = index._state.segment.costs
    asked, inside = np.repeat(queries, 3, axis=0), np.isin(attributes["group"], [3, 9])
    expected = exact_search(asked, X, k=8, mask=inside)
    for cells in (1e-6, 1e-4, 1.0):  # all open cells; those with few matches around do not; none
        seconds = {"S": 1.0, "B": 1.0, "M": 1e-3, "I": cells}
        for name, value in seconds.items():
            costs.seconds[f"{name} exact"] = [value] * len(costs.matches)
        costs._curves.clear()
        found = index.query(asked, 8, where="group in (3, 9)", recall=1.0)
        np.testing.assert_array_equal(found.rows, expected.rows)


def test_threads_may_be_set_after_the_fit(rows, queries, monkeypatch):
    index = FilteredIndex(plans="M").fit(*rows)
    before = index.query(queries, 5, where="group < 9")
    parts = []
    monkeypatch.setattr(engine, "_SHARED", 1)
    monkeypatch.setattr(engine, "share", lambda work, n, count: (parts.append(count), share(work, n, count)))
    index.threads = 2
    np.testing.assert_array_equal(index.query(queries, 5, where="group < 9").rows, before.rows)
    assert parts == [2]
    index.delete(before.rows[0])
    assert not np.isin(index.query(queries, 5, where="group < 9").rows, before.rows[0]).any()
    index.threads = 0
    with pytest.raises(InputError, match="threads"):
        index.query(queries, 5)


def test_work_is_shared_and_what_fails_is_raised():
    seen = []
    share(lambda *part: seen.append(part), 10, 3)
    assert sorted(seen) == [(0, 0, 3), (1, 3, 6), (2, 6, 10)]

    def fail(part, first, last):
        if part == 0:
            raise ValueError("first part")

    with pytest.raises(ValueError, match="first part"):
        share(fail, 10, 2)
