"""Views: a function of rows and seed, what the defaults change, and batches by step, of shuffles and of pairs."""

import numpy as np
import pytest
import torch

from spaceform.encoders.discovery.views import SLIGHT, RandomViews, TwoViewBatches, ViewBatches
from spaceform.errors import InputError

VECTORS = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32) * np.array([1, 10, 1, 1, 1], np.float32)
ROWS = np.arange(40)
PAIRS = np.arange(200, dtype=np.float32).reshape(100, 2)
CODES = np.where(np.arange(100) < 10, 3, -1).astype(np.int64)


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


def test_a_pair_depends_on_seed_and_step_alone():
    batches = TwoViewBatches(PAIRS, CODES, batch_size=16, seed=5)
    first, again = batches(3), TwoViewBatches(PAIRS, CODES, batch_size=16, seed=5)(3)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.labels, again.labels)
    assert batches.per_epoch == 7
    assert (batches(6).epoch, batches(7).epoch) == (0, 1)
    assert not torch.equal(batches(4).inputs, first.inputs)


def test_labelled_and_unlabelled_items_come_equally_often():
    batches = TwoViewBatches(PAIRS, CODES, batch_size=50, seed=0)
    share = np.mean([(batches(step).labels >= 0).float().mean().item() for step in range(40)])
    assert share == pytest.approx(0.5, abs=0.04)
    for codes in (np.full(100, -1), np.zeros(100, np.int64)):
        assert len(TwoViewBatches(PAIRS, codes, batch_size=8, seed=0)(0).labels) == 8


def test_views_of_vectors_are_noise_and_those_of_pictures_small_changes():
    pair = TwoViewBatches(PAIRS, CODES, batch_size=64, seed=0)(0).inputs
    gaps = (pair[:64] - pair[64:]).std(0)
    torch.testing.assert_close(gaps, torch.from_numpy(SLIGHT * 2**0.5 * PAIRS.std(0)), rtol=0.4, atol=0)
    pictures = np.zeros((6, 8, 8, 3), np.uint8)
    pictures[:, 2:6, 2:6] = 200
    seen = TwoViewBatches(pictures, CODES[:6], batch_size=4, seed=0)(0).inputs
    assert seen.shape == (8, 3, 8, 8)
    assert not torch.equal(seen[:4], seen[4:])


def test_views_from_outside_are_asked_for_by_row():
    asked = []

    def views(rows, generator):
        asked.append(rows)
        return PAIRS[rows] + generator.integers(1000, 2000)

    batch = TwoViewBatches(PAIRS, CODES, batch_size=4, seed=0, views=views)(0)
    assert len(asked) == 2
    np.testing.assert_array_equal(*asked)
    assert (batch.inputs[:4] != batch.inputs[4:]).all()


def test_pairs_refuse():
    with pytest.raises(InputError, match="at least 2"):
        TwoViewBatches(PAIRS[:1], CODES[:1], batch_size=4, seed=0)
    with pytest.raises(InputError, match="batch_size"):
        TwoViewBatches(PAIRS, CODES, batch_size=1, seed=0)
    with pytest.raises(InputError, match="views of shape"):
        TwoViewBatches(PAIRS, CODES, batch_size=4, seed=0, views=lambda rows, _: PAIRS[rows, :1])(0)
