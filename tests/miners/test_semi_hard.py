"""Semi-hard negatives lie beyond the positive and within the margin."""

import pytest
import torch

from oracles.triplets import distances
from spaceform.miners.semi_hard import semi_hard

X = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 6


@pytest.mark.parametrize("choice", ["random", "hardest"])
@pytest.mark.parametrize("rule", ["facenet", "vgg"])
def test_the_rule_holds_for_every_triplet(choice, rule):
    a, p, n = semi_hard(3 * X, Y, margin=0.3, rule=rule, choice=choice, generator=torch.Generator().manual_seed(0))
    D = distances(X, X)
    assert (D[a, n] < D[a, p] + 0.3 + 1e-6).all()
    beyond = D[a, n] > D[a, p] - 1e-6
    assert beyond.all() if rule == "facenet" else not beyond.all()


def test_the_peer_library_lists_the_same_negatives():
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.miners import TripletMarginMiner

    peer = TripletMarginMiner(margin=0.3, distance=LpDistance(power=2), type_of_triplets="semihard")(X, Y)
    theirs = set(zip(*(part.tolist() for part in peer), strict=True))
    found = semi_hard(X, Y, margin=0.3, generator=torch.Generator().manual_seed(0))
    ours = set(zip(*(part.tolist() for part in found), strict=True))
    assert ours <= theirs
    assert {(a, p) for a, p, _ in ours} == {(a, p) for a, p, _ in theirs}


def test_a_collapsed_space_gives_none():
    found = semi_hard(torch.ones(8, 4), torch.arange(8) // 2)
    assert [len(part) for part in found] == [0, 0, 0]


def test_a_margin_beyond_all_distances_keeps_every_pair_with_a_negative_behind_it():
    a, p, _ = semi_hard(X, Y, margin=3.99, choice="hardest")
    D = distances(X, X)
    expected = sum(
        bool((D[i, Y[i] != Y] > D[i, j]).any()) for i in range(60) for j in range(60) if i != j and Y[i] == Y[j]
    )
    assert len(a) == len(p) == expected
