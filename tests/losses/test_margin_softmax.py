import math

import pytest
import torch

from oracles.batches import assert_same, batch, unit, value_and_gradients
from spaceform.errors import InputError
from spaceform.losses.margin_softmax import (
    ArcFaceLoss,
    CosFaceLoss,
    LinearSoftmaxLoss,
    NormalizedSoftmaxLoss,
    arcface,
    cosface,
    normalized_softmax,
    normalized_softmax_floor,
)
from spaceform.losses.proxies import ProxyNCALoss

SIZE = {"n_classes": 8, "width": 6}
KINDS = {
    "normalized": (NormalizedSoftmaxLoss(**SIZE), normalized_softmax),
    "cosface": (CosFaceLoss(**SIZE), cosface),
    "arcface": (ArcFaceLoss(**SIZE), arcface),
    "arcface-two-thirds-of-a-turn": (
        ArcFaceLoss(margin=2.1, scale=3.0, **SIZE),
        lambda c, y: arcface(c, y, margin=2.1, scale=3.0),
    ),
}


def labelled(seed=0):
    data = batch(seed)
    return data.embeddings, (data.labels - 1) // 3


@pytest.mark.parametrize("name", KINDS)
def test_value_and_gradient_are_those_of_the_definition(name):
    loss, define = KINDS[name]
    rows, labels = labelled()
    vectors = loss.vectors.detach().double()
    assert_same(
        value_and_gradients(lambda x, _: loss(x, labels), rows),
        value_and_gradients(lambda x, _: define(unit(x) @ unit(vectors).T, labels).mean(), rows),
    )


def test_hand_values():
    cosines, labels = torch.tensor([[0.8, 0.6]], dtype=torch.float64), torch.tensor([0])
    assert float(normalized_softmax(cosines, labels, temperature=0.1)) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(cosface(cosines, labels, margin=0.5, scale=10.0)) == pytest.approx(math.log(1 + math.exp(3)))
    turned = math.cos(math.acos(0.8) + 0.3)
    expected = math.log(1 + math.exp(10 * (0.6 - turned)))
    assert float(arcface(cosines, labels, margin=0.3, scale=10.0)) == pytest.approx(expected)


def test_past_half_a_turn_arcface_goes_on_falling_with_the_angle():
    angles = torch.linspace(0, math.pi, 200, dtype=torch.float64)
    cosines = torch.stack([angles.cos(), torch.zeros_like(angles)], 1)
    values = arcface(cosines, torch.zeros(200, dtype=torch.int64), margin=0.5, scale=4.0)
    assert (values.diff() > 0).all()


@pytest.mark.parametrize("kind", [CosFaceLoss, ArcFaceLoss])
def test_without_a_margin_it_is_the_normalized_softmax(kind):
    rows, labels = labelled(1)
    plain = NormalizedSoftmaxLoss(temperature=1 / 64, **SIZE)
    without = kind(margin=0.0, **SIZE)
    assert torch.equal(plain.vectors, without.vectors)
    assert without(rows, labels).item() == pytest.approx(plain(rows, labels).item(), rel=1e-9)


def test_proxy_nca_is_the_normalized_softmax_at_half_the_temperature():
    rows, labels = labelled(2)
    softmax = NormalizedSoftmaxLoss(temperature=1 / 6, **SIZE)(rows, labels)
    assert ProxyNCALoss(scale=3.0, **SIZE)(rows, labels).item() == pytest.approx(softmax.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("classes", "scale", "floor"),
    [(10, 1, 1.3769), (10, 5, 0.0342), (10, 10, 1.345e-4), (10, 20, 2.01e-9), (100, 5, 0.4912), (100, 10, 0.004055)],
)
def test_the_floor_is_reached_by_a_simplex(classes, scale, floor):
    assert normalized_softmax_floor(classes, temperature=1 / scale) == pytest.approx(floor, rel=2e-3)
    corners = unit(torch.eye(classes, dtype=torch.float64) - 1 / classes)
    loss = NormalizedSoftmaxLoss(n_classes=classes, width=classes, temperature=1 / scale).double()
    loss.vectors.data = corners.clone()
    reached = loss(corners, torch.arange(classes)).item()
    assert reached == pytest.approx(normalized_softmax_floor(classes, temperature=1 / scale), rel=1e-6, abs=1e-14)


def test_nothing_gets_below_the_floor():
    rows, labels = torch.randn(8, 7, generator=torch.Generator().manual_seed(0)).requires_grad_(), torch.arange(8)
    loss = NormalizedSoftmaxLoss(n_classes=8, width=7, temperature=0.5)
    optimizer = torch.optim.Adam([rows, loss.vectors], lr=0.1)
    values = []
    for _ in range(200):
        optimizer.zero_grad()
        value = loss(rows, labels)
        value.backward()
        optimizer.step()
        values.append(value.item())
    floor = normalized_softmax_floor(8, temperature=0.5)
    assert floor - 1e-6 <= min(values) <= floor + 1e-3


def test_the_floor_wants_classes_and_a_temperature():
    with pytest.raises(InputError, match="n_classes"):
        normalized_softmax_floor(1)
    with pytest.raises(InputError, match="temperature"):
        normalized_softmax_floor(10, temperature=0.0)


def test_rows_on_their_own_vector_give_finite_gradients():
    rows = torch.eye(3).requires_grad_()
    for kind in (NormalizedSoftmaxLoss, CosFaceLoss, ArcFaceLoss):
        loss = kind(n_classes=3, width=3)
        for sign in (1, -1):
            loss.vectors.data = sign * torch.eye(3)
            value = loss(rows, torch.arange(3))
            gradients = torch.autograd.grad(value, (rows, loss.vectors))
            assert torch.isfinite(value)
            assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (NormalizedSoftmaxLoss, {"temperature": 0.0}),
        (CosFaceLoss, {"margin": -0.1}),
        (CosFaceLoss, {"scale": 0.0}),
        (ArcFaceLoss, {"margin": 28.6}),
    ],
)
def test_wrong_settings_are_refused(kind, options):
    with pytest.raises(InputError, match=next(iter(options))):
        kind(**options, **SIZE)


def test_linear_softmax_is_a_linear_layer_under_cross_entropy():
    loss = LinearSoftmaxLoss(n_classes=3, width=4, seed=1)
    layer = torch.nn.Linear(4, 3)
    layer.weight.data, layer.bias.data = loss.vectors.data, torch.tensor([0.1, -0.2, 0.3])
    loss.bias.data = layer.bias.data
    generator = torch.Generator().manual_seed(0)
    rows, labels = 5 * torch.randn(6, 4, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = torch.nn.functional.cross_entropy(layer(rows), labels)
    torch.testing.assert_close(loss(rows, labels), expected)
    assert loss(2 * rows, labels).item() != pytest.approx(expected.item()), "lengths count"
