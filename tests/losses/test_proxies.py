import math

import pytest
import torch

from oracles.batches import assert_same, batch, pairs, unit, value_and_gradients
from spaceform.errors import InputError
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss
from spaceform.losses.multi_similarity import multi_similarity
from spaceform.losses.proxies import ProxyAnchorLoss, ProxyNCALoss, SoftTripleLoss, proxy_nca, soft_triple

SIZE = {"n_classes": 8, "width": 6}


def labelled(seed=0):
    data = batch(seed)
    return data.embeddings, (data.labels - 1) // 3


@pytest.mark.parametrize("own_in_sum", [True, False])
def test_proxy_nca_is_its_definition(own_in_sum):
    rows, labels = labelled()
    loss = ProxyNCALoss(scale=2.0, own_in_sum=own_in_sum, **SIZE)
    vectors = unit(loss.vectors.detach().double())

    def defined(x, _):
        return proxy_nca(unit(x) @ vectors.T, labels, scale=2.0, own_in_sum=own_in_sum).mean()

    assert_same(value_and_gradients(lambda x, _: loss(x, labels), rows), value_and_gradients(defined, rows))


def test_proxy_nca_by_squared_distances():
    rows, labels = labelled(1)
    loss = ProxyNCALoss(own_in_sum=False, **SIZE)
    squares = torch.cdist(unit(rows), unit(loss.vectors.detach().double())) ** 2
    terms = []
    for i, label in enumerate(labels.tolist()):
        others = sum(math.exp(-squares[i, c]) for c in range(8) if c != label)
        terms.append(-math.log(math.exp(-squares[i, label]) / others))
    assert loss(rows, labels).item() == pytest.approx(sum(terms) / len(terms))


def test_proxy_anchor_by_loops_with_a_class_that_has_no_rows():
    rows, labels = labelled(2)
    loss = ProxyAnchorLoss(n_classes=9, width=6)
    cosines = unit(loss.vectors.detach().double()) @ unit(rows).T
    pull, push, present = 0.0, 0.0, set(labels.tolist())
    for c in range(9):
        near = [math.exp(-32 * (cosines[c, i] - 0.1)) for i in range(len(rows)) if labels[i] == c]
        far = [math.exp(32 * (cosines[c, i] + 0.1)) for i in range(len(rows)) if labels[i] != c]
        pull += math.log(1 + sum(near)) / len(present)
        push += math.log(1 + sum(far)) / 9
    assert loss(rows, labels).item() == pytest.approx(pull + push)


def test_proxy_anchor_is_multi_similarity_with_proxies_as_anchors():
    rows, labels = labelled(3)
    loss = ProxyAnchorLoss(margin=0.0, alpha=5.0, **SIZE)
    cosines = unit(loss.vectors.detach().double()) @ unit(rows).T
    targets, mask = pairs(torch.arange(8), labels)
    same = 5.0 * multi_similarity(cosines, targets, mask, alpha=5.0, beta=5.0, base=0.0).mean()
    assert loss(rows, labels).item() == pytest.approx(float(same))


def test_proxy_anchor_takes_a_batch_of_one_class():
    value = ProxyAnchorLoss(**SIZE)(torch.eye(3, 6), torch.tensor([2, 2, 2]))
    assert torch.isfinite(value)


def test_soft_triple_is_its_definition():
    rows, labels = labelled(4)
    loss = SoftTripleLoss(centers=3, gamma=0.2, margin=0.3, merge=0.0, **SIZE)
    vectors = unit(loss.vectors.detach().double())

    def defined(x, _):
        cosines = (unit(x) @ vectors.T).view(len(x), 3, 8)
        return soft_triple(cosines, labels, gamma=0.2, margin=0.3).mean()

    assert_same(value_and_gradients(lambda x, _: loss(x, labels), rows), value_and_gradients(defined, rows))


def test_soft_triple_with_one_center_is_the_normalized_softmax():
    rows, labels = labelled(5)
    one = SoftTripleLoss(centers=1, margin=0.0, scale=10.0, **SIZE)
    plain = NormalizedSoftmaxLoss(temperature=0.1, **SIZE)
    assert one(rows, labels).item() == pytest.approx(plain(rows, labels).item())


def test_soft_triple_pulls_superfluous_centers_together():
    loss = SoftTripleLoss(n_classes=2, width=3, centers=4, merge=1.0)
    apart = loss.spread().item()
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(50):
        optimizer.zero_grad()
        loss.spread().backward()
        optimizer.step()
    assert loss.spread().item() < apart / 2
    assert torch.isfinite(loss.vectors).all()


def test_spread_is_half_the_mean_distance_of_centers():
    loss = SoftTripleLoss(n_classes=2, width=2, centers=2).double()
    loss.vectors.data = torch.tensor([[1.0, 0], [1, 0], [0, 1], [-1, 0]], dtype=torch.float64)
    assert loss.spread().item() == pytest.approx((2**0.5 + 2) / 2 / 2)


def test_centers_that_meet_have_a_finite_gradient():
    loss = SoftTripleLoss(n_classes=2, width=2, centers=2)
    loss.vectors.data = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    loss.spread().backward()
    assert torch.isfinite(loss.vectors.grad).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ProxyNCALoss, {"scale": 0.0}),
        (ProxyAnchorLoss, {"alpha": 0.0}),
        (ProxyAnchorLoss, {"margin": -1.0}),
        (SoftTripleLoss, {"gamma": 0.0}),
        (SoftTripleLoss, {"merge": -1.0}),
    ],
)
def test_wrong_settings_are_refused(kind, options):
    with pytest.raises(InputError, match=next(iter(options))):
        kind(**options, **SIZE)
