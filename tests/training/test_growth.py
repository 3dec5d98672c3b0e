"""Plateaus and Taylor scores: by hand, in running sums, and where a score says nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.training.growth import NeuronStatistics, PlateauDetector, relative_scores, taylor_importance

A = torch.tensor([[1.0, 2.0], [3.0, -2.0]])


def statistics(*batches):
    found = NeuronStatistics(batches[0][0].shape[1])
    for activations, gradients in batches:
        found.add(activations, gradients)
    return found


def test_scores_by_hand_average_before_the_absolute_value():
    scores = taylor_importance(A, torch.ones(2, 2))
    assert scores.tolist() == [2, 0]  # the mean of absolute values would be 2 and 2
    torch.testing.assert_close(relative_scores(scores), torch.tensor([1.0, 0.0]))
    assert statistics((A, torch.ones(2, 2))).choose(range(2), threshold=0.5).tolist() == [0]


def test_equal_scores_choose_nothing():
    for equal in ([1.0, 1.0, 1.0], [0.0, 0.0], [0.1 + 0.2, 0.3]):
        assert relative_scores(torch.tensor(equal, dtype=torch.float64)) is None
    flat = statistics((torch.ones(4, 3), torch.ones(4, 3)))
    for by in ("taylor", "variance", "random"):
        assert len(flat.choose(range(3), threshold=0.5, by=by)) == 0
    assert len(NeuronStatistics(3).choose(range(3), threshold=0.5)) == 0  # no batch was seen


@given(st.integers(0, 1000), st.floats(0, 0.9))
@settings(deadline=None, max_examples=40)
def test_running_sums_are_those_of_all_rows_at_once(seed, threshold):
    rng = np.random.default_rng(seed)
    a, g = (torch.from_numpy(rng.normal(size=(30, 6))) for _ in range(2))
    found = statistics((a[:11], g[:11]), (a[11:12], g[11:12]), (a[12:], g[12:]))
    torch.testing.assert_close(found.signed().abs(), taylor_importance(a, g))
    torch.testing.assert_close(found.variance(), a.var(0, correction=0))
    part = range(2, 6)
    scores = taylor_importance(a, g)[2:]
    scores = (scores - scores.min()) / (scores.max() - scores.min())
    chosen = found.choose(part, threshold=threshold)
    assert chosen.tolist() == [2 + j for j in range(4) if scores[j] > threshold]
    for by in ("variance", "random"):
        others = found.choose(part, threshold=threshold, by=by, generator=torch.Generator().manual_seed(seed))
        assert len(others) == len(chosen)
        assert set(others.tolist()) <= set(part)
        assert others.tolist() == sorted(others.tolist())
    largest = found.choose(part, threshold=threshold, by="variance")
    rest = sorted(set(part) - set(largest.tolist()))
    assert not rest or found.variance()[largest].min() >= found.variance()[rest].max()


def test_a_plateau_is_due_when_the_best_score_is_old():
    detector = PlateauDetector(3)
    due = [detector.update(epoch, score) for epoch, score in enumerate([0.2, 0.5, 0.5, 0.4, 0.3, 0.6])]
    assert due == [False, False, False, False, True, False]  # an equal score is no new best
    assert detector.best_epoch == 5


def test_after_growing_a_new_best_must_come_first():
    detector = PlateauDetector(1)
    assert [detector.update(epoch, 0.5) for epoch in range(2)] == [False, True]
    detector.grown()
    assert not any(detector.update(epoch, 0.4) for epoch in range(2, 9))
    assert not detector.update(9, 0.6)
    assert detector.update(10, 0.5)


def test_a_detector_goes_on_from_its_state():
    first, second = PlateauDetector(2), PlateauDetector(2)
    first.update(0, 0.9)
    first.grown()
    second.load_state_dict(first.state_dict())
    assert [second.update(epoch, 0.1) for epoch in range(1, 5)] == [first.update(epoch, 0.1) for epoch in range(1, 5)]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="patience"):
        PlateauDetector(0)
    with pytest.raises(InputError, match="score"):
        PlateauDetector(1).update(0, float("nan"))
    with pytest.raises(InputError, match="importance"):
        statistics((A, A)).choose(range(2), threshold=0.5, by="magic")
