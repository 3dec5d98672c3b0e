"""Prototypes: the mean of the rows of each class, and how far rows are from them."""

from __future__ import annotations

import torch

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import squared_distances


def class_prototypes(embeddings: torch.Tensor, targets: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return the mean row of each class ``(n_classes, d)``; gradients reach every row.

    ``embeddings (n, d)``; ``targets (n,)`` integers 0 to ``n_classes`` - 1. Raises ``InputError`` for targets of
    another length or range, and for a class without rows: its mean is not defined. O(n d).
    """
    check_integer(n_classes, "n_classes", low=1)
    if embeddings.ndim != 2:
        raise InputError("embeddings", got=f"shape {tuple(embeddings.shape)}", expected="shape (n, d)")
    if targets.shape != embeddings.shape[:1]:
        raise InputError("targets", got=f"shape {tuple(targets.shape)}", expected=f"({len(embeddings)},)")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < n_classes:
        raise InputError("targets", got="numbers out of range", expected=f"class numbers 0 to {n_classes - 1}")
    counts = torch.bincount(targets, minlength=n_classes)
    if bool((counts == 0).any()):
        empty = int((counts == 0).nonzero()[0, 0])
        raise InputError("targets", got=f"no row of class {empty}", expected="at least one row of each class")
    sums = embeddings.new_zeros(n_classes, embeddings.shape[1]).index_add(0, targets, embeddings)
    return sums / counts[:, None].to(sums)


def prototype_distances(embeddings: torch.Tensor, prototypes: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """Return squared Euclidean distances over ``temperature``, ``(n, K)``: what a softmax over classes takes negated.

    ``embeddings (n, d)``, ``prototypes (K, d)``. A ``temperature`` of d makes it the mean over dimensions. O(n K d).
    """
    check_real(temperature, "temperature", low=0, open_ends=True)
    if embeddings.ndim != 2 or prototypes.ndim != 2 or embeddings.shape[1] != prototypes.shape[1]:
        got = f"shapes {tuple(embeddings.shape)} and {tuple(prototypes.shape)}"
        raise InputError("prototypes", got=got, expected="rows of one width")
    return squared_distances(embeddings, prototypes) / temperature
