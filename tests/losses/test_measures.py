import pytest
import torch

from oracles.batches import closeness
from spaceform.errors import InputError
from spaceform.geometry import Euclidean, PoincareBall, Sphere
from spaceform.losses.fused.measures import check_closeness, check_margins, fused_kind, measure


class Bent:
    """A geometry without a closed form here."""

    def pairwise_closeness(self, A, B):
        return -((A[:, None] - B[None]) ** 4).sum(-1)

    def __str__(self):
        return "bent"


KINDS = ["dot", "distance", "squared", PoincareBall(), PoincareBall(0.1), Bent()]


def points(seed, count):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(count, 4, generator=generator, dtype=torch.float64)


def by_autograd(kind, rows, columns):
    return closeness(kind, rows, columns) if isinstance(kind, str) else kind.pairwise_closeness(rows, columns)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_blocks_and_gradients_are_those_of_autograd(kind):
    rows, columns = points(0, 7).requires_grad_(), points(1, 5).requires_grad_()
    weights = torch.randn(7, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = by_autograd(kind, rows, columns)
    expected = torch.autograd.grad(whole, (rows, columns), weights)
    compared = measure(kind, rows.detach(), columns.detach(), wants=(True, True))
    for part in (slice(0, 4), slice(4, 7)):
        torch.testing.assert_close(compared.block(part), whole[part].detach())
        compared.add_gradient(part, weights[part].clone())
    torch.testing.assert_close(compared.row_gradient, expected[0])
    torch.testing.assert_close(compared.column_gradient, expected[1])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_one_set_gathers_both_gradients_in_one(kind):
    rows = points(3, 6).requires_grad_()
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64).fill_diagonal_(0)
    (expected,) = torch.autograd.grad(by_autograd(kind, rows, rows), rows, weights)
    plain = rows.detach()
    compared = measure(kind, plain, plain, wants=(True, False))
    compared.block(slice(0, 6))
    compared.add_gradient(slice(0, 6), weights)
    assert compared.column_gradient is compared.row_gradient
    torch.testing.assert_close(compared.row_gradient, expected)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_wants_no_gradient_gets_none(kind):
    rows, columns = points(5, 3), points(6, 2)
    compared = measure(kind, rows, columns, wants=(False, True))
    block = compared.block(slice(0, 3))
    compared.add_gradient(slice(0, 3), torch.ones_like(block))
    assert compared.row_gradient is None
    assert compared.column_gradient.abs().sum() > 0


def test_rows_that_meet_have_no_slope_of_distance():
    rows = torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]])
    compared = measure("distance", rows, rows, wants=(True, True))
    block = compared.block(slice(0, 3))
    torch.testing.assert_close(block, -torch.tensor([[0.0, 0, 5], [0, 0, 5], [5, 5, 0]]))
    compared.add_gradient(slice(0, 3), torch.tensor([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert compared.row_gradient.abs().sum() == 0


def test_closed_forms_are_known_by_their_geometry():
    kinds = [fused_kind(kind) for kind in ("distance", Sphere(), Euclidean(), PoincareBall())]
    assert kinds == ["distance", "dot", "squared", None]


@pytest.mark.parametrize("wrong", ["cosine", "euclidean", 7, None])
def test_other_kinds_are_refused(wrong):
    with pytest.raises(InputError, match="closeness"):
        check_closeness(wrong)


def test_margins_are_distances_or_levels_of_the_dot_product():
    assert check_margins("distance", None, None) == (0.0, -1.0)
    assert check_margins(PoincareBall(), 0.5, 2.0) == (-0.5, -2.0)
    assert check_margins("dot", None, None) == (1.0, 0.5)
    assert check_margins(Sphere(), 0.7, 0.7) == (0.7, 0.7)
    for kind, margins in {"squared": (2.0, 1.0), "dot": (0.1, 0.2)}.items():
        with pytest.raises(InputError, match="negative_margin"):
            check_margins(kind, *margins)
