"""The iteration for means: it stays differentiable, and its weights are checked."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.geometry import PoincareBall
from spaceform.geometry.barycentre import normalized_weights, weighted_average


def test_weights_are_scaled_to_one():
    assert normalized_weights(np.zeros((2, 3)), np.array([1.0, 3.0])).tolist() == [[0.25], [0.75]]
    assert normalized_weights(torch.zeros(4, 3), None).flatten().tolist() == [0.25] * 4


def test_negative_weights_are_refused():
    with pytest.raises(InputError, match="weights"):
        weighted_average(np.zeros((2, 3)), np.array([1.0, -1.0]))


def test_means_are_differentiable():
    points = torch.tensor([[0.1, 0.2], [0.3, -0.1], [-0.2, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(PoincareBall().mean, points, atol=1e-5)
