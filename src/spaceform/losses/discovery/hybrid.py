"""Angles first, hyperbolic distances later: the contrastive loss of HypCD (Liu, He and Han, CVPR 2025, section 3.4)."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.geometry.ball import PoincareBall
from spaceform.losses.info_nce import InfoNCELoss
from spaceform.losses.supcon import SupConLoss

LABELLED_SHARE = 0.35
"""Weight of the supervised part, as in GCD (Vaze and others, CVPR 2022)."""

Temperatures = tuple[float, float]
"""Of the loss over views and of that over labels."""


def linear_ramp(epoch: int, epochs: int, largest: float) -> float:
    """Return ``largest * min(1, (epoch + 1) / epochs)`` for ``epoch`` from 0: the weight of distances (equation 14)."""
    check_integer(epochs, "epochs", low=1)
    return check_real(largest, "largest", low=0, high=1) * min(1.0, (check_integer(epoch, "epoch", low=0) + 1) / epochs)


@final
class HybridContrastiveLoss(nn.Module):
    """``(1 - a) L_angle + a L_distance`` over two views of a batch.

    Each is ``(1 - s) InfoNCE + s SupCon``: InfoNCE picks the other view of an item out of all others, SupCon the rows
    of its class among the labelled ones; closeness is the cosine, or minus the distance in the ball. Cosines of mapped
    points are those of the points before the map, so the part of the angles knows nothing of curvature.

    Parameters: ``curvature`` c > 0; None takes twice the Euclidean distance, its limit for c to 0. ``labelled_share`` s
    in [0, 1]. ``temperatures`` and ``angle_temperatures``: of InfoNCE and SupCon, for distances and for angles. The
    released code multiplies both of the latter by 1 for Hyp-GCD and by 0.3 or 0.4 for Hyp-SimGCD.

    Raises ``InputError`` for settings out of range; in ``forward`` see there. O(B^2 d) time, memory of one block of
    the 2B x 2B matrix, never ``B x B x d``. Without labelled items, or with one class of them, SupCon is left out.

    >>> generator = torch.Generator().manual_seed(0)
    >>> points = torch.rand(8, 3, generator=generator)  # inside the ball of radius 3.16
    >>> loss = HybridContrastiveLoss(curvature=0.1)
    >>> loss(points, torch.tensor([0, 0, 1, -1]), 0.5).shape
    torch.Size([])
    """

    def __init__(
        self,
        *,
        curvature: float | None = 0.1,
        labelled_share: float = LABELLED_SHARE,
        temperatures: Temperatures = (1.0, 0.07),
        angle_temperatures: Temperatures = (1.0, 0.07),
    ) -> None:
        super().__init__()
        self.ball = None if curvature is None else PoincareBall(curvature)
        self.labelled_share = check_real(labelled_share, "labelled_share", low=0, high=1)
        far, named = _check_temperatures(temperatures, "temperatures")
        flat = 1.0 if self.ball is not None else 0.5  # closeness "distance" is minus |a - b|, not 2 |a - b|
        closeness = "distance" if self.ball is None else self.ball
        self.distance_views = InfoNCELoss(temperature=far * flat, closeness=closeness, normalize=False)
        self.distance_labels = SupConLoss(temperature=named * flat, closeness=closeness, normalize=False, empty="zero")
        far, named = _check_temperatures(angle_temperatures, "angle_temperatures")
        self.angle_views = InfoNCELoss(temperature=far)
        self.angle_labels = SupConLoss(temperature=named, empty="zero")

    def forward(self, points: torch.Tensor, labels: torch.Tensor, weight: float) -> torch.Tensor:
        """Return the scalar loss.

        ``points (2B, d)``: a view of every item, then in the same order another. ``labels (B,)`` integers, -1 for
        unlabelled items. ``weight`` a in [0, 1], of the distances. Raises ``InputError`` for an odd number of rows,
        one item, labels of another length, rows that are not finite or lie outside the ball, and a weight out of range.
        """
        share = check_real(weight, "weight", low=0, high=1)
        items = _check_views(points, labels)
        if self.ball is not None and (reason := self.ball.check(points.detach())) is not None:
            raise InputError("points", got=reason, expected="points of the ball", remedy="map them by ToPoincare")
        known = labels >= 0
        numbers = torch.arange(items, device=points.device).repeat(2)
        named, classes = points[known.repeat(2)], labels[known].repeat(2)
        value = points.new_zeros(())
        for part, views, supervised in (
            (1 - share, self.angle_views, self.angle_labels),
            (share, self.distance_views, self.distance_labels),
        ):
            if part > 0:
                value = value + part * (1 - self.labelled_share) * views(points, numbers)
                if len(classes):
                    value = value + part * self.labelled_share * supervised(named, classes)
        return value


def _check_temperatures(pair: Temperatures, name: str) -> Temperatures:
    if len(pair) != 2:
        raise InputError(name, got=repr(pair), expected="two numbers: of views and of labels")
    first, second = (check_real(value, name, low=0, open_ends=True) for value in pair)
    return first, second


def _check_views(points: torch.Tensor, labels: torch.Tensor) -> int:
    """Return the number B of items of two stacked views."""
    rows = len(points)
    if points.ndim != 2 or rows % 2 or rows < 4:
        raise InputError("points", got=f"shape {tuple(points.shape)}", expected="(2B, d), two views of B >= 2 items")
    if labels.shape != (rows // 2,) or labels.is_floating_point():
        expected = f"integers ({rows // 2},), one per item, -1 where unlabelled"
        raise InputError("labels", got=f"{labels.dtype} of shape {tuple(labels.shape)}", expected=expected)
    return rows // 2
