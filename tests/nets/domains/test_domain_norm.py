import copy

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.domains.domain_norm import (
    DomainNet,
    DomainSpecificBatchNorm1d,
    DomainSpecificBatchNorm2d,
    convert_to_dsbn,
)

KINDS = [(DomainSpecificBatchNorm1d, nn.BatchNorm1d, (8, 3)), (DomainSpecificBatchNorm2d, nn.BatchNorm2d, (8, 3, 2, 2))]


@pytest.mark.parametrize(("kind", "plain", "shape"), KINDS)
def test_training_on_one_domain_leaves_the_other_untouched(kind, plain, shape):
    torch.manual_seed(0)
    norm, x = kind(3), 5 + 2 * torch.randn(shape)
    before = copy.deepcopy(norm.norms[0].state_dict())
    norm(x, 1).square().sum().backward()
    for name, value in norm.norms[0].state_dict().items():
        assert torch.equal(value, before[name]), name
    assert norm.norms[0].weight.grad is None
    assert norm.norms[1].weight.grad is not None
    assert not torch.equal(norm.norms[0].running_mean, norm.norms[1].running_mean)


@pytest.mark.parametrize(("kind", "plain", "shape"), KINDS)
def test_one_batch_in_each_domain_gives_each_its_own_statistics_and_equal_ones_agree(kind, plain, shape):
    torch.manual_seed(0)
    norm, x = kind(3), torch.randn(shape)
    assert torch.equal(norm.eval()(x, 0), norm(x, 1))
    norm.train()
    norm(x, 0)
    norm(3 * x + 1, 1)
    assert not torch.allclose(norm.norms[0].running_var, norm.norms[1].running_var)
    assert not torch.allclose(norm.eval()(x, 0), norm(x, 1))
    reference = plain(3)
    reference.load_state_dict(norm.norms[1].state_dict())
    assert torch.equal(reference.eval()(x), norm(x, 1))


def test_conversion_keeps_what_stood_there():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))
    net(torch.randn(16, 4))
    x = torch.randn(5, 4)
    expected = net.eval()(x)
    made = DomainNet(net)
    assert torch.equal(made(x, 0), expected)
    assert torch.equal(made(x, 1), expected)
    assert convert_to_dsbn(made) is made
    assert len([m for m in made.modules() if isinstance(m, DomainSpecificBatchNorm1d)]) == 2
    assert isinstance(convert_to_dsbn(nn.BatchNorm2d(2)), DomainSpecificBatchNorm2d)


def test_the_last_norm_of_a_width_is_found_and_learns():
    made = DomainNet(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)))
    scale, shift = made.last_affine(4)[1]
    assert scale is made.net[2].norms[1].weight
    assert shift is made.net[2].norms[1].bias
    assert made.last_affine(7) is None


def test_shared_norms_do_not_know_the_domain():
    torch.manual_seed(0)
    made = DomainNet(nn.Sequential(nn.BatchNorm1d(3)), shared=True).eval()
    x = torch.randn(4, 3)
    assert torch.equal(made(x, 0), made(x, 1))
    assert made.last_affine(3) is None


def test_what_does_not_fit_is_refused():
    norm = DomainSpecificBatchNorm2d(3)
    with pytest.raises(InputError, match="domain"):
        norm(torch.randn(2, 3, 2, 2), 2)
    with pytest.raises(InputError, match="domain"):
        DomainNet(nn.Linear(2, 2))(torch.randn(2, 2), -1)
    with pytest.raises(InputError, match="at least two"):
        norm(torch.randn(1, 3, 1, 1), 1)
    assert norm.eval()(torch.randn(1, 3, 1, 1), 1).shape == (1, 3, 1, 1)
    with pytest.raises(InputError, match="affine"):
        convert_to_dsbn(nn.BatchNorm1d(3, affine=False))
