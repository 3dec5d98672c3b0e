"""Classes drawn around the centre: the stated probabilities, and fewer labels reachable as they concentrate."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.geometry import MatrixMetric, TreeMetric
from spaceform.geometry.locus import locus
from spaceform.samplers.concentrated import class_probabilities, draw_classes

PATH = TreeMetric([-1, 0, 1, 2, 3])


@pytest.mark.parametrize("power", [1, 2])
def test_probabilities_fall_with_the_distance_from_the_centre(power):
    expected = np.exp(-0.7 * np.abs(np.arange(5.0) - 2) ** power)
    np.testing.assert_allclose(class_probabilities(PATH, theta=0.7, power=power), expected / expected.sum())
    np.testing.assert_allclose(class_probabilities(PATH, theta=0), 0.2)


def test_draws_follow_the_probabilities():
    rng = np.random.default_rng(0)
    counts = np.bincount([draw_classes(PATH, 1, theta=1.0, random_state=rng)[0] for _ in range(4000)], minlength=5)
    np.testing.assert_allclose(counts / 4000, class_probabilities(PATH, theta=1.0), atol=0.03)


def test_draws_are_distinct_sorted_candidates_and_repeat_with_the_seed():
    drawn = draw_classes(PATH, 3, theta=800.0, candidates=[4, 1, 0], random_state=1)
    assert drawn.tolist() == [0, 1, 4]
    assert draw_classes(PATH, 2, random_state=3).tolist() == draw_classes(PATH, 2, random_state=3).tolist()
    centre = draw_classes(MatrixMetric(PATH.distances(range(5))), 1, theta=800.0, random_state=0)
    assert centre.tolist() == [2]


def test_concentrated_classes_reach_less():
    rng = np.random.default_rng(0)
    tree = TreeMetric([-1] + [int(rng.integers(0, i)) for i in range(1, 100)])
    sizes = [
        np.mean([locus(tree, draw_classes(tree, 30, theta=theta, random_state=seed)).sum() for seed in range(10)])
        for theta in (0.0, 1.0, 4.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("options", [{"theta": -1.0}, {"power": 3}, {"candidates": [9]}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        draw_classes(PATH, 1, **options)
    with pytest.raises(InputError, match="count"):
        draw_classes(PATH, 6)
