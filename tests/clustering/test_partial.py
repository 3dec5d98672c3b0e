"""Reading partial labels."""

from __future__ import annotations

import numpy as np
import pytest

from spaceform.clustering.partial import check_n_novel, read_partial
from spaceform.errors import InputError


def test_codes_index_the_sorted_known_labels() -> None:
    partial = read_partial([7, -1, 3, 7, 3, -1], 6)
    assert partial.classes.tolist() == [3, 7]
    assert partial.codes.tolist() == [1, -1, 0, 1, 0, -1]
    assert partial.unlabelled.tolist() == [False, True, False, False, False, True]


def test_means_of_known_classes_keep_the_dtype() -> None:
    partial = read_partial([1, 1, 0, 0, -1], 5)
    X = np.array([[1], [2], [10], [20], [1000]], dtype=np.float32)
    means = partial.means(X)
    assert means.dtype == np.float32
    assert means.tolist() == [[15], [1.5]]


def test_nothing_labelled() -> None:
    partial = read_partial(None, 3)
    assert partial.unlabelled.all()
    assert partial.means(np.ones((3, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("y", "need_known", "words"),
    [
        (None, True, "no labelled row"),
        ([0, 1, 0], False, "labels on all rows"),
        ([0, -2, -1], False, "label -2"),
        ([0, -1], False, "shape"),
        ([0.5, -1, 0], False, "integer"),
    ],
)
def test_bad_labels_are_refused(y: list | None, need_known: bool, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_partial(y, 3, need_known=need_known)


def test_a_class_of_one_row_warns() -> None:
    with pytest.warns(UserWarning, match=r"single row \(4\)"):
        read_partial([4, 5, 5, -1], 4)


@pytest.mark.parametrize("n_novel", [0, -1, 6, 2.0, True, "3"])
def test_number_of_novel_classes_outside_its_range(n_novel: object) -> None:
    with pytest.raises(InputError, match="n_novel"):
        check_n_novel(n_novel, 5)
