"""Assignment of clusters to classes, against brute force over all matchings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.ops.assignment import agreement, assign, contingency, rename_clusters

labellings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def brute_force(truth: np.ndarray, predicted: np.ndarray) -> float:
    best = 0
    for renamed in permutations(range(4)):
        best = max(best, int((np.array(renamed)[predicted] == truth).sum()))
    return best / len(truth)


@given(labellings)
def test_agreement_is_the_best_over_all_matchings(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    assert agreement(truth, predicted) == pytest.approx(brute_force(truth, predicted))
    assert agreement(truth, predicted) == pytest.approx(agreement(predicted, truth))


@given(labellings, st.permutations(range(4)))
def test_names_of_clusters_do_not_matter(pairs: list[tuple[int, int]], names: list[int]) -> None:
    truth, predicted = np.array(pairs).T
    assert agreement(truth, np.array(names)[predicted]) == pytest.approx(agreement(truth, predicted))


def test_surplus_clusters_agree_with_nothing() -> None:
    assert agreement([0, 0, 0, 0], [0, 1, 2, 3]) == 0.25
    assert agreement([0, 1, 2, 3], [5, 5, 5, 5]) == 0.25


def test_text_labels_and_counts() -> None:
    table = contingency(["b", "a", "b"], [7, 7, 9])
    np.testing.assert_array_equal(table.counts, [[1, 0], [1, 1]])
    assert (table.classes.tolist(), table.clusters.tolist()) == (["a", "b"], [7, 9])
    rows, columns = assign(table)
    assert table.counts[rows, columns].sum() == 2


@given(labellings, st.permutations(range(4)))
def test_renaming_undoes_a_relabelling(pairs: list[tuple[int, int]], names: list[int]) -> None:
    old = np.array([old for old, _ in pairs])
    np.testing.assert_array_equal(rename_clusters(np.array(names)[old], old), old)


def test_a_new_cluster_never_takes_an_old_name() -> None:
    old = np.array([0, 0, 0, 1, 1, 1])
    new = np.array([8, 8, 9, 3, 3, 3])
    np.testing.assert_array_equal(rename_clusters(new, old), [0, 0, 2, 1, 1, 1])


@pytest.mark.parametrize(
    ("truth", "predicted"), [([], []), ([0, 1], [0]), ([[0, 1]], [[0, 1]]), ([0.0, np.nan], [0, 1])]
)
def test_bad_input_is_refused(truth: list, predicted: list) -> None:
    with pytest.raises(InputError):
        agreement(truth, predicted)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_integers_are_counted_as_they_are_sorted(kind):
    info = np.iinfo(kind)
    for truth in ([info.min, 3, 3, info.max], [info.max - 1, info.max, info.max - 1, info.max]):
        table = contingency(np.array(truth, dtype=kind), [0, 1, 1, 0])
        expected = np.unique(np.array(truth, dtype=kind))
        np.testing.assert_array_equal(table.classes, expected)
        assert table.classes.dtype == kind
        assert table.counts.tolist() == [
            [sum(1 for a, b in zip(truth, [0, 1, 1, 0], strict=True) if a == c and b == d) for d in (0, 1)]
            for c in expected.tolist()
        ]
