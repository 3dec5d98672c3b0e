"""Training through a label metric: scores of all labels from the probabilities of a few, and hard decisions."""

from __future__ import annotations

from typing import Any, final

import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric
from spaceform.ops.simplex import project_simplex

BACKWARDS = ("identity", "polytope")


@final
class LokiLogits(nn.Module):
    """Scores of all N labels from the probabilities of the K observed ones: ``-P D^2 / temperature``, differentiable.

    Parameters: ``metric`` the label metric; ``observed (K,)`` ids in the order of the columns of ``P``;
    ``temperature > 0`` (squared distances; 1 leaves them). The (K, N) float32 table is a buffer: 4 K N bytes.

    ``forward(P (B, K)) -> (B, N)``; O(B K N). Raises ``InputError`` for bad ids and another number of columns.
    """

    sq_dist: torch.Tensor

    def __init__(self, metric: LabelMetric, observed: ArrayLike, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        ids = metric.distinct(observed)
        self.register_buffer("sq_dist", torch.from_numpy(metric.squared_distances(ids)).float())

    def forward(self, P: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, N)``."""
        return -_variances(P, self.sq_dist) / self.temperature


@final
class LokiSTE(nn.Module):
    """The predicted label as a one-hot row, with a gradient for the scores of all labels behind it.

    Forward: ``z`` = one-hot of ``argmin_y (P D^2)[y]`` (lowest id of ties), then
    ``(1 - smoothing) z + smoothing / N``, so that its logarithm exists. Backward, for the gradient ``g`` at ``z``: the
    scores ``-P D^2`` receive ``g`` (``"identity"``), or ``z - Proj_simplex(z - step g)`` (``"polytope"``, SPIGOT, Peng
    et al. 2018), and hand it on to ``P`` through the table.

    Parameters: ``metric``, ``observed (K,)`` as for :class:`LokiLogits`; ``backward``; ``step`` 0.01 and
    ``smoothing`` 0.001 as in the official code, which sends the gradient to ``P`` itself and so works for K = N only.

    ``forward(P (B, K)) -> (B, N)``; O(B K N), with ``"polytope"`` O(B N log N) more.
    """

    sq_dist: torch.Tensor

    def __init__(
        self,
        metric: LabelMetric,
        observed: ArrayLike,
        *,
        backward: str = "identity",
        step: float = 0.01,
        smoothing: float = 0.001,
    ) -> None:
        super().__init__()
        self.backward_rule = check_choice(backward, "backward", BACKWARDS)
        self.step = check_real(step, "step", low=0, open_ends=True)
        self.smoothing = check_real(smoothing, "smoothing", low=0, high=1)
        ids = metric.distinct(observed)
        self.register_buffer("sq_dist", torch.from_numpy(metric.squared_distances(ids)).float())

    def forward(self, P: torch.Tensor) -> torch.Tensor:
        """Return smoothed one-hot rows ``(B, N)``."""
        scores = -_variances(P, self.sq_dist)
        hard: torch.Tensor = _HardDecision.apply(scores, self.step if self.backward_rule == "polytope" else 0.0)
        return (1 - self.smoothing) * hard + self.smoothing / scores.shape[1]


class _HardDecision(torch.autograd.Function):
    """One-hot of the largest score; ``step`` 0 passes the gradient straight through, else SPIGOT's projection."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, step: float) -> torch.Tensor:
        top = scores.max(dim=1, keepdim=True).values
        first = (scores >= top - 1e-5 * top.abs()).int().argmax(dim=1)
        hard = torch.nn.functional.one_hot(first, scores.shape[1]).to(scores.dtype)
        ctx.save_for_backward(hard)
        ctx.step = step
        return hard

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        if ctx.step == 0:
            return gradient, None
        (hard,) = ctx.saved_tensors
        return hard - project_simplex(hard - ctx.step * gradient), None


def _variances(P: torch.Tensor, sq_dist: torch.Tensor) -> torch.Tensor:
    if P.ndim != 2 or P.shape[1] != len(sq_dist):
        raise InputError(
            "P", got=f"shape {tuple(P.shape)}", expected=f"shape (B, {len(sq_dist)}), one column per observed label"
        )
    return P @ sq_dist.to(P.dtype)
