"""What keeps a pair of generators from answering all noises alike (DAFOS-Net)."""

from __future__ import annotations

import torch

from spaceform.checks import check_real
from spaceform.errors import InputError


def aocmc_loss(
    low_noise: torch.Tensor,
    high_noise: torch.Tensor,
    low_made: torch.Tensor,
    high_made: torch.Tensor,
    *,
    eps: float = 1e-8,
) -> torch.Tensor:
    """Return the anti open-close mode collapse term: different noises must give different features.

    ``mean 1 + log[(1 - cos(z_l, z_h) + eps) / (1 - cos(s_l, s_h) + eps)]`` over the rows: noises ``(n, m)`` of the
    low and the high kind, features ``(n, d)`` made from them. Large when far noises give the same feature: 1 + log(1 /
    eps) for orthogonal noises, 1 when both pairs coincide. A row of zeros, which ReLU may make, is at right angles to
    everything. The value has no bound but that of ``eps`` > 0 (the paper's is 1e-8; in float32 1e-3 trains).

    Raises ``InputError`` for other numbers of rows. O(n (m + d)).
    """
    check_real(eps, "eps", low=0, high=1, open_ends=True)
    rows = {len(part) for part in (low_noise, high_noise, low_made, high_made)}
    if len(rows) != 1 or rows == {0}:
        raise InputError("low_noise", got=f"{sorted(rows)} rows", expected="as many noises as features, at least one")
    noises, features = (_apart(*pair) + eps for pair in ((low_noise, high_noise), (low_made, high_made)))
    return (1 + noises.log() - features.log()).mean()


def _apart(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return one minus the cosine of rows, in [0, 2]; of a row of zeros, 1."""
    lengths = ((first * first).sum(1) * (second * second).sum(1)).clamp_min(1e-24).sqrt()
    return (1 - (first * second).sum(1) / lengths).clamp(0, 2)
