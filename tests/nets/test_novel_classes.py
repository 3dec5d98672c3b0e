"""The network of discovery: what the logits are, unit vectors, and what is saved."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.novel_classes import MultiHeadProjector, NCDNet


def net(**options):
    return NCDNet(nn.Linear(4, 8), **({"width": 8, "n_known": 3, "n_novel": 2, "n_heads": 2} | options))


def rows(n=10):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0))


def test_logits_are_cosines_of_the_right_vectors():
    made = net().eval()
    logits, features = made(rows()), made.encode(rows())
    assert logits.shape == (2, 10, 5)
    known = nn.functional.normalize(features) @ nn.functional.normalize(made.known.vectors).T
    projected = made.projector(features)
    for head in range(2):
        torch.testing.assert_close(logits[head, :, :3], known)  # shared by the heads
        novel = nn.functional.normalize(projected[head]) @ nn.functional.normalize(made.novel[head].vectors).T
        torch.testing.assert_close(logits[head, :, 3:], novel)
    assert logits.abs().max() <= 1 + 1e-6


def test_projectors_see_vectors_as_long_as_they_are():
    made = net().eval()
    features = made.encode(rows())
    short, long = made.logits(features), made.logits(5 * features)
    torch.testing.assert_close(short[..., :3], long[..., :3])
    assert not torch.allclose(short[..., 3:], long[..., 3:])


def test_vectors_have_unit_length_after_a_step_and_normalization():
    made = net()
    optimizer = torch.optim.SGD(made.parameters(), lr=1.0)
    made(rows()).square().sum().backward()
    optimizer.step()
    lengths = torch.cat([head.vectors.norm(dim=1) for head in (made.known, *made.novel)])
    assert (lengths - 1).abs().max() > 1e-3
    made.normalize_()
    lengths = torch.cat([head.vectors.norm(dim=1) for head in (made.known, *made.novel)])
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_the_state_carries_the_best_head_and_the_number_of_novel_classes():
    made = net(n_novel=6).eval()
    made.best_head.fill_(1)
    other = net(n_novel=2)
    other.load_state_dict(made.state_dict())
    assert other.n_novel == 6
    assert int(other.best_head) == 1
    torch.testing.assert_close(other.eval()(rows()), made(rows()))


def test_novel_heads_may_be_drawn_anew():
    made = net()
    known = made.known.vectors.clone()
    made.draw_novel(5, seed=1)
    assert (made.n_known, made.n_novel) == (3, 5)
    torch.testing.assert_close(made.known.vectors, known)
    assert not torch.allclose(made.novel[0].vectors, made.novel[1].vectors)


def test_the_projector_normalizes_before_the_relu():
    kinds = [type(layer).__name__ for layer in MultiHeadProjector(width=4, n_heads=1).heads[0]]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert MultiHeadProjector(width=4, n_heads=3)(rows()).shape == (3, 10, 256)


@pytest.mark.parametrize("name", ["n_known", "n_novel", "n_heads", "width"])
def test_bad_sizes_are_refused(name):
    with pytest.raises(InputError, match=name):
        net(**{name: 0})


def test_zero_and_missing_vectors_are_refused():
    made = net()
    with pytest.raises(InputError, match="zero vector"):
        made.logits(torch.zeros(3, 8))
    with pytest.raises(InputError, match="NaN"):
        made.logits(torch.full((3, 8), torch.nan))
