"""Validation of a batch of embeddings with labels, shared by losses and miners."""

from __future__ import annotations

import torch

from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize


def check_batch(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    normalize: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Validate a batch at the door; return rows and reference in float32 or float64, of unit length if asked."""
    if (reference is None) != (reference_labels is None):
        raise InputError(
            "reference_labels",
            got=f"reference {_shape(reference)} with labels {_shape(reference_labels)}",
            expected="both or neither",
        )
    rows = _check_rows(embeddings, labels, "embeddings", "labels", normalize=normalize)
    if reference is None or reference_labels is None:
        return rows, None
    columns = _check_rows(reference, reference_labels, "reference", "reference_labels", normalize=normalize)
    if columns.shape[1] != rows.shape[1]:
        raise InputError("reference", got=f"{columns.shape[1]} columns", expected=f"{rows.shape[1]} columns")
    return rows, columns.to(rows.dtype)


def _check_rows(
    embeddings: torch.Tensor, labels: torch.Tensor, name: str, label_name: str, *, normalize: bool
) -> torch.Tensor:
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise InputError(name, got=f"{embeddings.dtype} of shape {_shape(embeddings)}", expected="floats (B, d)")
    if labels.shape != embeddings.shape[:1] or labels.is_floating_point():
        raise InputError(
            label_name, got=f"{labels.dtype} of shape {_shape(labels)}", expected=f"integers ({len(embeddings)},)"
        )
    if not torch.isfinite(embeddings.detach().sum()) and not torch.isfinite(embeddings.detach()).all():
        row = int((~torch.isfinite(embeddings.detach()).all(1)).nonzero()[0, 0])
        raise InputError(
            name,
            got=f"NaN or an infinity (first in row {row})",
            expected="finite values",
            remedy="lower the learning rate or check the inputs",
        )
    rows = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
    return l2_normalize(rows, name=name) if normalize else rows


def _shape(tensor: torch.Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
