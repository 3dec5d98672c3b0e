"""No label of a novel class, of a hidden row or of a test row can be seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.protocols import CategoryDiscovery, draw_category_discovery, draw_distillation
from spaceform.errors import InputError

LABELS = np.random.default_rng(0).permutation(np.repeat([2, 3, 7, 9, 30, -1], [8, 12, 30, 20, 11, 5]))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.floats(0.1, 1), st.sampled_from([0.0, 0.3]), st.integers(0, 99))
def test_rows_and_classes_stand_on_one_side(n_known, labelled, test, seed):
    found = draw_category_discovery(LABELS, n_known=n_known, labelled=labelled, test=test, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([found.train, found.test])), np.flatnonzero(LABELS >= 0))
    assert set(LABELS[found.labelled]) == set(found.known)
    assert set(LABELS[found.unlabelled]) >= set(found.novel)
    assert set(found.known) | set(found.novel) == {2, 3, 7, 9, 30}
    shown = found.partial_labels(LABELS)
    np.testing.assert_array_equal(np.flatnonzero(shown >= 0), found.labelled)
    np.testing.assert_array_equal(shown[found.labelled], LABELS[found.labelled])


def test_all_known_rows_are_labelled_in_novel_class_discovery():
    found = draw_category_discovery(LABELS, n_known=3)
    assert set(LABELS[found.unlabelled]) == set(found.novel)
    assert len(found.test) == 0


def test_half_of_the_known_rows_hide_in_the_generalized_setting():
    found = draw_category_discovery(np.repeat(np.arange(4), 50), n_known=2, labelled=0.5)
    assert len(found.labelled) == 50
    assert len(found.unlabelled) == 150


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_known": 5}, "n_known"),
        ({"n_known": 0}, "n_known"),
        ({"n_known": 2, "labelled": 0}, "labelled"),
        ({"n_known": 2, "labelled": 1.5}, "labelled"),
        ({"n_known": 2, "test": 1.0}, "shares"),
    ],
)
def test_bad_draws(options, name):
    with pytest.raises(InputError, match=name):
        draw_category_discovery(LABELS, **options)


def test_other_data_and_other_splits_are_refused():
    found = draw_category_discovery(LABELS, n_known=2)
    with pytest.raises(InputError, match="labels"):
        found.partial_labels(LABELS[::-1])
    with pytest.raises(InputError, match="split"):
        CategoryDiscovery(draw_distillation(LABELS).split)
    with pytest.raises(InputError, match="labels"):
        draw_category_discovery(np.zeros(9, int), n_known=1)


def test_benchmarks_fix_the_known_classes():
    labels = np.repeat(np.arange(6), 4)
    split = draw_category_discovery(labels, n_known=2, known=[4, 1], labelled=0.5, seed=0)
    np.testing.assert_array_equal(split.known, [1, 4])
    np.testing.assert_array_equal(split.novel, [0, 2, 3, 5])
    for wrong in ([1], [1, 9]):
        with pytest.raises(InputError, match="known"):
            draw_category_discovery(labels, n_known=2, known=wrong)
