"""Two processes give every loss the value and the gradient of one, and every memory the same rows."""

import pytest
import torch

from contracts import discovery
from oracles.ranks import on_ranks
from oracles.shared_losses import everything, losses
from spaceform.losses.combination import WeightedSum
from spaceform.losses.triplet import TripletLoss


def test_no_loss_is_left_out():
    given = [part for loss in losses().values() for part in (loss, *getattr(loss, "losses", ()))]
    kinds = {type(loss) for loss in given}
    assert set(discovery.losses()) - kinds == {TripletLoss}, "triplets stand in tests/training/test_distributed.py"
    assert WeightedSum in kinds


def test_two_processes_give_the_value_and_gradient_of_one(tmp_path):
    expected = everything()
    for rank in on_ranks(everything, tmp_path):
        assert rank.keys() == expected.keys()
        for name, (value, *gradients) in expected.items():
            assert rank[name][0] == pytest.approx(value, rel=1e-6), name
            for ours, theirs in zip(rank[name][1:], gradients, strict=True):
                torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-5, atol=1e-6)
