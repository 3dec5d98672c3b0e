"""Self-attention over the positions of a map (Zhang et al., "Self-Attention Generative Adversarial Networks", 2019)."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import BLOCK_BYTES, row_blocks


@final
class SpatialSelfAttention(nn.Module):
    """Adds to every position of a map what positions like it hold: ``y = x + gamma * o``.

    With N = H W positions, ``q = Wq x`` and ``k = Wk x`` of C / reduction channels, ``v = Wv x`` of C (1x1 convolutions
    with bias): ``A = softmax_rows(q^T k)`` (N, N), without the root of the width, and ``o_i = sum_j A_ij v_j``. There
    is no code of position, so shuffled positions give shuffled outputs. On a 1x1 map ``o = Wv x``.

    Parameters: ``channels`` C >= 1; ``reduction`` of the width of q and k (at least one channel is left); ``gamma``
    where the learned scalar starts: at 0 the map passes unchanged, bit for bit; ``out_proj`` adds the 1x1 convolution
    on ``o`` that MSENet's figure shows and its code lacks. ``block_bytes`` bounds the attention weights held at a time:
    beyond it images go in blocks, which are computed again in the backward pass.

    Raises ``InputError`` for inputs other than float maps ``(B, C, H, W)``. O(B N^2 C) time, N^2 numbers per image of a
    block.

    >>> layer = SpatialSelfAttention(8, gamma=0.5)
    >>> layer(torch.ones(2, 8, 3, 3)).shape
    torch.Size([2, 8, 3, 3])
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 8,
        gamma: float = 0.0,
        out_proj: bool = False,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        super().__init__()
        self.channels = check_integer(channels, "channels", low=1)
        width = max(1, channels // check_integer(reduction, "reduction", low=1))
        self.block_bytes = check_integer(block_bytes, "block_bytes", low=1)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1) if out_proj else nn.Identity()
        self.gamma = nn.Parameter(torch.tensor(check_real(gamma, "gamma")))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of the shape of ``maps (B, C, H, W)``."""
        if maps.ndim != 4 or maps.shape[1] != self.channels or not maps.is_floating_point():
            got = f"{maps.dtype} of shape {tuple(maps.shape)}"
            raise InputError("maps", got=got, expected=f"floats (B, {self.channels}, H, W)")
        q, k, v = (layer(maps).flatten(2) for layer in (self.query, self.key, self.value))
        n = q.shape[2]
        blocks = list(row_blocks(len(maps), n * n, itemsize=maps.element_size(), budget=self.block_bytes))
        if len(blocks) <= 1:
            attended = _attend(q, k, v)
        elif torch.is_grad_enabled():
            parts = [
                checkpoint(_attend, q[b], k[b], v[b], use_reentrant=False, preserve_rng_state=False) for b in blocks
            ]
            attended = torch.cat(parts)
        else:
            attended = torch.cat([_attend(q[b], k[b], v[b]) for b in blocks])
        refined: torch.Tensor = maps + self.gamma * self.out(attended.unflatten(2, maps.shape[2:]))
        return refined


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    weights = (q.transpose(1, 2) @ k).softmax(dim=2)
    return v @ weights.transpose(1, 2)
