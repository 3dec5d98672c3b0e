"""What a new model keeps of the old one: its features, its answers, or its relations of rows to prototypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn
from torch.nn.functional import normalize

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.losses.distillation.soft_labels import distillation_divergence, softmax_divergence

AXES = ("samples", "prototypes")


def feature_distillation(embeddings: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return ``|F - F_old|``, the Frobenius norm over the whole batch ``(B, d)``, as PASS and NAPA-VQ have it.

    It grows with the root of B, so its weight belongs to a batch size. The gradient is 0 where both are equal. O(B d).
    """
    if embeddings.shape != teacher.shape or embeddings.ndim != 2:
        got = f"{tuple(embeddings.shape)} and {tuple(teacher.shape)}"
        raise InputError("teacher", got=got, expected="two matrices of one shape")
    return torch.linalg.vector_norm(embeddings - teacher)


def answer_distillation(logits: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 2.0) -> torch.Tensor:
    """Return ``T^2 KL(softmax(teacher / T) || softmax(logits / T))``, the mean over rows ``(B, C)``.

    That of learning without forgetting (Li and Hoiem, ECCV 2016), with the factor of Hinton and others. O(B C).
    """
    if logits.shape != teacher.shape or logits.ndim != 2:
        got = f"{tuple(logits.shape)} and {tuple(teacher.shape)}"
        raise InputError("teacher", got=got, expected="two matrices of one shape")
    return distillation_divergence(logits, teacher, check_real(temperature, "temperature", low=0, open_ends=True))


@final
class PrototypeAttractionLoss(nn.Module):
    """Draws each prototype to the rows of its class, and nothing else: the mean of ``1 - cos(theta_y, f)``.

    The features get no gradient, nor do prototypes of other classes: new classes do not push old ones.

    ``forward(features (B, d), targets (B,), prototypes (C, d)) -> scalar`` in [0, 2]. Raises ``InputError`` for other
    widths and no rows. O(B d).

    >>> features, prototypes = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    >>> [float(PrototypeAttractionLoss()(features, torch.tensor([c]), prototypes)) for c in (0, 1)]
    [1.0, 0.0]
    """

    def forward(self, features: torch.Tensor, targets: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Return the loss of the rows of a batch."""
        _check_widths(features, prototypes)
        if targets.shape != features.shape[:1]:
            raise InputError("targets", got=f"shape {tuple(targets.shape)}", expected=f"({len(features)},)")
        own = normalize(prototypes[targets], dim=1)
        return (1 - (normalize(features.detach(), dim=1) * own).sum(1)).mean()


@final
class RelationDistillationLoss(nn.Module):
    """Keeps the relations of the prototypes of old classes to new rows, while both move: PRD's distillation.

    Two readings of the paper. ``axis="samples"`` (its text): for each old class c the softmax over the batch of
    ``cos(theta_c, f_i) / T``, old to new; the mean over classes of KL(old || new). The cosines are bounded: with T = 1
    the softmax is nearly flat. ``axis="prototypes"`` (the released code): for each row the softmax of
    ``f_i . theta_c / |theta_c| / T`` over the classes of each earlier task; the mean over rows of KL, summed
    over tasks. A task of one class has a constant softmax and keeps nothing.

    Parameters: ``axis``; ``temperature`` T (1, the released setting); ``normalize`` features: None is what each reading
    does (True for samples, False for prototypes, which then depend on the length of features).

    ``forward(features, prototypes, old_features, old_prototypes, *, groups=None) -> scalar >= 0``, 0 for equal models
    and after a common rotation; features ``(B, d)``, prototypes ``(C, d)`` of the old classes, ``groups`` classes per
    earlier task that sum to C (None: one task). The old ones get no gradient. Over samples the value depends on the
    batch size, and repeated rows count twice. Raises ``InputError`` for shapes that do not fit. O(B C d).

    >>> f, theta = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(RelationDistillationLoss()(f.flip(0), theta, f, theta)), 4)  # two rows change places
    0.1915
    """

    def __init__(self, *, axis: str = "samples", temperature: float = 1.0, normalize: bool | None = None) -> None:
        super().__init__()
        self.axis = check_choice(axis, "axis", AXES)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.normalize = normalize

    def forward(
        self,
        features: torch.Tensor,
        prototypes: torch.Tensor,
        old_features: torch.Tensor,
        old_prototypes: torch.Tensor,
        *,
        groups: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Return the loss of a batch of new rows."""
        _check_widths(features, prototypes)
        if features.shape != old_features.shape or prototypes.shape != old_prototypes.shape:
            got = f"{tuple(old_features.shape)} and {tuple(old_prototypes.shape)}"
            expected = f"{tuple(features.shape)} and {tuple(prototypes.shape)}, as of the new model"
            raise InputError("old_features", got=got, expected=expected)
        new = self._scores(features, prototypes)
        old = self._scores(old_features.detach(), old_prototypes.detach())
        if self.axis == "samples":
            return softmax_divergence(old, new, dim=0).mean()
        sizes = [len(prototypes)] if groups is None else [check_integer(size, "groups", low=1) for size in groups]
        if sum(sizes) != len(prototypes):
            raise InputError("groups", got=f"{sizes}", expected=f"sizes that sum to {len(prototypes)} classes")
        parts = zip(old.split(sizes, dim=1), new.split(sizes, dim=1), strict=True)
        return torch.stack([softmax_divergence(before, after).mean() for before, after in parts]).sum()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"axis={self.axis!r}, temperature={self.temperature}, normalize={self.normalize}"

    def _scores(self, features: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        unit = self.axis == "samples" if self.normalize is None else self.normalize
        rows = normalize(features, dim=1) if unit else features
        return rows @ normalize(prototypes, dim=1).T / self.temperature


def _check_widths(features: torch.Tensor, prototypes: torch.Tensor) -> None:
    fits = features.ndim == prototypes.ndim == 2 and features.shape[1] == prototypes.shape[1]
    if not fits or not len(features) or not len(prototypes):
        got = f"features {tuple(features.shape)}, prototypes {tuple(prototypes.shape)}"
        raise InputError("features", got=got, expected="two matrices of one width, with at least one row each")
