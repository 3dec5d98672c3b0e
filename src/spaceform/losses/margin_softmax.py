"""Softmax over class vectors: linear, and over cosines with a margin (NormFace, CosFace, ArcFace)."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear

from spaceform.checks import check_integer, check_real
from spaceform.geometry.arrays import safe_sqrt
from spaceform.losses.fused.class_loss import ClassLoss
from spaceform.losses.fused.exponents import exponentiate
from spaceform.losses.generic_pair import softmax_form

LEAST_SINE = {torch.float32: 1e-3, torch.float64: 1e-7}
"""Below it the slope of an angle is not told from rounding of its cosine."""


def normalized_softmax(cosines: torch.Tensor, labels: torch.Tensor, *, temperature: float = 0.05) -> torch.Tensor:
    """Return ``(A,)`` of ``-log softmax(c / temperature)_y`` for ``cosines (A, C)`` and ``labels (A,)``. O(A C)."""
    return cross_entropy(cosines / temperature, labels, reduction="none")


def normalized_softmax_floor(n_classes: int, *, temperature: float = 0.05) -> float:
    """Return the least mean of :func:`normalized_softmax` that any network reaches on balanced classes.

    ``log(1 + (C - 1) exp(-C / ((C - 1) temperature)))``, attained where vectors and rows are the corners of a regular
    simplex, which needs ``n_classes - 1`` dimensions (Wang and others, NormFace, ACM MM 2017, proposition 2).
    Raises ``InputError`` for fewer than two classes and a temperature that is not above 0. O(1).
    """
    others = check_integer(n_classes, "n_classes", low=2) - 1
    scale = 1 / check_real(temperature, "temperature", low=0, open_ends=True)
    return math.log1p(others * math.exp(-scale * n_classes / others))


def cosface(cosines: torch.Tensor, labels: torch.Tensor, *, margin: float = 0.35, scale: float = 64.0) -> torch.Tensor:
    """Return ``(A,)`` of the cross-entropy of ``scale c``, with ``c_y - margin`` for the true class.

    Wang and others, CVPR 2018, equation 4. ``cosines (A, C)``, ``labels (A,)``. O(A C).
    """
    return _with_target(cosines, labels, cosines.gather(1, labels[:, None]) - margin, scale)


def arcface(cosines: torch.Tensor, labels: torch.Tensor, *, margin: float = 0.5, scale: float = 64.0) -> torch.Tensor:
    """Return ``(A,)`` of the cross-entropy of ``scale c``, with ``cos(angle_y + margin)`` for the true class.

    Where the sum passes half a turn, ``c_y - margin sin(margin)`` takes its place, so that the loss keeps falling with
    the angle. Deng and others, CVPR 2019, equation 3, and their code. ``cosines (A, C)``, ``labels (A,)``. O(A C).
    """
    own = cosines.gather(1, labels[:, None])
    angle = own.clamp(-1, 1).acos()
    target = torch.where(angle <= math.pi - margin, (angle + margin).cos(), own - margin * math.sin(margin))
    return _with_target(cosines, labels, target, scale)


def _with_target(cosines: torch.Tensor, labels: torch.Tensor, target: torch.Tensor, scale: float) -> torch.Tensor:
    return cross_entropy(scale * cosines.scatter(1, labels[:, None], target), labels, reduction="none")


def weigh_softmax(
    cosines: torch.Tensor, labels: torch.Tensor, *, target: torch.Tensor, slope: torch.Tensor, scale: float
) -> torch.Tensor:
    """Overwrite ``cosines (r, C)`` by the derivatives of the cross-entropies ``(r,)``, which are returned.

    ``target (r, 1)`` stands in the place of the cosine of ``labels (r, 1)``, and ``slope`` is its derivative by it.
    """
    cosines.scatter_(1, labels, target)
    total, log_total = exponentiate(cosines, scale)
    cosines.mul_(scale / total)
    cosines.scatter_(1, labels, (cosines.gather(1, labels) - scale) * slope)
    return (log_total - scale * target)[:, 0]


@final
class NormalizedSoftmaxLoss(ClassLoss):
    """Mean cross-entropy of cosines with class vectors over a temperature (NormFace, Zhai and Wu).

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``temperature`` (0.05), the inverse of the scale of the cosines.

    No network gets below :func:`normalized_softmax_floor`: a temperature near 1 cannot be trained. Raises
    ``InputError`` for bad batches and labels out of range. O(B C d) time, memory of one block. Equal to
    pytorch-metric-learning's ``NormalizedSoftmaxLoss`` with the same vectors.

    >>> loss = NormalizedSoftmaxLoss(n_classes=2, width=2, temperature=0.5)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-2))
    0.1269
    """

    joint = True

    def __init__(self, *, n_classes: int, width: int, temperature: float = 0.05, seed: int = 0) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own = cosines.gather(1, labels)
        return weigh_softmax(cosines, labels, target=own, slope=torch.ones_like(own), scale=1 / self.temperature)

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        form = softmax_form(lambda s: s / self.temperature, lambda s: s / self.temperature)
        return form(closeness, targets, mask).mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, temperature={self.temperature}"


@final
class CosFaceLoss(ClassLoss):
    """Mean of :func:`cosface`: the cosine with the true class must lead by a margin.

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``margin`` (0.35) of the cosine; ``scale`` (64) of the logits. With margin 0 it is the normalised softmax.

    Raises ``InputError`` for bad batches and labels out of range. O(B C d) time, memory of one block. Equal to
    pytorch-metric-learning's ``CosFaceLoss`` with the same vectors.

    >>> loss = CosFaceLoss(n_classes=2, width=2, margin=0.5, scale=2.0)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-1))
    0.3133
    """

    joint = True

    def __init__(self, *, n_classes: int, width: int, margin: float = 0.35, scale: float = 64.0, seed: int = 0) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.margin = check_real(margin, "margin", low=0, high=2)
        self.scale = check_real(scale, "scale", low=0, open_ends=True)

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own = cosines.gather(1, labels)
        return weigh_softmax(cosines, labels, target=own - self.margin, slope=torch.ones_like(own), scale=self.scale)

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        scale, margin = self.scale, self.margin
        return softmax_form(lambda s: scale * (s - margin), lambda s: scale * s)(closeness, targets, mask).mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, margin={self.margin}, scale={self.scale}"


@final
class ArcFaceLoss(ClassLoss):
    """Mean of :func:`arcface`: the angle with the true class must be smaller by a margin.

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``margin`` (0.5), an angle in radians below pi; ``scale`` (64) of the logits. With margin 0 it is the normalised
    softmax. Large margins from the first step may not train: raise the margin over the first epochs.

    Raises ``InputError`` for bad batches and labels out of range. O(B C d) time, memory of one block. Equal to
    pytorch-metric-learning's ``ArcFaceLoss`` with the same vectors, whose margin is in degrees (28.6).

    >>> loss = ArcFaceLoss(n_classes=2, width=2, margin=1.0471976, scale=2.0)  # 60 degrees
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-1))
    0.3133
    """

    joint = True

    def __init__(self, *, n_classes: int, width: int, margin: float = 0.5, scale: float = 64.0, seed: int = 0) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.margin = check_real(margin, "margin", low=0, high=math.pi)
        self.scale = check_real(scale, "scale", low=0, open_ends=True)

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own = cosines.gather(1, labels).clamp_(-1, 1)
        sine = (1 - own * own).clamp_(min=0).sqrt_()
        inside = own >= -math.cos(self.margin)  # the angle is at most pi - margin
        turn, shift = math.cos(self.margin), math.sin(self.margin)
        target = torch.where(inside, own * turn - sine * shift, own - self.margin * shift)
        slope = torch.where(inside, turn + own / sine.clamp_(min=LEAST_SINE[own.dtype]) * shift, 1)
        return weigh_softmax(cosines, labels, target=target, slope=slope, scale=self.scale)

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        scale = self.scale
        return softmax_form(lambda s: scale * self._turned(s), lambda s: scale * s)(closeness, targets, mask).mean()

    def _turned(self, cosines: torch.Tensor) -> torch.Tensor:
        """Return the cosine of the angle plus the margin, or what takes its place beyond half a turn, by autograd."""
        own, margin = cosines.clamp(-1, 1), self.margin
        turned = own * math.cos(margin) - safe_sqrt(1 - own * own) * math.sin(margin)
        return torch.where(own >= -math.cos(margin), turned, own - margin * math.sin(margin))

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, margin={self.margin}, scale={self.scale}"


@final
class LinearSoftmaxLoss(ClassLoss):
    """Mean cross-entropy of a linear layer on the embeddings: an ordinary classifier, the baseline of metric learning.

    ``mean_i -log softmax(W x_i + b)_y`` with rows as they are, not normalised; what is kept of the network is the input
    of the layer, the penultimate one of the classifier.

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`.

    Raises ``InputError`` for bad batches and labels out of range. O(B C d) time, O(B C) memory.

    >>> loss = LinearSoftmaxLoss(n_classes=2, width=2)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 1.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, *, n_classes: int, width: int, seed: int = 0) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, width)`` with ``labels (B,)`` from 0 to ``n_classes - 1``."""
        self._check(embeddings, labels, reference, reference_labels)
        scores = linear(embeddings, self.vectors.to(embeddings.dtype), self.bias.to(embeddings.dtype))
        return cross_entropy(scores, labels)

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError  # the scores are no cosines: see forward

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}"
