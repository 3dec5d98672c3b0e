"""A multi-layer perceptron under any abc-parametrisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.nets.scaling.exponents import ABC

PHI = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda h: h}


@final
class ABCMLP(nn.Module):
    """MLP without biases whose weights, start and learning rate follow an :class:`ABC`.

    ``h_1 = W_1 x``, ``x_l = phi(h_l)``, ``h_(l+1) = W_(l+1) x_l``, ``f = W_(L+1) x_L``; ``W_l = n^-a_l w_l``.

    Parameters: ``width`` n of all hidden layers; ``abc`` an :class:`ABC`, whose depth is that of the network, or one of
    its names, which is taken at ``depth``; ``phi`` "relu", "tanh" or "linear"; ``sigma`` one initial scale or one per
    matrix; ``seed`` of the draws, which are the same for every ``abc``: twins differ by their scaling only.

    Raises ``InputError`` for widths below 1, unknown names, and another number of scales.

    >>> net = ABCMLP(8, 64, 3, abc="mup", depth=2)
    >>> net(torch.ones(5, 8)).shape, [h.shape[1] for h in net.hidden(torch.ones(5, 8))]
    (torch.Size([5, 3]), [64, 64])
    """

    def __init__(
        self,
        d_in: int,
        width: int,
        d_out: int,
        *,
        abc: ABC | str = "mup",
        depth: int = 1,
        phi: str = "relu",
        sigma: float | Sequence[float] = 1.0,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        n = check_integer(width, "width", low=1)
        self.abc = ABC.named(abc, depth) if isinstance(abc, str) else abc
        self.width, self.phi = n, check_choice(phi, "phi", tuple(PHI))
        sizes = [check_integer(d_in, "d_in", low=1), *[n] * self.abc.depth, check_integer(d_out, "d_out", low=1)]
        scales = [sigma] * (len(sizes) - 1) if isinstance(sigma, int | float) else list(sigma)
        if len(scales) != len(sizes) - 1:
            raise InputError("sigma", got=f"{len(scales)} scales", expected=f"{len(sizes) - 1}, one per matrix")
        generator = torch.Generator().manual_seed(check_integer(seed, "seed", low=0))
        self.weights = nn.ParameterList()
        for layer, scale in enumerate(scales):
            drawn = torch.randn(sizes[layer + 1], sizes[layer], generator=generator, dtype=dtype)
            start = check_real(scale, "sigma", low=0) * float(n) ** -self.abc.b[layer]
            self.weights.append(nn.Parameter(drawn * start))

    def hidden(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the pre-activations ``h_l (B, n)`` of the hidden layers for ``x (B, d_in)``."""
        found: list[torch.Tensor] = []
        for layer in range(self.abc.depth):
            x = self._times(x if not found else PHI[self.phi](found[-1]), layer)
            found.append(x)
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs ``(B, d_out)``."""
        return self._times(PHI[self.phi](self.hidden(x)[-1]), self.abc.depth)

    def param_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return parameter groups for SGD at the rate ``eta n^-c``. Raises ``InputError`` for a rate below 0."""
        rate = check_real(learning_rate, "learning_rate", low=0)
        return [{"params": list(self.weights), "lr": rate * float(self.width) ** -self.abc.c}]

    def _times(self, x: torch.Tensor, layer: int) -> torch.Tensor:
        return (x @ self.weights[layer].T) * float(self.width) ** -self.abc.a[layer]
