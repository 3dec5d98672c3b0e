"""The sliced embedding: what a split keeps, what it draws anew, and what the slices mean for neighbours."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from spaceform.errors import InputError
from spaceform.heads.subspaces import SubspaceEmbedding
from spaceform.losses.margin import MarginLoss
from spaceform.ops.neighbors import nearest_neighbors


def features(rows=7, width=5, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def raw(head, u):
    return u @ head.weight.T.detach() + head.bias.detach()


@st.composite
def splits(draw):
    """A head with some slices and neurons of the last one, often such that they overlap the places they move to."""
    dim = draw(st.integers(4, 20))
    head = SubspaceEmbedding(5, dim, n_slices=draw(st.integers(1, dim // 2)), seed=draw(st.integers(0, 99)))
    last = list(head.slices[-1])
    if len(last) < 2:
        head = SubspaceEmbedding(5, dim)
        last = list(range(dim))
    keep = draw(st.lists(st.sampled_from(last), min_size=1, max_size=len(last) - 1, unique=True))
    return head, keep


@given(splits())
@settings(deadline=None, max_examples=60)
def test_a_split_is_a_permutation_and_a_reset(case):
    head, keep = case
    u = features()
    before, old, last = raw(head, u), head.weight.detach().clone(), head.slices[-1]
    others = head.slices[:-1]
    order, fresh = head.split_last(torch.tensor(keep), torch.Generator().manual_seed(1))
    kept, new = head.slices[-2:]
    assert head.slices[:-2] == others
    assert (kept.start, kept.stop, new) == (last.start, last.start + len(keep), fresh)
    assert [neuron for part in head.slices for neuron in part] == list(range(head.dim))
    assert torch.equal(head.weight[: last.start], old[: last.start])
    assert torch.equal(head.weight[kept.start : kept.stop], old[sorted(keep)])
    torch.testing.assert_close(head(u)[:, kept.start : kept.stop], normalize(before[:, sorted(keep)], dim=1))
    assert sorted(order.tolist()) == list(range(head.dim))
    assert (head.weight[fresh.start :] != old[order[fresh.start :]]).all()


def test_neurons_that_overlap_their_new_places_are_read_before_they_are_written():
    head = SubspaceEmbedding(1, 6)
    with torch.no_grad():
        head.weight.copy_(torch.arange(6.0)[:, None])
    head.split_last(torch.tensor([1, 2, 4]), torch.Generator().manual_seed(0))
    assert head.weight[:3, 0].tolist() == [1, 2, 4]  # row by row in place, row 1 would be gone before row 0 is read


def test_rows_are_drawn_as_a_layer_of_their_own():
    head = SubspaceEmbedding(300, 600, n_slices=2)
    expected = (2 / (300 + 300)) ** 0.5
    assert head.weight.std().item() == pytest.approx(expected, rel=0.02)
    head.split_last(torch.arange(300, 500), torch.Generator().manual_seed(0))
    assert head.weight[500:].std().item() == pytest.approx((2 / (300 + 100)) ** 0.5, rel=0.02)
    assert head.bias.abs().max().item() <= 300**-0.5


def test_a_batch_of_one_slice_leaves_the_weights_of_others_without_gradient():
    head, trunk = SubspaceEmbedding(5, 12, n_slices=3), torch.nn.Linear(4, 5)
    labels = torch.arange(8) % 2
    for part in head.slices:
        head.zero_grad()
        trunk.zero_grad()
        MarginLoss()(head(trunk(features(8, 4)))[:, part.start : part.stop], labels).backward()
        outside = torch.ones(12, dtype=torch.bool)
        outside[part.start : part.stop] = False
        assert torch.equal(head.weight.grad[outside], torch.zeros(8, 5))
        assert torch.equal(head.bias.grad[outside], torch.zeros(8))
        assert head.weight.grad[~outside].abs().sum() > 0
        assert trunk.weight.grad.abs().sum() > 0


def test_neighbours_are_those_with_the_largest_sum_of_cosines():
    head, u = SubspaceEmbedding(5, 11, n_slices=3).double(), features(40).double()
    a = head(u).detach()
    sums = sum(a[:, p.start : p.stop] @ a[:, p.start : p.stop].T for p in head.slices)
    torch.testing.assert_close(a.square().sum(1), torch.full((40,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(torch.cdist(a, a).square(), 6 - 2 * sums, atol=1e-6, rtol=0)
    nearest = nearest_neighbors(a.numpy(), a.numpy(), k=40)[1]
    np.testing.assert_array_equal(nearest[:, 1:], (-sums).argsort(1).numpy()[:, 1:])


def test_the_slices_are_part_of_the_state():
    head = SubspaceEmbedding(5, 9)
    head.split_last(torch.tensor([8, 2]), torch.Generator().manual_seed(0))
    copy = SubspaceEmbedding(5, 9, seed=4)
    copy.load_state_dict(head.state_dict())
    assert copy.slices == head.slices == [range(2), range(2, 9)]
    torch.testing.assert_close(copy(features()), head(features()))


def test_a_zero_slice_stays_finite():
    head = SubspaceEmbedding(5, 6, n_slices=2)
    with torch.no_grad():
        head.weight[:3] = 0
        head.bias[:3] = 0
    u = features().requires_grad_()
    embedded = head(u)
    embedded.sum().backward()
    assert embedded[:, :3].abs().sum() == 0
    assert torch.isfinite(u.grad).all()


@pytest.mark.parametrize("keep", [[], [0], [3, 3], [9], [3, 4, 5]])
def test_neurons_that_can_not_be_kept(keep):
    head = SubspaceEmbedding(5, 6, n_slices=2)
    with pytest.raises(InputError, match="keep"):
        head.split_last(torch.tensor(keep, dtype=torch.int64), torch.Generator())
    assert head.slices == [range(3), range(3, 6)]


def test_other_widths_and_too_many_slices_are_refused():
    with pytest.raises(InputError, match="n_slices"):
        SubspaceEmbedding(5, 3, n_slices=4)
    with pytest.raises(InputError, match="features"):
        SubspaceEmbedding(5, 3)(features(width=4))
