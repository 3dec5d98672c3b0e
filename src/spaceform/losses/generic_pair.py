"""The generic form of losses over pairs, whose labels may be fractions: what mixed examples are trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import nn
from torch.nn.functional import softplus

from spaceform.checks import check_real
from spaceform.errors import InputError

Curve = Callable[[torch.Tensor], torch.Tensor]


@final
class GenericPairLoss(nn.Module):
    """``outer(sigma_pos(sum y rho_pos(s)) + sigma_neg(sum (1 - y) rho_neg(s)))`` for every anchor (Metrix).

    A pair with label y between 0 and 1 counts as a positive by the part y and as a negative by the rest. With labels
    0 and 1 the forms below are the usual losses.

    Parameters: ``rho_pos`` falling and ``rho_neg`` rising in the closeness, ``sigma_pos``, ``sigma_neg`` and ``outer``,
    functions of tensors. ``exponential``: the rho are exponents, and the sigma are given the logarithm of the sum of
    exponentials (-inf for an empty one), which is formed without overflow. ``needs_both``: an anchor with an empty
    side has loss 0, for forms that take the logarithm of a sum.

    Raises ``InputError`` for labels outside [0, 1] and other shapes. O(A M) time and memory, by autograd: it is meant
    for the few mixed pairs of a batch; for whole batches use the fused losses of the same names.

    >>> closeness, targets = torch.tensor([[0.7]]), torch.tensor([[0.25]])
    >>> contrastive_form(0.5)(closeness, targets, torch.tensor([[True]]))  # 0.25 (-0.7) + 0.75 (0.7 - 0.5)
    tensor([-0.0250])
    """

    def __init__(
        self,
        *,
        rho_pos: Curve,
        rho_neg: Curve,
        sigma_pos: Curve,
        sigma_neg: Curve,
        outer: Curve = torch.nn.Identity(),  # noqa: B008  # it has no state
        exponential: bool = False,
        needs_both: bool = False,
    ) -> None:
        super().__init__()
        self.rho_pos, self.rho_neg = rho_pos, rho_neg
        self.sigma_pos, self.sigma_neg, self.outer = sigma_pos, sigma_neg, outer
        self.exponential = exponential
        self.needs_both = needs_both

    def forward(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss ``(A,)`` of ``closeness (A, M)``; ``targets (A, M)`` from 0 to 1, ``mask (A, M)`` bool."""
        if closeness.ndim != 2 or not closeness.shape == targets.shape == mask.shape:
            shapes = tuple(closeness.shape), tuple(targets.shape), tuple(mask.shape)
            raise InputError("targets", got=f"shapes {shapes}", expected="three matrices of one shape (A, M)")
        y = targets.to(closeness.dtype)
        if bool(((y < 0) | (y > 1)).any()) or not bool(torch.isfinite(y).all()):
            raise InputError("targets", got=f"{float(y.min())} to {float(y.max())}", expected="labels from 0 to 1")
        return self.parts(closeness, y, positives=mask, negatives=mask)

    def parts(
        self, closeness: torch.Tensor, targets: torch.Tensor, *, positives: torch.Tensor, negatives: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss ``(A,)`` where other pairs count for the first sum than for the second; nothing is checked.

        ``positives``, ``negatives (A, M)`` bool say which; else as in :meth:`forward`.
        """
        y = targets.to(closeness.dtype)
        pull = self._sum(self.rho_pos(closeness), y, positives)
        push = self._sum(self.rho_neg(closeness), 1 - y, negatives)
        if not self.needs_both:
            return self.outer(self.sigma_pos(pull) + self.sigma_neg(push))
        both = ((y > 0) & positives).any(1) & ((y < 1) & negatives).any(1)
        pull, push = torch.where(both, pull, 0), torch.where(both, push, 0)
        return torch.where(both, self.outer(self.sigma_pos(pull) + self.sigma_neg(push)), 0)

    def _sum(self, rho: torch.Tensor, parts: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.exponential:
            return (rho + parts.log()).masked_fill(~mask | (parts == 0), -torch.inf).logsumexp(1)
        return (rho * parts).masked_fill(~mask, 0).sum(1)


def contrastive_form(margin: float = 0.5) -> GenericPairLoss:
    """Return ``sum y (-s) + sum (1 - y) [s - margin]_+`` (Metrix, table 1)."""
    check_real(margin, "margin")
    return GenericPairLoss(
        rho_pos=torch.neg,
        rho_neg=lambda s: (s - margin).clamp(min=0),
        sigma_pos=nn.Identity(),
        sigma_neg=nn.Identity(),
    )


def multi_similarity_form(alpha: float = 17.97, beta: float = 75.66, base: float = 0.77) -> GenericPairLoss:
    """Return ``log(1 + sum y exp(-alpha (s - base))) / alpha + log(1 + sum (1 - y) exp(beta (s - base))) / beta``.

    The settings are those of Metrix' code.
    """
    for name, value in {"alpha": alpha, "beta": beta}.items():
        check_real(value, name, low=0, open_ends=True)
    check_real(base, "base")
    return GenericPairLoss(
        rho_pos=lambda s: -alpha * (s - base),
        rho_neg=lambda s: beta * (s - base),
        sigma_pos=lambda z: softplus(z) / alpha,
        sigma_neg=lambda z: softplus(z) / beta,
        exponential=True,
    )


def proxy_anchor_form(alpha: float = 32.0, margin: float = 0.1) -> GenericPairLoss:
    """Return ``log(1 + sum y exp(-alpha (s - margin))) + log(1 + sum (1 - y) exp(alpha (s + margin)))``.

    The anchors are the proxies. Averaged over the proxies with positives and over all, respectively, the two terms are
    the loss of Kim and others, CVPR 2020.
    """
    check_real(alpha, "alpha", low=0, open_ends=True)
    check_real(margin, "margin")
    return GenericPairLoss(
        rho_pos=lambda s: -alpha * (s - margin),
        rho_neg=lambda s: alpha * (s + margin),
        sigma_pos=softplus,
        sigma_neg=softplus,
        exponential=True,
    )


def softmax_form(rho_pos: Curve, rho_neg: Curve) -> GenericPairLoss:
    """Return ``-log(P / (P + N))`` with ``P = sum y exp(rho_pos(s))`` and ``N = sum (1 - y) exp(rho_neg(s))``.

    With one positive it is the cross-entropy of a softmax over the items; 0 where a side is empty.
    """
    return GenericPairLoss(
        rho_pos=rho_pos,
        rho_neg=rho_neg,
        sigma_pos=torch.neg,
        sigma_neg=nn.Identity(),
        outer=softplus,
        exponential=True,
        needs_both=True,
    )


def lifted_form(margin: float = 0.5) -> GenericPairLoss:
    """Return ``[log sum y exp(-s) + log sum (1 - y) exp(s - margin)]_+``; 0 where a side is empty."""
    check_real(margin, "margin")
    return GenericPairLoss(
        rho_pos=torch.neg,
        rho_neg=lambda s: s - margin,
        sigma_pos=nn.Identity(),
        sigma_neg=nn.Identity(),
        outer=torch.relu,
        exponential=True,
        needs_both=True,
    )


def nca_form(temperature: float = 1.0) -> GenericPairLoss:
    """Return ``-log sum y exp(s / temperature) + log sum (1 - y) exp(s / temperature)``; 0 where a side is empty."""
    check_real(temperature, "temperature", low=0, open_ends=True)
    return GenericPairLoss(
        rho_pos=lambda s: s / temperature,
        rho_neg=lambda s: s / temperature,
        sigma_pos=torch.neg,
        sigma_neg=nn.Identity(),
        exponential=True,
        needs_both=True,
    )
