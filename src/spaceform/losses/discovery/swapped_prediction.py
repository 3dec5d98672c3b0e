"""Each view predicts what another view was assigned to (Caron and others 2020; Fini and others, UNO, ICCV 2021)."""

from __future__ import annotations

import torch

from spaceform.checks import check_real
from spaceform.errors import InputError


def swapped_prediction(logits: torch.Tensor, targets: torch.Tensor, *, temperature: float = 0.1) -> torch.Tensor:
    """Return the loss ``(H,)`` of every head: cross entropy of one view against the targets of another.

    The mean over pairs of views ``v != w`` and over rows of ``-sum_k targets[v] log softmax(logits[w] / temperature)``,
    where v goes over the views that have targets and w over all.

    Parameters: ``logits (V, H, B, K)`` of V >= 2 views; ``targets (L, H, B, K)`` of the first L <= V of them, which
    carry no gradient: small crops are predicted only. Raises ``InputError`` for one view and for shapes that do not
    fit. O(V L H B K).
    """
    divisor = check_real(temperature, "temperature", low=0, open_ends=True)
    if logits.ndim != 4 or len(logits) < 2:
        got = f"shape {tuple(logits.shape)}"
        raise InputError("logits", got=got, expected="(V, H, B, K) of at least 2 views: one predicts the other")
    if targets.shape[1:] != logits.shape[1:] or not 1 <= len(targets) <= len(logits):
        expected = f"(L, {', '.join(map(str, logits.shape[1:]))}), L from 1 to {len(logits)}"
        raise InputError("targets", got=f"shape {tuple(targets.shape)}", expected=expected)
    log_probabilities = torch.log_softmax(logits / divisor, -1)
    crossed = -torch.einsum("vhbk,whbk->vwh", targets.detach().to(logits.dtype), log_probabilities) / logits.shape[2]
    other = ~torch.eye(len(targets), len(logits), dtype=torch.bool, device=logits.device)
    return crossed[other].mean(0)
