"""Two processes compute what one does."""

import pytest
import torch

from oracles.ranks import on_ranks
from oracles.shared_batch import everything, gradients
from oracles.shared_centres import centres
from spaceform.training.distributed import gather, gather_with_grad, world_size


def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path):
    expected = gradients()
    for rank in on_ranks(everything, tmp_path):
        for shares in ("even", "uneven"):
            for mining, (loss, gradient) in expected.items():
                assert rank[shares][mining][0] == pytest.approx(loss, rel=1e-5)
                torch.testing.assert_close(torch.tensor(rank[shares][mining][1]), torch.tensor(gradient))
        assert "on the ranks" in rank["refused"]
        assert rank["empty"] == [0, 1, 2]


def test_two_processes_hold_the_banks_prototypes_centres_and_shares_of_one(tmp_path):
    alone = centres()
    first, second = on_ranks(centres, tmp_path)
    assert first == second
    for name, value in alone.items():
        torch.testing.assert_close(torch.tensor(first[name]), torch.tensor(value), rtol=1e-5, atol=1e-6, msg=name)


def test_alone_rows_come_back_as_they_are():
    rows = torch.ones(3, 2, requires_grad=True)
    assert world_size() == 1
    assert gather_with_grad(rows) is rows
    assert gather(rows) is rows
