"""Batches for tests of losses, and what every oracle of one needs."""

from __future__ import annotations

from typing import NamedTuple

import torch

UNEVEN = (6, 1, 3, 2, 1, 9, 2, 4)
"""Rows per class, singletons among them."""


class Batch(NamedTuple):
    """Embeddings ``(B, d)`` float64, labels ``(B,)``, and a second set of another size."""

    embeddings: torch.Tensor
    labels: torch.Tensor
    reference: torch.Tensor
    reference_labels: torch.Tensor


def batch(seed=0, *, counts=UNEVEN, width=6, noise=1.0, reference=17, missing=2):
    """Return rows around a centre per class, shuffled; class numbers have gaps, the reference lacks the last ones."""
    generator = torch.Generator().manual_seed(seed)

    def rows(labels):
        noisy = torch.randn(len(labels), width, generator=generator, dtype=torch.float64)
        return centers[labels] + noise * noisy

    centers = torch.randn(len(counts), width, generator=generator, dtype=torch.float64)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    others = torch.randint(0, max(2, len(counts) - missing), (reference,), generator=generator)
    return Batch(rows(labels), 3 * labels + 1, rows(others), 3 * others + 1)


def pairs(labels, reference_labels=None):
    """Return ``targets`` and ``mask``, each ``(B, M)`` bool: which pairs are positive, which count at all."""
    if reference_labels is None:
        return labels[:, None] == labels[None], ~torch.eye(len(labels), dtype=torch.bool)
    targets = labels[:, None] == reference_labels[None]
    return targets, torch.ones_like(targets)


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


def closeness(kind, rows, columns):
    """Return the closeness ``(B, M)`` of rows and columns, for autograd; the diagonal of one set has no slope."""
    if kind == "dot":
        return rows @ columns.T
    squares = ((rows[:, None] - columns[None]) ** 2).sum(2)
    if kind == "squared":
        return -squares
    return -torch.where(squares > 0, squares.clamp(min=1e-300), 1).sqrt() * (squares > 0)


def value_and_gradients(function, embeddings, reference=None):
    """Return the value of ``function(embeddings, reference)`` and its gradients (None without a reference)."""
    rows = embeddings.clone().requires_grad_()
    others = None if reference is None else reference.clone().requires_grad_()
    value = function(rows, others)
    value.backward()
    return value.detach(), rows.grad, None if others is None else others.grad


def assert_same(first, second, *, tolerance=1e-9):
    """Compare two results of :func:`value_and_gradients`."""
    for one, other in zip(first, second, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, check_dtype=False)
