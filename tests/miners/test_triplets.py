"""The door of all miners: what comes in, what is refused, and that nothing carries a gradient."""

import pytest
import torch

from spaceform.errors import InputError, NoPairsError
from spaceform.miners.triplets import mine
from spaceform.ops.triplets import Mining

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 3


def test_triplets_are_rows_of_the_input_and_carry_no_gradient():
    found = mine(X.clone().requires_grad_(), Y, Mining(strategy="random"), generator=torch.Generator().manual_seed(0))
    assert all(part.dtype == torch.int64 and not part.requires_grad for part in found)
    assert torch.equal(Y[found.anchors], Y[found.positives])
    assert (Y[found.anchors] != Y[found.negatives]).all()
    assert (found.anchors != found.positives).all()


def test_a_reference_gives_positives_and_negatives():
    other, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 0, 1, 5, 5])
    found = mine(X, Y, Mining(strategy="hard_negative"), reference=other, reference_labels=labels)
    assert len(found.anchors) == 4 * 2 + 3 * 1
    assert torch.equal(Y[found.anchors], labels[found.positives])
    assert (Y[found.anchors] != labels[found.negatives]).all()


def test_refusals():
    with pytest.raises(InputError, match="margin"):
        mine(X, Y, Mining(), margin=4)
    with pytest.raises(InputError, match="embeddings"):
        mine(X * torch.nan, Y, Mining())
    with pytest.raises(InputError, match="zero vector"):
        mine(X * 0, Y, Mining())
    with pytest.raises(InputError, match="'all'"):
        mine(X, Y, Mining(strategy="all"))
    with pytest.raises(NoPairsError):
        mine(X, torch.arange(10), Mining())
