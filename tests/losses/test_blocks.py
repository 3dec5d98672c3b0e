import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.losses.fused.blocks import (
    FEWEST_ROWS,
    LARGEST,
    MOST_ROWS,
    attach,
    attached_zero,
    before_norm,
    blocks,
    in_order,
    row_slices,
)
from spaceform.losses.fused.measures import measure
from spaceform.ops.triplets import label_order

CPU = torch.device("cpu")


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    others=st.none() | st.lists(st.integers(-1, 4), min_size=1, max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_windows_hold_the_positives_and_splitting_hides_the_rest(labels, others):
    labels = torch.tensor(labels)
    rows = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0))
    reference, names = None, labels
    if others is not None:
        names = torch.tensor(others)
        reference = torch.randn(len(names), 2, generator=torch.Generator().manual_seed(1))
    batch = label_order(rows, labels, reference=reference, reference_labels=None if others is None else names)
    row_labels, column_labels = labels[batch.row_order], names[batch.column_order]
    whole = batch.rows @ batch.columns.T
    same = row_labels[:, None] == column_labels[None]
    for block in blocks(batch, measure("dot", batch.rows, batch.columns, wants=(False, False))):
        part = same[block.rows]
        positive = part & ~torch.eye(len(labels), dtype=torch.bool) if others is None else part
        for i in range(len(part)):
            marked = block.positives(torch.ones(1, block.window.shape[1]).expand_as(block.window).clone(), 0.0)
            listed = block.window[i][marked[i] > 0].tolist()
            assert sorted(listed) == positive[i].nonzero().flatten().tolist()
        assert torch.equal(block.n_positives[:, 0], positive.sum(1).float())
        assert torch.equal(block.n_negatives[:, 0], (~part).sum(1).float())
        near, far = block.split()
        assert torch.equal(far, whole[block.rows].masked_fill(part, -torch.inf))
        assert torch.equal(near, whole[block.rows].gather(1, block.window))
        far.zero_()
        block.add_positive(torch.ones_like(near))
        assert torch.equal(far, positive.float())


@pytest.mark.parametrize("columns", [1, 100, 1024, 4096, 16384, 10**6, 10**9])
def test_blocks_are_small_but_not_too_flat(columns):
    slices = list(row_slices(1000, columns, CPU))
    assert [s.start for s in slices[1:]] == [s.stop for s in slices[:-1]]
    assert (slices[0].start, slices[-1].stop) == (0, 1000)
    height = slices[0].stop
    assert 1 <= height <= MOST_ROWS
    assert height * columns <= LARGEST or height == 1
    assert height >= FEWEST_ROWS or FEWEST_ROWS * columns > LARGEST


def test_gradients_return_to_the_order_they_came_in():
    order = torch.tensor([2, 0, 1])
    assert in_order(torch.tensor([[1.0], [2.0], [3.0]]), order, 10.0).flatten().tolist() == [20, 30, 10]
    assert in_order(None, order, 1.0) is None


def test_the_way_back_through_the_norm_is_autograds():
    raw = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    gradient = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = raw / raw.norm(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad(unit, raw, gradient)
    torch.testing.assert_close(before_norm(gradient.clone(), unit.detach(), raw.detach()), expected)
    assert before_norm(None, unit, raw) is None


def test_attached_gradients_are_scaled_by_what_comes_from_above():
    first, second = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    value = attach(torch.tensor(5.0), (first, torch.tensor([1.0, 2.0])), (second, None))
    (3 * value).backward()
    assert first.grad.tolist() == [3, 6]
    assert second.grad is None
    assert not attach(torch.tensor(5.0), (second, None)).requires_grad


def test_there_is_no_second_derivative():
    rows = torch.ones(2, requires_grad=True)
    value = attach(torch.tensor(1.0), (rows, torch.ones(2)))
    (gradient,) = torch.autograd.grad(value, rows, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradient.sum().backward()


def test_zero_has_a_graph_to_all_that_was_given():
    rows, others = torch.ones(2, 2, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    attached_zero(torch.float32, rows, others, None).backward()
    assert rows.grad.abs().sum() == 0
    assert others.grad.abs().sum() == 0
