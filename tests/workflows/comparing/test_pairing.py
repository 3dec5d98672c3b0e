"""Pairs of rows: by key, at their mean, without those that have no key or no number."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.geometry.poincare import log0
from spaceform.space import Space
from spaceform.workflows.comparing.pairing import Side, pair_rows, read_side

RNG = np.random.default_rng(0)
KEYS = [f"item {i}" for i in range(30)]


def paired(a, b, sample=100):
    return pair_rows(a, b, sample=sample, generator=np.random.default_rng(0))


def test_rows_come_together_whatever_their_order_and_what_only_one_has_is_left_out():
    A, B = RNG.normal(size=(30, 3)), RNG.normal(size=(25, 5))
    order = RNG.permutation(25)
    pairs = paired(Side(A, KEYS), Side(B, [*np.array(KEYS)[order][:-1], "new"]))
    assert [*pairs.keys] == [key for i, key in enumerate(KEYS) if i in order[:-1]]
    np.testing.assert_array_equal(pairs.A, A[pairs.rows_a])
    np.testing.assert_array_equal(pairs.B, B[pairs.rows_b])
    assert [KEYS[order[row]] for row in pairs.rows_b] == [*pairs.keys]
    assert (pairs.counts["paired"], pairs.counts["only_a"], pairs.counts["only_b"]) == (24, 6, 1)


def test_rows_of_one_key_are_one_item_at_their_mean():
    A, B = RNG.normal(size=(60, 3)), RNG.normal(size=(30, 3))
    pairs = paired(Side(A, KEYS + KEYS), Side(B, KEYS))
    np.testing.assert_allclose(pairs.A, (A[:30] + A[30:]) / 2)
    assert pairs.counts["merged_a"] == 30
    np.testing.assert_array_equal(pairs.rows_a, np.arange(30))


def test_rows_with_nan_and_without_key_are_counted_and_left_out():
    A = RNG.normal(size=(30, 3))
    A[4, 1], A[7] = np.nan, np.inf
    pairs = paired(Side(A, [None, *KEYS[1:]]), Side(A[::-1][:, :2], KEYS[::-1]))
    assert (pairs.counts["dropped_a"], pairs.counts["dropped_b"], len(pairs)) == (3, 2, 27)
    assert np.isfinite(pairs.A).all()


def test_labels_are_those_of_b_and_else_of_a():
    A = RNG.normal(size=(30, 3))
    own, other = ["x", "y"] * 15, ["u", None, "v"] * 10
    both = paired(Side(A, KEYS, own), Side(A, KEYS, other))
    assert (both.labelled_by, [*both.labels[:3]]) == ("B", ["u", None, "v"])
    assert paired(Side(A, KEYS, own), Side(A, KEYS)).labelled_by == "A"
    assert paired(Side(A, KEYS, own), Side(A, KEYS, ["u"] * 30)).labelled_by == "A", "one class teaches nothing"
    assert paired(Side(A, KEYS), Side(A, KEYS)).labels is None


def test_a_sample_is_drawn_in_order():
    A = RNG.normal(size=(30, 3))
    pairs = paired(Side(A, KEYS), Side(A, KEYS), sample=21)
    assert len(pairs) == 21
    assert (np.diff(pairs.rows_a) > 0).all()
    assert pairs.counts["paired"] == 30


def test_columns_as_keys():
    space = Space.create(
        RNG.normal(size=(3, 2)),
        attributes={"year": [2001, None, 2003], "name": ["a", None, "c"], "kind": ["p", "q", None]},
        ids=["i", "j", "k"],
    )
    assert read_side(space, key=None, label=None).keys == ["i", "j", "k"]
    assert read_side(space, key="id", label=None).keys == ["i", "j", "k"]
    assert read_side(space, key="year", label=None).keys == ["2001", None, "2003"]
    found = read_side(space, key="name", label="kind")
    assert (found.keys, found.labels) == (["a", None, "c"], ["p", "q", None])


def test_the_ball_is_looked_at_in_its_tangent_space():
    X = 0.5 * RNG.normal(size=(30, 3)) / 3
    found = read_side(Space.create(X, geometry="poincare"), key=None, label=None).X
    np.testing.assert_allclose(found, log0(X, 1.0), atol=1e-6)


def test_strangers_are_refused_with_keys_of_both():
    A = RNG.normal(size=(30, 3))
    with pytest.raises(InputError, match=r"item 0.*other.*key="):
        paired(Side(A, KEYS), Side(A, [f"other {i}" for i in range(30)]))
