"""Hardest triplets: the farthest positive, the nearest negative."""

import torch

from oracles.triplets import distances
from spaceform.miners.hard import batch_hard, hard_negative

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(30) % 5


def test_batch_hard_takes_one_triplet_per_anchor():
    a, p, n = batch_hard(X, Y)
    D = distances(X, X)
    same = Y[:, None] == Y[None]
    assert a.sort().values.tolist() == list(range(30))
    torch.testing.assert_close(D[a, p], D.masked_fill(~same, -1).max(1).values[a], atol=1e-6, rtol=0)
    torch.testing.assert_close(D[a, n], D.masked_fill(same, 9).min(1).values[a], atol=1e-6, rtol=0)


def test_hard_negative_takes_every_ordered_pair():
    a, p, n = hard_negative(X, Y)
    D = distances(X, X)
    same = Y[:, None] == Y[None]
    assert len(a) == 5 * 6 * 5
    assert (a != p).all()
    torch.testing.assert_close(D[a, n], D.masked_fill(same, 9).min(1).values[a], atol=1e-6, rtol=0)


def test_an_anchor_without_a_positive_gives_none():
    y = Y.clone()
    y[7] = 99
    assert 7 not in batch_hard(X, y)[0]
    assert 7 not in hard_negative(X, y)[0]
