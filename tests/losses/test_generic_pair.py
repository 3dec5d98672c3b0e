import math

import pytest
import torch

from oracles.batches import batch, pairs, unit
from spaceform.errors import InputError
from spaceform.losses.contrastive import contrastive
from spaceform.losses.generic_pair import (
    contrastive_form,
    lifted_form,
    multi_similarity_form,
    nca_form,
    proxy_anchor_form,
)
from spaceform.losses.lifted import generalized_lifted
from spaceform.losses.multi_similarity import multi_similarity
from spaceform.losses.proxies import ProxyAnchorLoss

FORMS = {
    "contrastive": contrastive_form(),
    "multi-similarity": multi_similarity_form(),
    "proxy-anchor": proxy_anchor_form(),
    "lifted": lifted_form(),
    "nca": nca_form(0.2),
}


def cosines(seed=0):
    data = batch(seed)
    rows = unit(data.embeddings)
    return rows @ rows.T, *pairs(data.labels)


def test_hand_value_of_a_fractional_label():
    closeness, targets, mask = torch.tensor([[0.7]]), torch.tensor([[0.25]]), torch.tensor([[True]])
    assert float(contrastive_form(0.5)(closeness, targets, mask)) == pytest.approx(-0.025)


def test_labels_of_zero_and_one_give_the_usual_losses():
    matrix, targets, mask = cosines()
    values = contrastive(matrix, targets, mask, near=9.0, far=0.5)
    plain = values.sum(1) - 9.0 * (targets & mask).sum(1)
    torch.testing.assert_close(contrastive_form(0.5)(matrix, targets, mask), plain)
    settings = {"alpha": 17.97, "beta": 75.66, "base": 0.77}
    expected = multi_similarity(matrix, targets, mask, **settings)
    torch.testing.assert_close(multi_similarity_form(**settings)(matrix, targets, mask), expected)
    lifted = generalized_lifted(matrix, targets, mask, near=0.0, far=0.5)
    torch.testing.assert_close(lifted_form(0.5)(matrix, targets, mask), lifted)


def test_proxy_anchor_is_the_loss_when_all_classes_have_rows():
    data = batch(1)
    labels = (data.labels - 1) // 3
    loss = ProxyAnchorLoss(n_classes=8, width=6)
    matrix = unit(loss.vectors.detach().double()) @ unit(data.embeddings).T
    targets, mask = pairs(torch.arange(8), labels)
    value = proxy_anchor_form()(matrix, targets, mask).mean()
    assert float(value) == pytest.approx(loss(data.embeddings, labels).item())


def test_nca_is_a_softmax_over_classes():
    matrix, targets, mask = cosines(2)
    both = (targets & mask).any(1)
    odds = (matrix / 0.2).exp()
    near, far = (odds * (targets & mask)).sum(1), (odds * ~targets).sum(1)
    expected = torch.where(both, -(near / far).log(), 0)
    torch.testing.assert_close(nca_form(0.2)(matrix, targets, mask), expected)


@pytest.mark.parametrize("name", FORMS)
def test_gradients_are_derivatives_and_finite(name):
    matrix, targets, mask = cosines(3)
    part = torch.rand(matrix.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.where(part < 0.3, part, targets.double())
    form = FORMS[name]
    few = (matrix[:3, :6].clone().requires_grad_(),)
    assert torch.autograd.gradcheck(lambda s: form(s, labels[:3, :6], mask[:3, :6]), few)
    for extreme in (-1.0, 0.0, 1.0):
        closeness = torch.full((3, 6), extreme, requires_grad=True)
        form(closeness, labels[:3, :6].float(), mask[:3, :6]).sum().backward()
        assert torch.isfinite(closeness.grad).all()


@pytest.mark.parametrize("name", FORMS)
def test_an_empty_side_is_a_number(name):
    closeness = torch.zeros(2, 2, requires_grad=True)
    mask = torch.tensor([[True, True], [False, False]])
    for label in (0.0, 1.0):
        value = FORMS[name](closeness, torch.full((2, 2), label), mask)
        (gradient,) = torch.autograd.grad(value.sum(), closeness)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()
        assert gradient[1].abs().sum() == 0


@pytest.mark.parametrize(("part", "level"), [(0.1, 0.7464), (0.5, 0.77), (0.9, 0.7936)])
def test_a_mixed_item_changes_from_positive_to_negative_where_the_paper_says(part, level):
    # log(y / (1 - y)) / (alpha + beta) + base, where both sums are equal if there is no other pair
    form = multi_similarity_form(18.0, 75.0, 0.77)
    threshold = math.log(part / (1 - part)) / (18 + 75) + 0.77
    assert threshold == pytest.approx(level, abs=5e-5)
    signs = []
    for closeness in (threshold - 0.02, threshold + 0.02):
        s = torch.tensor([[closeness]], dtype=torch.float64, requires_grad=True)
        form(s, torch.tensor([[part]], dtype=torch.float64), torch.tensor([[True]])).sum().backward()
        signs.append(float(s.grad.sign()))
    assert signs == [-1.0, 1.0]


def test_what_does_not_fit_is_refused():
    form, ones = contrastive_form(), torch.ones(2, 2)
    for targets in (2 * ones, -ones, torch.nan * ones, torch.ones(2, 3)):
        with pytest.raises(InputError, match="targets"):
            form(ones, targets, ones > 0)
    for build in (lambda: multi_similarity_form(0.0), lambda: nca_form(0.0), lambda: proxy_anchor_form(-1.0)):
        with pytest.raises(InputError):
            build()
