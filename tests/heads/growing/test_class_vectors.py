"""Vectors that grow: distances, frozen rows, and a state that remembers its size."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.heads.growing.class_vectors import ClassVectors


def grown(*counts, width=3):
    head, generator = ClassVectors(width=width), torch.Generator().manual_seed(0)
    for count in counts:
        head.grow(torch.randn(count, width, generator=generator))
    return head


def test_logits_equal_slow_loops():
    head, x = grown(2, 2), torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    for i, j in ((0, 0), (4, 3), (2, 1)):
        difference = x[i] - head.vectors[j]
        assert head.distances(x)[i, j].item() == pytest.approx(difference.square().sum().sqrt().item(), rel=1e-5)
        cosine = x[i] @ head.vectors[j] / (x[i].norm() * head.vectors[j].norm())
        assert head.cosine_logits(x)[i, j].item() == pytest.approx(cosine.item(), rel=1e-5)
    torch.testing.assert_close(head.distance_logits(x, temperature=0.5), -2 * head.distances(x))
    torch.testing.assert_close(head.linear_logits(x), x @ head.vectors.T)


def test_a_row_on_a_vector_and_a_row_of_zeros_have_finite_gradients():
    head = grown(3)
    x = torch.cat([head.vectors.detach()[:1], torch.zeros(1, 3)]).requires_grad_()
    (head.distance_logits(x).sum() + head.cosine_logits(x).sum()).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(head.vectors.grad).all()


def test_frozen_vectors_are_bitwise_unchanged_by_sgd():
    head = grown(2, 2)
    head.freeze(2)
    before = head.vectors.detach().clone()
    head.distance_logits(torch.ones(4, 3)).square().sum().backward()
    torch.optim.SGD([head.vectors], lr=5.0).step()
    assert torch.equal(head.vectors[:2], before[:2])
    assert not torch.equal(head.vectors[2:], before[2:])


def test_the_state_remembers_how_far_it_had_grown():
    head, other = grown(2, 3), ClassVectors(width=3)
    head.freeze(2)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.vectors, head.vectors)
    assert int(other.frozen) == 2


def test_what_is_refused():
    head = grown(2)
    for work in (lambda: head.grow(torch.ones(1, 4)), lambda: head.distances(torch.ones(3))):
        with pytest.raises(InputError, match="shape"):
            work()
    with pytest.raises(InputError, match="temperature"):
        head.distance_logits(torch.ones(1, 3), temperature=0)
    with pytest.raises(InputError, match="first"):
        head.freeze(3)
