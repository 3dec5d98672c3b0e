"""A last linear layer with two outputs: one that its features feel, and one that only the layer itself feels."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from torch.nn.functional import linear as apply_linear

from spaceform.errors import InputError
from spaceform.ops.pairs import ZERO_NORM


@final
class ConfusedHead(nn.Module):
    """Linear layer ``a = W h + b`` that also returns ``a' = W stop_grad(h) + stop_grad(b)`` for a confusion term.

    ECAML (Chen and Deng, AAAI 2019): the metric loss takes ``a`` and trains features and layer; the confusion takes
    ``a'``, which has the same values, and can move nothing but ``W``. A shift is in no difference of rows, so
    ``b`` could learn nothing from it; stopping its gradient makes that exact.

    Parameters: ``linear``, the layer, which is shared and not copied; ``unit_rows``: first bring its rows to unit
    length, where the guard on their norms rests (else the norms at which torch starts, about 0.58, may be
    too small to recover). Raises ``InputError`` for another layer, and for rows without a direction. O(B f d).

    >>> head = ConfusedHead(linear=nn.Linear(3, 2))
    >>> features = torch.ones(4, 3, requires_grad=True)
    >>> output, confused = head(features)
    >>> confused.sum().backward()
    >>> features.grad is None, head.linear.bias.grad is None, bool(head.linear.weight.grad.any())
    (True, True, True)
    """

    def __init__(self, *, linear: nn.Linear, unit_rows: bool = True) -> None:
        super().__init__()
        if not isinstance(linear, nn.Linear):
            raise InputError("linear", got=type(linear).__name__, expected="a torch.nn.Linear")
        self.linear = linear
        if unit_rows:
            with torch.no_grad():
                norms = linear.weight.norm(dim=1, keepdim=True)
                if bool((norms < ZERO_NORM).any()):
                    raise InputError("linear", got="a row of zeros", expected="rows with a direction")
                linear.weight.div_(norms)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``a`` and ``a'``, both ``(B, d)``, of ``features (B, f)``."""
        bias = None if self.linear.bias is None else self.linear.bias.detach()
        return self.linear(features), apply_linear(features.detach(), self.linear.weight, bias)
