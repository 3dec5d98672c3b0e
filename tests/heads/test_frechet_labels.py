"""Scores and decisions that can be trained through: values, both gradients, and learning with them."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.geometry import MatrixMetric, TreeMetric
from spaceform.heads.frechet_labels import LokiLogits, LokiSTE
from spaceform.ops.frechet import label_means
from spaceform.ops.simplex import project_simplex

PATH = TreeMetric([-1, 0, 1, 2])


def test_logits_are_minus_the_variances():
    P = torch.tensor([[0.6, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(
        LokiLogits(PATH, [0, 3], temperature=2.0)(P), -torch.tensor([[3.6, 2.2, 2.8, 5.4]], dtype=torch.float64) / 2
    )
    P.requires_grad_()
    assert torch.autograd.gradcheck(LokiLogits(PATH, [0, 3]), (P,))


def test_decisions_are_the_frechet_means():
    rng = np.random.default_rng(0)
    tree = TreeMetric([-1] + [int(rng.integers(0, i)) for i in range(1, 25)])
    observed, P = rng.permutation(25)[:5], rng.dirichlet(np.ones(5), size=40)
    hard = LokiSTE(tree, observed, smoothing=0.0)(torch.from_numpy(P))
    np.testing.assert_array_equal(hard.argmax(1).numpy(), label_means(P, tree, observed)[0])
    assert ((hard == 0) | (hard == 1)).all()
    assert LokiSTE(PATH, [3, 0], smoothing=0.0)(torch.tensor([[0.5, 0.5]])).tolist() == [[0, 1, 0, 0]]  # ties


def test_smoothing_keeps_the_logarithm_finite():
    row = LokiSTE(PATH, [0, 3], smoothing=0.1)(torch.tensor([[0.6, 0.4]]))
    torch.testing.assert_close(row, torch.tensor([[0.025, 0.925, 0.025, 0.025]]))


@pytest.mark.parametrize("backward", ["identity", "polytope"])
def test_gradients_follow_their_rule(backward):
    P = torch.tensor([[0.6, 0.4]], dtype=torch.float64, requires_grad=True)
    layer = LokiSTE(PATH, [0, 3], backward=backward, step=0.5, smoothing=0.0)
    g = torch.tensor([[1.0, 2.0, -3.0, 0.5]], dtype=torch.float64)
    (gradient,) = torch.autograd.grad((layer(P) * g).sum(), P)
    hard = torch.tensor([[0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    at_scores = g if backward == "identity" else hard - project_simplex(hard - 0.5 * g)
    torch.testing.assert_close(gradient, at_scores @ -layer.sq_dist.double().T)


@pytest.mark.parametrize("backward", ["identity", "polytope"])
def test_a_model_learns_through_the_decision(backward):
    # rows of four kinds, two observed classes: kinds 1 and 2 lie between them and have no class of their own
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(0, 4, 400))
    X = y[:, None].double() / 3 + 0.05 * torch.from_numpy(rng.normal(size=(400, 1)))
    model = torch.nn.Linear(1, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.3], [-0.3]]))
        model.bias.zero_()
    layer = LokiSTE(PATH, [0, 3], backward=backward, step=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def accuracy():
        return float((layer(model(X).softmax(1)).argmax(1) == y).double().mean())

    before = accuracy()
    for _ in range(80):
        loss = torch.nn.functional.nll_loss(layer(model(X).softmax(1)).log(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert before < 0.5
    assert accuracy() > 0.8


def test_the_table_is_saved_with_the_module():
    layer = LokiLogits(PATH, [0, 3])
    assert layer.state_dict()["sq_dist"].tolist() == [[0, 1, 4, 9], [9, 4, 1, 0]]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="one column per observed label"):
        LokiLogits(PATH, [0, 3])(torch.ones(2, 3))
    with pytest.raises(InputError, match="backward"):
        LokiSTE(PATH, [0, 3], backward="relax")
    with pytest.raises(InputError, match="temperature"):
        LokiLogits(PATH, [0, 3], temperature=0.0)
    with pytest.raises(InputError, match="more than once"):
        LokiLogits(MatrixMetric(1 - np.eye(3)), [0, 0])
