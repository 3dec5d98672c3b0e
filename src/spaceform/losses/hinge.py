"""Sum of the triplet hinge over a batch and its gradient in closed form, a block of anchors at a time.

``sum_t [D(a_t, p_t) - D(a_t, n_t) + margin]_+`` is linear in the distances of the active triplets, so its gradient is a
sum of ``W_ij dD(x_i, r_j)`` with one coefficient for each anchor i and column j: sparse when triplets were chosen,
dense when all of them count. Nothing is kept between blocks but the gradients of B x d numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spaceform.ops.mining import mine_block, weigh_all, weigh_block
from spaceform.ops.mining_tensors import AllTriplets, HingeWeights, Mined, active_terms
from spaceform.ops.triplets import Batch, Mining, distance_blocks

DENSE_SHARE = 0.06
"""Above this share of non-zero coefficients a dense product is faster than a sparse one (measured at d = 128)."""


@dataclass
class HingeSum:
    """What the blocks add up to.

    ``value`` sums the hinge over ``triplets`` triplets, of which ``active`` are above 0; ``candidates`` could have
    given one. ``positive`` and ``negative`` are mean distances over all positive and all negative pairs of the batch.
    ``row_gradient (B, d)`` and ``column_gradient (M, d)`` are those of ``value``, in label order, None if not wanted.
    """

    row_gradient: torch.Tensor | None
    column_gradient: torch.Tensor | None
    value: float = 0.0
    triplets: int = 0
    active: int = 0
    candidates: int = 0
    positive: float = 0.0
    negative: float = 0.0


@torch.no_grad()
def hinge_sum(
    batch: Batch,
    mining: Mining,
    *,
    margin: float,
    squared: bool = True,
    learns: torch.Tensor | None = None,
    gradients: tuple[bool, bool] = (True, True),
    generator: torch.Generator | None = None,
) -> HingeSum:
    """Mine a batch that has pairs and sum the hinge over its triplets.

    ``learns (B,)`` bool in label order: triplets without a row that learns are skipped (not for ``"all"``).
    ``gradients`` says whether the rows and the columns want one. O(B M (d + log M)) time; memory of one block.
    """
    total = HingeSum(
        torch.zeros_like(batch.rows) if gradients[0] else None,
        torch.zeros_like(batch.columns) if gradients[1] else None,
    )
    for first, distances in distance_blocks(batch, squared=squared):
        rows = slice(first, first + len(distances))
        whole = float(distances.sum())
        block: AllTriplets | Mined
        if mining.strategy == "all":
            block = weigh_all(batch, first, distances, margin=margin, squared=squared)
            total.candidates += block.hinge.triplets
            _add_dense(total, batch, rows, block.hinge)
        else:
            block = mine_block(batch, first, distances, mining=mining, margin=margin, generator=generator)
            total.candidates += block.candidates
            keep = None
            if learns is not None:
                keep = learns[block.anchors + first] | learns[block.positives] | learns[block.negatives]
            if 2 * len(block.anchors) > DENSE_SHARE * distances.numel():
                weights = weigh_block(distances, block, keep=keep, margin=margin, squared=squared)
                _add_dense(total, batch, rows, weights)
            else:
                total.triplets += len(block.anchors) if keep is None else int(keep.sum())
                _add_sparse(total, batch, rows, *active_terms(distances, block, keep, margin=margin, squared=squared))
        total.positive += block.pair_sum / batch.n_pairs
        total.negative += (whole - block.same_sum) / batch.n_negative_pairs
    return total


def _add_dense(total: HingeSum, batch: Batch, rows: slice, hinge: HingeWeights) -> None:
    """Add a block and the gradient of ``sum_ij weights_ij |x_i - r_j|^2`` for ``weights (rows, M)``."""
    total.value += hinge.value
    total.active += hinge.active
    total.triplets += hinge.triplets
    weights, anchors = hinge.weights, batch.rows[rows]
    if total.row_gradient is not None:
        gradient = total.row_gradient[rows].addmm_(weights, batch.columns, alpha=-2)
        gradient.addcmul_(weights.sum(1, keepdim=True), anchors, value=2)
    if total.column_gradient is not None:
        gradient = total.column_gradient.addmm_(weights.T, anchors, alpha=-2)
        gradient.addcmul_(weights.sum(0)[:, None], batch.columns, value=2)


def _add_sparse(
    total: HingeSum, batch: Batch, rows: slice, hinge: torch.Tensor, index: torch.Tensor, weights: torch.Tensor
) -> None:
    """Add the same for ``weights (T,)`` at the anchors and columns of ``index (2, T)``."""
    total.value += float(hinge.sum(dtype=torch.float64))
    total.active += len(hinge)
    anchors = batch.rows[rows]
    height, width = len(anchors), len(batch.columns)
    if total.row_gradient is not None:
        matrix = torch.sparse_coo_tensor(index, weights, (height, width), check_invariants=False)
        gradient = total.row_gradient[rows].addmm_(matrix, batch.columns, alpha=-2)
        sums = weights.new_zeros(height).index_add_(0, index[0], weights)
        gradient.addcmul_(sums[:, None], anchors, value=2)
    if total.column_gradient is not None:
        matrix = torch.sparse_coo_tensor(index.flip(0), weights, (width, height), check_invariants=False)
        gradient = total.column_gradient.addmm_(matrix, anchors, alpha=-2)
        sums = weights.new_zeros(width).index_add_(0, index[1], weights)
        gradient.addcmul_(sums[:, None], batch.columns, value=2)
