"""What holds for every loss with class vectors."""

import pytest
import torch

from oracles.batches import assert_same, batch, value_and_gradients
from spaceform.errors import InputError
from spaceform.losses.fused import blocks
from spaceform.losses.margin_softmax import ArcFaceLoss, CosFaceLoss, NormalizedSoftmaxLoss
from spaceform.losses.proxies import ProxyAnchorLoss, ProxyNCALoss, SoftTripleLoss

KINDS = [NormalizedSoftmaxLoss, CosFaceLoss, ArcFaceLoss, ProxyNCALoss, ProxyAnchorLoss, SoftTripleLoss]
SIZE = {"n_classes": 8, "width": 6}


def labelled(seed=0):
    data = batch(seed)
    return data.embeddings, (data.labels - 1) // 3


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_rows_and_vectors_are_derivatives(kind):
    rows, labels = labelled()
    loss = kind(**SIZE).double()

    few = labels[:6]
    assert torch.autograd.gradcheck(
        lambda x, vectors: torch.func.functional_call(loss, {"vectors": vectors}, (x, few)),
        (rows[:6].clone().requires_grad_(), loss.vectors),
    )


@pytest.mark.parametrize("height", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_height_of_blocks_does_not_matter(kind, height, monkeypatch):
    rows, labels = labelled(1)
    loss = kind(**SIZE)
    whole = value_and_gradients(lambda x, _: loss(x, labels), rows)
    vectors = loss.vectors.grad.clone()
    loss.zero_grad()
    monkeypatch.setattr(blocks, "MOST_ROWS", height)
    assert_same(value_and_gradients(lambda x, _: loss(x, labels), rows), whole)
    torch.testing.assert_close(loss.vectors.grad, vectors)


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_length_of_rows_do_not_matter(kind):
    rows, labels = labelled(2)
    loss = kind(**SIZE)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    moved = 5 * rows[order]
    assert loss(moved, labels[order]).item() == pytest.approx(loss(rows, labels).item(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_descent_separates_the_classes(kind):
    rows, labels = labelled(3)
    rows, loss = rows.float().requires_grad_(), kind(**SIZE)
    optimizer = torch.optim.Adam([rows, loss.vectors], lr=0.05)
    first = loss(rows, labels).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss(rows, labels).backward()
        optimizer.step()
    assert loss(rows, labels).item() < first
    closeness = loss.closeness(rows).detach().view(len(rows), -1, 8).amax(1)
    assert (closeness.argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_parameters_that_a_seed_repeats(kind):
    loss = kind(**SIZE)
    assert [name for name, _ in loss.named_parameters()] == ["vectors"]
    assert torch.equal(loss.vectors, kind(seed=0, **SIZE).vectors)
    assert not torch.equal(loss.vectors, kind(seed=1, **SIZE).vectors)
    torch.testing.assert_close(loss.vectors.norm(dim=1), torch.ones(len(loss.vectors)))
    copy = kind(seed=1, **SIZE)
    copy.load_state_dict(loss.state_dict())
    rows, labels = labelled(4)
    assert copy(rows, labels).item() == loss(rows, labels).item()
    assert "n_classes=8" in repr(loss)


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused_by_name(kind):
    rows, labels = labelled(5)
    loss = kind(**SIZE)
    hole = rows.clone()
    hole[0, 0] = torch.nan
    for argument, call in {
        "embeddings": lambda: loss(hole, labels),
        "labels": lambda: loss(rows, labels - 1),
        "reference": lambda: loss(rows, labels, reference=rows, reference_labels=labels),
    }.items():
        with pytest.raises(InputError, match=argument):
            call()
    for wrong in (rows[:, :5], rows[:0], 0 * rows):
        with pytest.raises(InputError, match="embeddings"):
            loss(wrong, labels[: len(wrong)])
    with pytest.raises(InputError, match="labels"):
        loss(rows, labels + 1)
    with pytest.raises(InputError, match="n_classes"):
        kind(n_classes=1, width=6)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_widened(kind):
    rows, labels = labelled(6)
    rows = rows.to(torch.bfloat16).requires_grad_()
    loss = kind(**SIZE)
    value = loss(rows, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert rows.grad.dtype == torch.bfloat16
    assert loss.vectors.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_rows_give_finite_numbers(kind):
    labels = torch.tensor([0, 1, 2, 3])
    for extreme in (torch.ones(4, 6), 1e-9 * torch.eye(4, 6), 1e9 * torch.eye(4, 6)):
        loss, rows = kind(**SIZE), extreme.requires_grad_()
        value = loss(rows, labels)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(rows.grad).all()
        assert torch.isfinite(loss.vectors.grad).all()
