"""Does a mixed example act as a positive or as a negative? (Metrix, positivity)"""

from __future__ import annotations

import math

import torch

from spaceform.checks import check_real
from spaceform.errors import NoPairsError
from spaceform.losses.fused.fractional import Fractional
from spaceform.losses.mixing.choice import choose
from spaceform.losses.mixing.points import mixed_closeness


def acts_as_positive(
    loss: Fractional, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return for each pair ``(A, M)`` whether descent does not push it apart: ``d loss / d closeness <= 0``.

    ``loss`` says what pairs with ``targets`` from 0 to 1 cost; False outside ``mask``. Costs the loss and its gradient.
    """
    with torch.enable_grad():
        given = closeness.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss.fractional(given, targets, mask), given)
    return (slope <= 0) & mask


def positivity(
    loss: Fractional, embeddings: torch.Tensor, labels: torch.Tensor, *, lam: float, max_pairs: int = 2**17
) -> float:
    """Return the share of positive-negative mixtures of a batch that act as positives when the positive has ``lam``.

    ``embeddings (B, d)``, ``labels (B,)``; mixtures of embeddings, each anchor with all of its own. At one closeness a
    larger share never turns a positive into a negative; but the mixture also comes nearer to the anchor as ``lam``
    grows, so the share of positives need not rise. For losses whose sums multiply the label has no part in it. Raises
    ``NoPairsError`` when no row has a positive and a negative. O(B^2 K).
    """
    share = torch.tensor(check_real(lam, "lam", low=0, high=1), dtype=torch.float64)
    with torch.no_grad():
        sets = loss.pair_sets(embeddings, labels)
        choice = choose(sets, with_anchor=False, max_pairs=max_pairs)
        if choice is None:
            raise NoPairsError("labels", got="nothing to mix", expected="a positive and a negative of some row")
        closeness, mask = mixed_closeness(sets, choice, share)
        targets = share.to(closeness).expand(closeness.shape)
    return float(acts_as_positive(loss, closeness, targets, mask).sum() / mask.sum())


def positivity_threshold(lam: float, *, alpha: float = 17.97, beta: float = 75.66, base: float = 0.77) -> float:
    """Return the closeness below which a mixture acts as a positive in the multi-similarity loss.

    ``log(lam / (1 - lam)) / (alpha + beta) + base``: exact when the sums over positives and over negatives are equal,
    as they are there for one pair, so the share of positives is the distribution of the closeness up to this level
    (Metrix). ``lam`` in (0, 1). O(1).

    >>> round(positivity_threshold(0.9, alpha=18.0, beta=75.0, base=0.77), 4)
    0.7936
    """
    lam = check_real(lam, "lam", low=0, high=1, open_ends=True)
    return math.log(lam / (1 - lam)) / (alpha + beta) + base
