"""Domain-specific batch norm: shared weights, but statistics, scale and shift for each domain by itself."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class AbstractDomainBatchNorm(nn.Module):
    """A batch norm for each of ``n_domains``; ``forward(x, domain)`` uses that of ``domain`` and touches no other."""

    def __init__(self, norms: list[Norm]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norms)
        self.num_features = norms[0].num_features
        self.domain = 0

    def forward(self, x: torch.Tensor, domain: int | None = None) -> torch.Tensor:
        """Return ``x`` normalised as of ``domain`` (None: the one that :class:`DomainNet` has set).

        Raises ``InputError`` for a domain out of range, and while training for a batch with one value per channel,
        which has no variance.
        """
        index = self.domain if domain is None else check_integer(domain, "domain", low=0, high=len(self.norms) - 1)
        norm = cast("Norm", self.norms[index])
        if norm.training and x.numel() == x.shape[1]:
            raise InputError(
                "x", got="one value per channel", expected="at least two in training", remedy="use larger batches"
            )
        normed: torch.Tensor = norm(x)
        return normed

    def affine(self, domain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift ``(num_features,)`` of a domain, the parameters themselves."""
        norm = cast("Norm", self.norms[check_integer(domain, "domain", low=0, high=len(self.norms) - 1)])
        return norm.weight, norm.bias


class DomainSpecificBatchNorm1d(AbstractDomainBatchNorm):
    """Batch norm of ``(B, num_features)`` with ``n_domains`` sets of statistics, scale and shift.

    >>> norm = DomainSpecificBatchNorm1d(3, n_domains=2)
    >>> norm(torch.randn(8, 3), 1).shape, bool((norm.norms[0].running_mean == 0).all())
    (torch.Size([8, 3]), True)
    """

    def __init__(self, num_features: int, *, n_domains: int = 2) -> None:
        check_integer(n_domains, "n_domains", low=1)
        super().__init__([nn.BatchNorm1d(num_features) for _ in range(n_domains)])


class DomainSpecificBatchNorm2d(AbstractDomainBatchNorm):
    """Batch norm of ``(B, num_features, h, w)`` with ``n_domains`` sets of statistics, scale and shift."""

    def __init__(self, num_features: int, *, n_domains: int = 2) -> None:
        check_integer(n_domains, "n_domains", low=1)
        super().__init__([nn.BatchNorm2d(num_features) for _ in range(n_domains)])


def convert_to_dsbn(module: nn.Module, n_domains: int = 2) -> nn.Module:
    """Replace every batch norm inside ``module`` in place by one for each domain, and return the module.

    Each starts with the statistics, scale and shift that stood there. A bare batch norm is returned replaced. Batch
    norms without scale and shift are refused: domains could not differ in them. O(parameters).
    """
    check_integer(n_domains, "n_domains", low=1)
    if isinstance(module, AbstractDomainBatchNorm):
        return module
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        if not module.affine:
            raise InputError("module", got="a batch norm without scale and shift", expected="affine=True")
        kind = DomainSpecificBatchNorm1d if isinstance(module, nn.BatchNorm1d) else DomainSpecificBatchNorm2d
        made = kind(module.num_features, n_domains=n_domains)
        made.norms = nn.ModuleList(copy.deepcopy(module) for _ in range(n_domains))
        return made.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, convert_to_dsbn(child, n_domains))
    return module


class DomainNet(nn.Module):
    """A network whose batch norms are kept apart by domain: ``forward(x, domain)``; all other weights are shared.

    Parameters: ``net`` maps inputs to features ``(B, d)`` and is converted in place; ``n_domains``; with ``shared``
    nothing is converted, and the domain changes nothing (the ablation). Raises ``InputError`` for other domains.
    """

    def __init__(self, net: nn.Module, *, n_domains: int = 2, shared: bool = False) -> None:
        super().__init__()
        self.n_domains = check_integer(n_domains, "n_domains", low=1)
        self.net = net if shared else convert_to_dsbn(net, n_domains)

    def forward(self, x: torch.Tensor, domain: int) -> torch.Tensor:
        """Return features ``(B, d)`` of inputs ``x`` that all belong to ``domain``."""
        check_integer(domain, "domain", low=0, high=self.n_domains - 1)
        for layer in self.net.modules():
            if isinstance(layer, AbstractDomainBatchNorm):
                layer.domain = domain
        features: torch.Tensor = self.net(x)
        return features

    def last_affine(self, width: int) -> list[tuple[torch.Tensor, torch.Tensor]] | None:
        """Return scale and shift of each domain in the last batch norm of ``width`` channels; None without one."""
        layers = [m for m in self.net.modules() if isinstance(m, AbstractDomainBatchNorm) and m.num_features == width]
        return [layers[-1].affine(domain) for domain in range(self.n_domains)] if layers else None
