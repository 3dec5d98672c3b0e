"""Figures and gains of one space over another, against closed forms, and the sentence that says them."""

import numpy as np
import pytest

from spaceform.workflows.learning.comparison import BASELINE, Gain, gain, measure_vectors, sentence


def circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.fixture
def worlds():
    """Twenty classes of four rows: apart on a circle, and the same rows with half of the classes thrown about."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 4)
    good = circle(2 * np.pi * y / 20 + 0.01 * rng.normal(size=80))
    bad = np.where((y < 10)[:, None], good, rng.normal(size=(80, 2)) + 5)
    return good, bad, y


def test_figures_of_a_perfect_space_are_one(worlds):
    good, _, y = worlds
    assert measure_vectors(good, y, seed=0) == pytest.approx(
        {"recall@1": 1, "recall@8": 1, "MAP@R": 1, "NMI": 1}, abs=0.03
    )


def test_a_gain_is_the_difference_of_recalls_with_an_interval_around_it(worlds):
    good, bad, y = worlds
    found = gain(good, bad, y, by_class=True, seed=0)
    recalls = [measure_vectors(X, y, seed=0)["recall@1"] for X in (good, bad)]
    assert found.mean == pytest.approx(recalls[0] - recalls[1])
    assert found.low < found.mean < found.high
    assert found.sure
    back = gain(bad, good, y, by_class=True, seed=0)
    assert back.mean == -found.mean
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=0.03)
    # rows of a class rise and fall together, so classes tell less than rows would have it
    rows = gain(good, bad, y, by_class=False, seed=0)
    assert found.high - found.low > 1.3 * (rows.high - rows.low)


def test_no_difference_is_not_sure(worlds):
    good, _, y = worlds
    assert gain(good, good, y, by_class=True, seed=0) == Gain(0, 0, 0)
    assert not Gain(0, 0, 0).sure
    assert not Gain(0.02, -0.01, 0.05).sure


def test_rows_without_another_of_their_class_do_not_count():
    X, y = circle(np.array([0.0, 0.1, 3.0])), np.array([0, 0, 1])
    assert gain(X, X[[0, 2, 1]], y, by_class=False, seed=0).mean == 1.0


def test_the_sentence_says_how_much_and_whether_it_may_be_chance():
    figures = {name: {"recall@1": value} for name, value in (("untrained", 0.5), (BASELINE, 0.61), ("trained", 0.6))}
    gains = {"untrained": Gain(0.1, 0.05, 0.15), BASELINE: Gain(-0.012, -0.04, 0.02)}
    said = sentence(figures, gains, where="On 9 classes")
    assert said == (
        "On 9 classes, the nearest neighbour is of the right class 60% of the time: 10 points more than before "
        "training (50%; 95% interval +5 to +15) and 1.2 points less than with the linear softmax baseline (61%; 95% "
        "interval -4 to +2, so it may be chance)."
    )
