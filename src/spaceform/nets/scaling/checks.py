"""Two questions to a family of networks of growing width: do features move, and does one learning rate fit all?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray


@dataclass(frozen=True)
class CoordinateCheck:
    """Root mean square movement ``(n_widths, n_layers)`` of features, and its slope per layer in log-log.

    ``slopes`` about 0: features move as much at any width (feature learning). Below: they freeze (kernel regime);
    above: they blow up. The largest slope is the -r of :meth:`spaceform.nets.scaling.exponents.ABC.r`.
    """

    widths: tuple[int, ...]
    rms: FloatArray
    slopes: FloatArray

    @property
    def regime(self) -> str:
        """``"feature"``, ``"kernel"`` or ``"unstable"`` by the largest slope (within 0.2 of 0; r comes in halves)."""
        top = float(self.slopes.max())
        return "unstable" if top > 0.2 else "kernel" if top < -0.2 else "feature"


@dataclass(frozen=True)
class RateTransfer:
    """Losses ``(n_widths, n_rates)`` and what choosing the rate at the smallest width costs at the largest.

    ``best`` (n_widths,) are the best rates; ``regret`` is the loss of the largest width at the best rate of the
    smallest, less its own best loss; ``drift`` the base-2 logarithm of its best rate over that of the smallest.
    """

    widths: tuple[int, ...]
    rates: tuple[float, ...]
    losses: FloatArray
    best: FloatArray
    regret: float
    drift: float


def coordinate_check(
    make: Callable[[int], nn.Module],
    features: Callable[[nn.Module], Sequence[torch.Tensor]],
    step: Callable[[nn.Module], object],
    *,
    widths: Sequence[int],
    steps: int = 3,
) -> CoordinateCheck:
    """Train a network of each width for a few steps and measure how far its features move.

    ``make(width)`` returns a fresh network, ``features(net)`` the tensors to watch on fixed inputs, ``step(net)`` makes
    one training step. Raises ``InputError`` for fewer than two different widths, and features that do not move or are
    not finite. Costs ``steps`` training steps and two passes per width.
    """
    sizes = _widths(widths)
    check_integer(steps, "steps", low=1)
    rows = []
    for width in sizes:
        net = make(width)
        with torch.no_grad():
            before = [tensor.clone() for tensor in features(net)]
        for _ in range(steps):
            step(net)
        with torch.no_grad():
            rows.append([(b - a).square().mean().sqrt().item() for a, b in zip(before, features(net), strict=True)])
    rms = np.array(rows)
    if not np.isfinite(rms).all() or not (rms > 0).all():
        raise InputError("step", got=f"movements {rms.tolist()}", expected="finite ones above 0", remedy="change rates")
    slopes = np.polyfit(np.log(sizes), np.log(rms), 1)[0]
    return CoordinateCheck(sizes, rms, slopes)


def rate_transfer(
    loss_of: Callable[[int, float], float], *, widths: Sequence[int], rates: Sequence[float], ceiling: float
) -> RateTransfer:
    """Return how well the best learning rate of the smallest width does at the largest.

    ``loss_of(width, rate)`` trains a network and returns its loss; what is not finite, or above ``ceiling`` (the loss
    of guessing), counts as ``ceiling``. Raises ``InputError`` for fewer than two widths or rates, and rates <= 0.
    """
    sizes = _widths(widths)
    steps = sorted({check_real(rate, "rates", low=0, open_ends=True) for rate in rates})
    if len(steps) < 2:
        raise InputError("rates", got=f"{len(steps)} rate(s)", expected="at least 2")
    top = check_real(ceiling, "ceiling")
    losses = np.array([[loss_of(width, rate) for rate in steps] for width in sizes], dtype=np.float64)
    losses = np.minimum(np.where(np.isfinite(losses), losses, top), top)
    chosen = losses.argmin(1)
    best = np.array(steps)[chosen]
    regret = float(losses[-1, chosen[0]] - losses[-1].min())
    return RateTransfer(sizes, tuple(steps), losses, best, regret, float(np.log2(best[-1] / best[0])))


def _widths(widths: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(sorted({check_integer(width, "widths", low=1) for width in widths}))
    if len(sizes) < 2:
        raise InputError("widths", got=list(widths), expected="at least 2 different widths")
    return sizes
