"""Masks from maps, and Dice by hand and by another formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from spaceform.errors import InputError
from spaceform.metrics.segmentation import dice, weak_masks


def test_dice_by_hand():
    found = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 0]]], dtype=bool)
    truth = np.array([[[0, 1, 1, 0]], [[0, 0, 0, 0]]], dtype=bool)
    assert dice(found[:1], truth[:1]) == pytest.approx(0.5)
    assert dice(found, truth) == pytest.approx(0.75)  # two empty masks agree
    assert dice(found[:1], truth[1:]) == 0


@given(arrays(bool, (3, 4, 5)), arrays(bool, (3, 4, 5)))
@settings(deadline=None, max_examples=30)
def test_dice_is_the_f1_score_of_pixels(found, truth):
    expected = [f1_score(b.ravel(), a.ravel(), zero_division=1.0) for a, b in zip(found, truth, strict=True)]
    assert dice(found, truth) == pytest.approx(np.mean(expected))
    assert dice(found, truth) == pytest.approx(dice(truth, found))


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 17))
@settings(deadline=None, max_examples=40)
def test_maps_are_enlarged_as_torch_does(seed, side, size):
    maps = np.random.default_rng(seed).normal(size=(2, side, side + 1))
    tensor = torch.from_numpy(maps)[:, None]
    large = torch.nn.functional.interpolate(tensor, size=(size, size), mode="bilinear", align_corners=False)[
        :, 0
    ].numpy()
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    shares = (large - low) / np.maximum(high - low, 1e-300)
    sure = np.abs(shares - 0.4) > 1e-6
    flat = (high - low < 1e-9)[:, 0, 0]
    found = weak_masks(maps, size, threshold=0.4)
    np.testing.assert_array_equal(found[~flat][sure[~flat]], (shares >= 0.4)[~flat][sure[~flat]])
    assert not found[flat].any()


def test_a_map_of_one_value_says_nothing():
    assert not weak_masks(np.full((1, 3, 3), 0.7), 9).any()
    assert not weak_masks(np.zeros((1, 3, 3)), 9).any()


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda: dice(np.ones((1, 2, 2)), np.ones((1, 2, 2), dtype=bool)), "found"),
        (lambda: dice(np.ones((1, 2, 3), dtype=bool), np.ones((1, 2, 2), dtype=bool)), "found"),
        (lambda: weak_masks(np.ones((2, 2)), 4), "maps"),
        (lambda: weak_masks(np.full((1, 2, 2), np.nan), 4), "maps"),
        (lambda: weak_masks(np.ones((1, 2, 2)), 0), "size"),
        (lambda: weak_masks(np.ones((1, 2, 2)), 4, threshold=1.0), "threshold"),
    ],
)
def test_what_does_not_fit_is_refused(work, name):
    with pytest.raises(InputError, match=name):
        work()
