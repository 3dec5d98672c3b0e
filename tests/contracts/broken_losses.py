"""Losses that break one promise each, and one that keeps all: the test of the tests."""

from __future__ import annotations

import torch
from torch import nn

from contracts import losses as contract
from spaceform.errors import InputError, NoPairsError


def centre_pull(rows, labels, columns, column_labels):
    """Mean squared distance within classes minus that between them, on unit vectors."""
    distances = ((rows[:, None] - columns[None]) ** 2).sum(2)
    same = labels[:, None] == column_labels[None]
    return distances[same].mean() - distances[~same].mean()


class Sound(nn.Module):
    def __init__(self, *, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale), dtype=torch.float64))

    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        if embeddings.ndim != 2 or not torch.isfinite(embeddings).all():
            raise InputError("embeddings", got="holes", expected="finite rows")
        if len(labels) != len(embeddings):
            raise InputError("labels", got=len(labels), expected="one per row")
        if (reference is None) != (reference_labels is None):
            raise InputError("reference_labels", got="one of two", expected="both or neither")
        if reference is not None and reference.shape[1] != embeddings.shape[1]:
            raise InputError("reference", got="another width", expected="the same width")
        columns, names = (embeddings, labels) if reference is None else (reference, reference_labels)
        same = (labels[:, None] == names[None]).sum()
        if same == (len(labels) if reference is None else 0) or same == len(labels) * len(names):
            raise NoPairsError("labels", got="no pairs", expected="some")
        unit, others = (nn.functional.normalize(r.to(self.wide(r)), dim=1) for r in (embeddings, columns))
        value = centre_pull(unit, labels, others, names)
        return self.scale.to(value.dtype) * value

    @staticmethod
    def wide(rows):
        return torch.float64 if rows.dtype == torch.float64 else torch.float32


class ByPosition(Sound):
    def forward(self, embeddings, labels, reference=None, reference_labels=None):
        return super().forward(embeddings, labels, reference=reference, reference_labels=reference_labels)


class WithoutReference(Sound):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels)


class GivesAVector(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels)[None]


class GivesFloat32(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels).float()


class Draws(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels) * (1 + torch.rand(()))


class WithoutGradient(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings.detach(), labels) + 0 * embeddings.sum()


class WrongGradient(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        settings = {"reference": reference, "reference_labels": reference_labels}
        value = super().forward(embeddings, labels, **settings)
        return value + 0.1 * (embeddings.sum() - embeddings.detach().sum())


class ForgetsTheReference(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        kept = None if reference is None else reference.detach()
        return super().forward(embeddings, labels, reference=kept, reference_labels=reference_labels)


class CountsPositions(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        weights = torch.arange(1, len(labels) + 1, dtype=embeddings.dtype)[:, None]
        return super().forward(embeddings + 0.01 * weights, labels)


class ReadsLabelNumbers(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels) * (1 + labels.sum())


class Repels(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return -super().forward(embeddings, labels)


class QuietZero(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        try:
            return super().forward(embeddings, labels)
        except NoPairsError:
            return embeddings.sum() * 0


class TakesNaN(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings.nan_to_num(), labels, reference=reference, reference_labels=reference_labels)


class NamesAnother(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        if len(labels) != len(embeddings):
            raise InputError("embeddings", got=len(embeddings), expected="one per label")
        return super().forward(embeddings, labels, reference=reference, reference_labels=reference_labels)


class Explodes(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels) + embeddings.exp().mean()


class Writes(Sound):
    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        embeddings *= 2
        return super().forward(embeddings, labels)


class KeepsALearnedNumber(Sound):
    made = 0

    def __init__(self):
        super().__init__()
        KeepsALearnedNumber.made += 1
        self.shift = KeepsALearnedNumber.made

    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        return super().forward(embeddings, labels) + self.shift


BROKEN = [
    (ByPosition, contract.check_signature),
    (WithoutReference, contract.check_signature),
    (GivesAVector, contract.check_scalar),
    (GivesFloat32, contract.check_scalar),
    (Draws, contract.check_scalar),
    (WithoutGradient, contract.check_scalar),
    (WrongGradient, contract.check_gradient),
    (ForgetsTheReference, contract.check_gradient),
    (CountsPositions, contract.check_order_and_names),
    (ReadsLabelNumbers, contract.check_order_and_names),
    (Repels, contract.check_direction),
    (QuietZero, contract.check_no_pairs),
    (TakesNaN, contract.check_refusals),
    (NamesAnother, contract.check_refusals),
    (Explodes, contract.check_extremes),
    (Writes, contract.check_input_untouched),
    (Draws, contract.check_input_untouched),
    (KeepsALearnedNumber, contract.check_state),
]
