"""What free vectors are moved by: losses of a table of relevance, and their gradients in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spaceform.ops.pairs import row_blocks
from spaceform.types import BoolArray, FloatArray

LOSSES = ("infonce", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss of `LOSSES`, the temperature that divides inner products, and Adam's learning rate."""

    loss: str = "infonce"
    temperature: float = 0.1
    learning_rate: float = 0.01


class Slope(NamedTuple):
    """A loss, its gradients by queries ``(m, d)`` and documents ``(n, d)``, and by the threshold of the sigmoid."""

    value: float
    queries: FloatArray
    documents: FloatArray
    threshold: float


def slope(
    queries: FloatArray, documents: FloatArray, relevance: BoolArray, *, objective: Objective, threshold: float = 0.0
) -> Slope:
    """Return the loss of inner products ``s`` and its gradients; those of free rows, not of rows on the sphere.

    ``infonce``: minus the mean, over all relevant pairs, of ``log softmax(s / temperature)`` by query; the other
    relevant documents stay in the denominator, so that the least possible value is log k, not 0. With k the number
    of a query's documents ``G = (k P - A) / (pairs * temperature)``.

    ``sigmoid``: over the same number of pairs, the sum of ``log(1 + exp(-(s - threshold) / temperature))`` over
    relevant pairs and of ``log(1 + exp((s - threshold) / temperature))`` over all others (Zhai et al. 2023, "Sigmoid
    Loss for Language Image Pre-Training", equation 1, its bias as a threshold): one threshold for all queries, which
    can ask for more dimensions than an order within each. ``G = (sigmoid((s - threshold) / temperature) - A) / ...``.

    The gradients are ``G D`` and ``G^T Q``. O(m n d) time, memory for one block of inner products.
    """
    pairs = int(relevance.sum())
    total, of_threshold = 0.0, 0.0
    of_queries, of_documents = np.empty_like(queries), np.zeros_like(documents)
    for block in row_blocks(*relevance.shape):
        rows, wanted = queries[block], relevance[block]
        scores = rows @ documents.T
        if objective.loss == "infonce":
            scores /= objective.temperature
            total += _softmax_residual(scores, wanted)
        else:
            scores -= threshold
            scores /= objective.temperature
            total += _sigmoid_residual(scores, wanted)
        scores /= pairs * objective.temperature
        if objective.loss == "sigmoid":
            of_threshold -= float(scores.sum())
        of_queries[block] = scores @ documents
        of_documents += scores.T @ rows
    return Slope(total / pairs, of_queries, of_documents, of_threshold)


def _softmax_residual(logits: FloatArray, wanted: BoolArray) -> float:
    """Turn ``logits`` into ``k P - A`` in place; return the loss summed over the relevant pairs."""
    top = logits.max(1, keepdims=True)
    counts = wanted.sum(1)
    positive = float(logits[wanted].sum())
    logits -= top
    np.exp(logits, out=logits)
    sums = logits.sum(1, keepdims=True)
    total = float(counts @ (np.log(sums) + top)[:, 0]) - positive
    logits *= counts[:, None] / sums
    logits -= wanted
    return total


def _sigmoid_residual(logits: FloatArray, wanted: BoolArray) -> float:
    """Turn ``logits`` into ``sigmoid - A`` in place; return the loss summed over all pairs."""
    total = float(np.logaddexp(0, np.where(wanted, -logits, logits)).sum())
    small = np.exp(-np.abs(logits))  # never above 1, whatever the logit
    logits[...] = np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
    logits -= wanted
    return total
