"""The number of classes: criteria agree on blobs, and are judged by classes whose number is known."""

import numpy as np
import pytest

from spaceform.clustering.n_clusters import ClusterSweep
from spaceform.types import no_progress
from spaceform.workflows.discovering import number
from spaceform.workflows.discovering.number import Trial


def blobs(classes, rows, *, spread=10.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) % classes
    return spread * rng.normal(size=(classes, 8))[truth] + rng.normal(size=(rows, 8)), truth


def test_criteria_agree_on_blobs():
    X, _ = blobs(5, 150)
    votes = number.opinions(X, k_max=9, seed=0, progress=no_progress)
    assert votes["silhouette"].best == votes["davies_bouldin"].best == 5
    for sweep in votes.values():
        curve = number.better_is_higher(sweep)
        assert min(curve) == 0
        assert max(curve) == 1
    assert number.better_is_higher(votes["davies_bouldin"])[3] == 1
    assert number.opinions(X[:3], k_max=9, seed=0, progress=no_progress) == {}


def test_criteria_are_judged_on_known_classes_alone():
    X, truth = blobs(12, 480)
    known = np.where(truth < 10, truth, -1)
    trials = number.try_criteria(X, known, k_max=12, seed=0, progress=no_progress)
    assert [trial.classes for trial in trials] == [2, 2, 4, 4, 5, 5]  # at most half of the ten
    off = number.factors_off(trials)
    assert off["silhouette"] < 1.1
    assert number.most_right(off) in {"silhouette", "davies_bouldin"}
    other = X.copy()
    other[known == -1] = 0  # rows without a label are not looked at
    assert number.try_criteria(other, known, k_max=12, seed=0, progress=no_progress) == trials


def test_a_criterion_that_counts_parts_is_not_believed():
    # every class is four far-off parts: the silhouette counts parts, and known classes show that it does
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(16), 40)
    part = 4 * truth + np.tile(np.arange(4), 160)
    X = 12 * rng.normal(size=(64, 16))[part] + rng.normal(size=(640, 16))
    off = number.factors_off(number.try_criteria(X, truth, k_max=30, seed=0, progress=no_progress))
    assert off["silhouette"] > 3
    assert number.most_right(off) != "silhouette"


def test_few_known_classes_judge_nobody():
    X, truth = blobs(7, 140)
    assert number.try_criteria(X, truth, k_max=9, seed=0, progress=no_progress) == []
    assert number.factors_off([]) == {}
    assert number.most_right({}) is None


def test_factors_by_hand():
    trials = [Trial(classes=4, said={"a": 8, "b": 4}), Trial(classes=6, said={"a": 3, "b": 6})]
    assert number.factors_off(trials) == pytest.approx({"a": 2.0, "b": 1.0})


def count(name, off, given):
    sweep = ClusterSweep(name, (2, 3), ((0.1,), (0.2,)), 3)
    return number.Count(votes={name: sweep}, off=off, given=given)


def test_words():
    one = count("silhouette", {"silhouette": 1.25}, None)
    assert one.number == 3
    said = list(number.conclude(one, chosen=3))
    assert said[0] == "3 classes; all criteria agree (silhouette 3)"
    assert "silhouette came nearest to their number, off by a factor of 1.2" in said[1]
    given = count("a", {}, 4)
    assert given.number == 4
    assert list(number.conclude(given, chosen=4)) == ["4 classes as asked for; all criteria say 3 (a 3)"]
    assert list(number.conclude(number.Count(votes={}, off={}, given=None), chosen=4)) == []


def test_a_given_number_is_not_tried():
    X, truth = blobs(12, 480)
    y = np.where(truth < 10, truth, -1)
    asked = {"k_max": 12, "seed": 0, "progress": no_progress}
    assert number.count(X, y, 5, tried=True, **asked).off == {}
    assert number.count(X, y, None, tried=False, **asked).number is None
    counted = number.count(X, y, None, tried=True, **asked)
    assert counted.number == 2
    assert counted.records()["silhouette"]["off"] == counted.off["silhouette"]
