"""Two views of each item: balance, purity in the step, and views from outside."""

import numpy as np
import pytest
import torch

from spaceform.encoders.discovery.two_views import NOISE, TwoViewBatches
from spaceform.errors import InputError

X = np.arange(200, dtype=np.float32).reshape(100, 2)
CODES = np.where(np.arange(100) < 10, 3, -1).astype(np.int64)


def test_a_batch_depends_on_seed_and_step_alone():
    batches = TwoViewBatches(X, CODES, batch_size=16, seed=5)
    first, again = batches(3), TwoViewBatches(X, CODES, batch_size=16, seed=5)(3)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.labels, again.labels)
    assert batches.per_epoch == 7
    assert (batches(6).epoch, batches(7).epoch) == (0, 1)
    assert not torch.equal(batches(4).inputs, first.inputs)


def test_labelled_and_unlabelled_items_come_equally_often():
    batches = TwoViewBatches(X, CODES, batch_size=50, seed=0)
    share = np.mean([(batches(step).labels >= 0).float().mean().item() for step in range(40)])
    assert share == pytest.approx(0.5, abs=0.04)
    for codes in (np.full(100, -1), np.zeros(100, np.int64)):
        assert len(TwoViewBatches(X, codes, batch_size=8, seed=0)(0).labels) == 8


def test_views_of_vectors_are_noise_and_those_of_pictures_small_changes():
    pair = TwoViewBatches(X, CODES, batch_size=64, seed=0)(0).inputs
    gaps = (pair[:64] - pair[64:]).std(0)
    torch.testing.assert_close(gaps, torch.from_numpy(NOISE * 2**0.5 * X.std(0)), rtol=0.4, atol=0)
    pictures = np.zeros((6, 8, 8, 3), np.uint8)
    pictures[:, 2:6, 2:6] = 200
    seen = TwoViewBatches(pictures, CODES[:6], batch_size=4, seed=0)(0).inputs
    assert seen.shape == (8, 3, 8, 8)
    assert not torch.equal(seen[:4], seen[4:])


def test_views_from_outside_are_asked_for_by_row():
    asked = []

    def views(rows, generator):
        asked.append(rows)
        return X[rows] + generator.integers(1000, 2000)

    batch = TwoViewBatches(X, CODES, batch_size=4, seed=0, views=views)(0)
    assert len(asked) == 2
    np.testing.assert_array_equal(*asked)
    assert (batch.inputs[:4] != batch.inputs[4:]).all()


def test_refusals():
    with pytest.raises(InputError, match="at least 2"):
        TwoViewBatches(X[:1], CODES[:1], batch_size=4, seed=0)
    with pytest.raises(InputError, match="batch_size"):
        TwoViewBatches(X, CODES, batch_size=1, seed=0)
    with pytest.raises(InputError, match="views"):
        TwoViewBatches(X, CODES, batch_size=4, seed=0, views=lambda rows, _: X[rows, :1])(0)
