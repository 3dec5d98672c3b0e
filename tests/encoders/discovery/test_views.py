"""Views: a function of rows and seed, what the defaults change, and batches by step."""

import numpy as np
import pytest
import torch

from spaceform.encoders.discovery.views import RandomViews, ViewBatches
from spaceform.errors import InputError

VECTORS = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32) * np.array([1, 10, 1, 1, 1], np.float32)
ROWS = np.arange(40)


def test_views_of_vectors_blot_and_move_by_the_scale_of_each_feature():
    view = RandomViews(VECTORS)
    many = np.concatenate([view(ROWS, seed).numpy() for seed in range(200)])
    blotted = many == VECTORS.mean(0)
    assert blotted.mean() == pytest.approx(0.1, abs=0.01)
    moved = np.where(blotted, 0, many - np.tile(VECTORS, (200, 1)))
    np.testing.assert_allclose(moved.std(0) / 0.9**0.5, 0.2 * VECTORS.std(0), rtol=0.1)


def test_views_depend_on_rows_and_seed_alone():
    view = RandomViews(VECTORS)
    assert torch.equal(view(ROWS[:3], 1), view(ROWS[:3], 1))
    assert not torch.equal(view(ROWS[:3], 1), view(ROWS[:3], 2))


def test_views_of_pictures_keep_their_shape():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    made = RandomViews(pictures)(np.array([0, 2]), 3)
    assert made.shape == (2, 3, 12, 12)
    assert 0 <= made.min() <= made.max() <= 1


def test_a_view_of_another_shape_is_refused():
    with pytest.raises(InputError, match="view_fn"):
        RandomViews(VECTORS, lambda rows, generator: VECTORS[rows, :3])(ROWS, 0)
    own = RandomViews(VECTORS, lambda rows, generator: -VECTORS[rows])
    np.testing.assert_array_equal(own(ROWS[2:4], 0), -VECTORS[2:4])


def test_batches_are_whole_and_by_step():
    view = RandomViews(VECTORS, lambda rows, generator: VECTORS[rows])
    batches = ViewBatches(view, ROWS[10:], ROWS[10:] % 3, batch_size=12, seed=0)
    assert batches.per_epoch == 2
    drawn = np.concatenate([batches(step)[0][0].numpy() for step in (0, 1)])
    assert len(np.unique(drawn[:, 0])) == 24
    views, codes = batches(5)
    place = [int(np.flatnonzero((row == VECTORS).all(1))[0]) for row in views[1].numpy()]
    np.testing.assert_array_equal(codes, np.array(place) % 3)
