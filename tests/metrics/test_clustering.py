"""Clustering metrics against scikit-learn, hand values and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from spaceform.errors import InputError
from spaceform.metrics.clustering import (
    adjusted_rand_index,
    cluster_quality,
    hungarian_accuracy,
    normalized_mutual_information,
    pair_f1,
    purity,
    split_cluster_accuracy,
)

labellings = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60)


@given(labellings)
def test_nmi_ari_and_pair_f1_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    assert normalized_mutual_information(truth, predicted) == pytest.approx(
        normalized_mutual_info_score(truth, predicted), abs=1e-9
    )
    assert adjusted_rand_index(truth, predicted) == pytest.approx(adjusted_rand_score(truth, predicted), abs=1e-9)
    (_, fp), (fn, tp) = pair_confusion_matrix(truth, predicted)
    assert pair_f1(truth, predicted) == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp else 0.0)


@given(labellings)
def test_figures_together_equal_figures_alone(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    quality = cluster_quality(truth, predicted)
    assert quality.to_dict() == {
        "accuracy": hungarian_accuracy(truth, predicted),
        "nmi": normalized_mutual_information(truth, predicted),
        "ari": adjusted_rand_index(truth, predicted),
        "purity": purity(truth, predicted),
    }
    assert quality.accuracy <= quality.purity + 1e-12


def test_purity_by_hand() -> None:
    assert purity([0, 0, 1, 1, 2], [0, 0, 0, 1, 1]) == pytest.approx(3 / 5)


def test_one_matching_serves_old_and_new_classes() -> None:
    truth, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 0])
    old = truth == 0
    result = split_cluster_accuracy(truth, predicted, old)
    # matched apart, both parts would score 1
    assert (result.all, result.old, result.new) == (0.6, 1.0, 0.0)


@given(labellings)
def test_split_accuracy_adds_up(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    old = truth < 2
    result = split_cluster_accuracy(truth, predicted, old)
    assert result.all == pytest.approx(hungarian_accuracy(truth, predicted))
    parts = np.nan_to_num([result.old, result.new])
    assert result.all == pytest.approx((parts[0] * old.sum() + parts[1] * (~old).sum()) / len(truth))


def test_a_mask_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="boolean mask"):
        split_cluster_accuracy([0, 1], [0, 1], [0, 1])
