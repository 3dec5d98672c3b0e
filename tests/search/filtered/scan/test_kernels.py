"""Scans: compiled and NumPy agree to the bit in what they screen, score and answer; with bounds they are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.search.exact import exact_search
from spaceform.search.filtered.scan import bitmaps, plans
from spaceform.search.filtered.scan.cells import assign, k_means
from spaceform.search.filtered.scan.codes import encode_bits, encode_bytes
from spaceform.search.filtered.scan.engine import Engine, Wanted
from spaceform.search.filtered.scan.layout import METRICS, Base, frozen, lay_out, norms_of
from spaceform.search.filtered.scan.rotation import rotate
from spaceform.search.filtered.scan.turning import random_signs, rotated

PLANS = [plans.SCAN, plans.BITS, plans.CELLS, plans.PRIVATE, plans.PRODUCT]


def laid_out(X, metric, seed=0, where=None):
    base = Base(X, norms_of(X), np.arange(len(X)))
    generator = np.random.default_rng(seed)
    order, layout = lay_out(base, metric, n_cells=None, generator=generator)
    base = frozen(Base(X[order], base.norms[order], order.astype(np.int64)))
    private = None
    if where is not None:
        private = lay_out(base, metric, n_cells=None, generator=generator, where=np.flatnonzero(where[order]))[1]
    return base, layout, private


def answers(compiled, plan, data, *, mask, queries, metric, k, recall=1.0, gamma=1.0):
    base, layout, private = data
    found, _ = Engine(metric, compiled).scan(
        Wanted(plan, near=gamma, far=gamma), queries, k, words=bitmaps.pack(mask[base.ids]), base=base,
        layout=private if plan == plans.PRIVATE else layout, recall=recall,
    )  # fmt: skip
    return found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("recall", "gamma"), [(1.0, 1.0), (0.9, 0.3)])
def test_compiled_and_numpy_agree_to_the_bit(metric, recall, gamma, rows, queries):
    X = rows[0]
    mask = np.random.default_rng(3).random(len(X)) < 0.3
    data = laid_out(X, metric, where=mask | (rows[1]["group"] < 5))
    expected = exact_search(queries, X, k=10, metric=metric, mask=mask)
    for plan in PLANS:
        options = {"mask": mask, "queries": queries, "metric": metric, "k": 10, "recall": recall, "gamma": gamma}
        compiled = answers(True, plan, data, **options)
        plain = answers(False, plan, data, **options)
        np.testing.assert_array_equal(compiled.ids, plain.ids)
        np.testing.assert_array_equal(compiled.closeness, plain.closeness)
        same = slice(1) if plan == plans.PRODUCT else slice(2)  # float32 products err differently, and are bounds
        np.testing.assert_array_equal(compiled.seen[:, same], plain.seen[:, same])
        if recall == 1:
            np.testing.assert_array_equal(compiled[1], expected.rows)
            np.testing.assert_allclose(compiled[0], expected.closeness, rtol=1e-12, atol=1e-12)
        assert (compiled[2][:, 0] <= mask.sum()).all()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 200), d=st.integers(1, 20), k=st.integers(1, 12), metric=st.sampled_from(METRICS),
    seed=st.integers(0, 99), plan=st.sampled_from(PLANS),
)  # fmt: skip
def test_ties_and_small_sets_of_integers_are_exact(n, d, k, metric, seed, plan):
    generator = np.random.default_rng(seed)
    X = generator.integers(-2, 3, (n, d)).astype(np.float32)
    X[:, 0] += np.float32(0.5)
    mask = generator.random(n) < generator.choice([0.05, 0.5, 1.0])
    mask[0] = True
    expected = exact_search(X[:2], X, k=k, metric=metric, mask=mask)
    width = expected.rows.shape[1]
    data = laid_out(X, metric, where=mask)
    scores, ids, _ = answers(True, plan, data, mask=mask, queries=X[:2], metric=metric, k=k)
    if metric == "cosine":  # rounding decides between equal angles of vectors of different length
        np.testing.assert_allclose(scores[:, :width], expected.closeness, rtol=0, atol=1e-12)
    else:
        np.testing.assert_array_equal(ids[:, :width], expected.rows)
        np.testing.assert_array_equal(scores[:, :width], expected.closeness)
    assert (ids[:, width:] == -1).all()
    assert np.isneginf(scores[:, width:]).all()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("matches", [0, 1, 7, 100])
def test_where_fewer_rows_than_asked_for_match_each_is_found_once(plan, matches, rows, queries):
    X = rows[0]
    mask = np.zeros(len(X), bool)
    mask[np.random.default_rng(1).choice(len(X), matches, replace=False)] = True
    data = laid_out(X, "cosine", where=mask) if matches else laid_out(X, "cosine", where=~mask)
    options = {"mask": mask, "queries": queries[:3], "metric": "cosine", "k": 120, "recall": 0.9}
    found = [answers(compiled, plan, data, **options)[1] for compiled in (True, False)]
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(np.sort(found[0], axis=1)[:, 120 - matches :], [np.flatnonzero(mask)] * 3)
    assert (np.sort(found[0], axis=1)[:, : 120 - matches] == -1).all()


def test_the_cell_plan_skips_what_is_far(rows, queries):
    X, everything = rows[0], np.ones(len(rows[0]), bool)
    data = laid_out(X, "cosine")
    options = {"mask": everything, "queries": queries, "metric": "cosine", "k": 5}
    seen = answers(True, plans.CELLS, data, recall=0.9, gamma=0.3, **options)[2]
    assert seen[:, 0].mean() < len(X) / 5


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_bytes_err_by_no_more_than_they_say(shift):
    X = (np.random.default_rng(0).normal(size=(300, 9)) + shift).astype(np.float32)
    X[:, 4] = 7  # a constant coordinate
    minima = X[:200].min(axis=0).astype(np.float64)
    steps = (X[:200].max(axis=0) - minima) / 255  # a hundred rows may lie outside
    steps[steps == 0] = 1
    codes, error, spread = encode_bytes(X, minima, steps)
    distances = np.linalg.norm(X.astype(np.float64) - (minima + steps * codes), axis=1)
    assert (distances <= error).all()
    assert (error <= distances * 1.01 + 1e-6).all()
    assert spread == pytest.approx(np.linalg.norm(codes.astype(float) - 128, axis=1).max())


@pytest.mark.parametrize("d", [64, 100, 128, 384])
def test_rotations_are_orthogonal_mix_everything_and_are_the_same_compiled(d):
    generator = np.random.default_rng(d)
    signs = random_signs(d, generator)
    matrix = rotated(np.eye(signs.shape[1], dtype=np.float32), signs)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-5)
    assert np.abs(matrix).max() < 12 / np.sqrt(len(matrix))  # no coordinate stays by itself
    X = generator.normal(size=(3, d))
    turned = np.empty(len(matrix), np.float32)
    for row, expected in zip(X, rotated(X, signs), strict=True):
        rotate(row, signs, turned)
        np.testing.assert_array_equal(turned, expected)
        np.testing.assert_allclose(turned, row.astype(np.float32) @ matrix[:d], atol=1e-5)


@pytest.mark.parametrize(("d", "words"), [(60, 4), (100, 4), (384, 8), (768, 16), (1_024, 24)])
def test_signs_estimate_without_bias_and_know_their_error(d, words):
    generator = np.random.default_rng(0)
    gaps, query = generator.normal(size=(4_000, d)).astype(np.float32), generator.normal(size=d)
    signs, level = random_signs(d, generator), generator.normal(size=4_000)
    wide = signs.shape[1]
    lines = encode_bits(gaps + np.float32(3), np.full(d, 3.0), level, signs)
    assert lines.shape == (4_000, words)
    assert lines.ctypes.data % 64 == 0
    ones = np.unpackbits(lines.view(np.uint8), axis=1, bitorder="little")[:, :wide]
    factor, deviation, count, above = lines.view(np.float32)[:, wide // 32 : wide // 32 + 4].T
    np.testing.assert_array_equal(count, ones.sum(axis=1))
    assert ((above >= level) & (above <= level + 1e-6 * np.abs(level))).all()
    turned = rotated(query[None], signs)[0]
    off = (factor * ((2.0 * ones - 1) @ turned) - gaps @ query) / (
        np.linalg.norm(query) * deviation / np.sqrt(wide - 1)
    )
    assert abs(off.mean()) < 0.1
    assert 0.9 < off.std() < 1.1


def test_cells_are_those_of_the_nearest_centroid():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(500, 3)).astype(np.float32)
    centroids, cell = k_means(X, 12, generator)
    distances = ((X[:, None] - centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(assign(X, centroids), distances.argmin(axis=1))
    np.testing.assert_array_equal(cell, distances.argmin(axis=1))
    before = ((X - X[:12][assign(X, X[:12])]) ** 2).sum()
    assert distances.min(axis=1).sum() < before
    assert k_means(np.ones((40, 2), np.float32), 5, generator)[0].shape == (5, 2)


def test_where_cells_are_many_rows_look_around_and_nearly_all_find_the_nearest():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(6_000, 8)).astype(np.float32)
    centroids, cell = k_means(X, 300, generator)
    distances = ((X[:, None] - centroids) ** 2).sum(axis=2)
    assert (cell == distances.argmin(axis=1)).mean() > 0.99
    mean = X[cell == 7].mean(axis=0)
    assert np.linalg.norm(mean - centroids[7]) < 0.3
