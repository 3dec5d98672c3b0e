import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from spaceform.errors import InputError
from spaceform.metrics.open_set import auroc, fpr_at_tpr, open_set_scores, oscr, oscr_curve

SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_auroc_and_fpr_are_sklearns(known, unknown):
    truth, scores = [1] * len(known) + [0] * len(unknown), known + unknown
    assert auroc(known, unknown) == pytest.approx(roc_auc_score(truth, scores))
    assert auroc(unknown, known) == pytest.approx(1 - auroc(known, unknown))
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    for tpr in (0.5, 0.95, 1.0):
        assert fpr_at_tpr(known, unknown, tpr=tpr) == pytest.approx(false[true >= tpr - 1e-9][0])


@given(SCORES, SCORES, st.integers(0, 2**12 - 1))
def test_oscr_by_a_loop_over_thresholds(known, unknown, bits):
    correct = np.array([bool(bits >> i & 1) for i in range(len(known))])
    false, true = oscr_curve(known, correct, unknown)
    thresholds = sorted({*known, *unknown}, reverse=True)
    assert len(false) == len(thresholds) + 1
    for place, threshold in enumerate(thresholds, start=1):
        assert false[place] == pytest.approx(np.mean(np.array(unknown) >= threshold))
        assert true[place] == pytest.approx(np.mean((np.array(known) >= threshold) & correct))
    assert (false[0], true[0], false[-1]) == (0, 0, 1)
    assert 0 <= oscr(known, correct, unknown) <= correct.mean() + 1e-12


@given(SCORES, SCORES)
def test_oscr_of_a_faultless_classifier_is_the_auroc(known, unknown):
    assert oscr(known, np.ones(len(known), dtype=bool), unknown) == pytest.approx(auroc(known, unknown))


def test_hand_value():
    # thresholds 4, 3, 2, 1: false acceptance 0, .5, .5, 1 and correct 1/3, 1/3, 1/3, 2/3
    assert oscr([4, 2, 1], [True, False, True], [3, 1]) == pytest.approx(0.5 / 3 + 0.5 * 0.5)


def test_all_figures_together():
    scores = open_set_scores([0, 1, 1, -1, -1], [0, 1, 0, 0, 1], [0.9, 0.8, 0.3, 0.2, 0.4])
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.auroc == pytest.approx(5 / 6)
    assert scores.fpr95 == 0.5
    assert scores.oscr == pytest.approx(2 / 3)
    assert set(scores.to_dict()) == {"accuracy", "auroc", "fpr95", "oscr"}
    other = open_set_scores([0, 1, 1, 99, 99], [0, 1, 0, 0, 1], [0.9, 0.8, 0.3, 0.2, 0.4], unknown=99)
    assert other == scores


def test_what_does_not_fit_is_refused():
    for known, unknown in (([], [1]), ([1], []), ([np.nan], [1]), ([[1]], [1])):
        with pytest.raises(InputError):
            auroc(known, unknown)
    with pytest.raises(InputError, match="correct"):
        oscr([1, 2], [1, 0], [1])
    with pytest.raises(InputError, match="tpr"):
        fpr_at_tpr([1], [1], tpr=1.5)
    for truth in ([0, 1], [-1, -1]):
        with pytest.raises(InputError, match="y_true"):
            open_set_scores(truth, [0, 1], [1, 2])
