"""Random triplets: every pair, any negative."""

import torch

from spaceform.miners.uniform import random_triplets

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 4


def test_every_pair_once_and_negatives_spread_over_all_other_rows():
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(40):
        a, p, n = random_triplets(X, Y, generator=generator)
        assert len(set(zip(a.tolist(), p.tolist(), strict=True))) == 20 * 4
        seen |= {(i, j) for i, j in zip(a.tolist(), n.tolist(), strict=True)}
    assert len(seen) == 20 * 15
