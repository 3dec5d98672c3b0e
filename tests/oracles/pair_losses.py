"""Losses over pairs as loops over anchors and as means of their definitions, to compare the fused ones with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from spaceform.losses import binomial_deviance, circle, contrastive, info_nce, lifted, multi_similarity, supcon


def mean_active(loss, targets, mask):
    positive, negative = loss[targets & mask], loss[~targets & mask]
    return _mean(positive[positive > 0]) + _mean(negative[negative > 0])


def mean_apart(loss, targets, mask):
    return _mean(loss[targets & mask]) + _mean(loss[~targets & mask])


def mean_of_rows(loss, targets, mask):
    return loss.mean()


def mean_of_pairs(loss, targets, mask):
    return loss.sum() / (targets & mask).sum()


def mean_with_positives(loss, targets, mask):
    return loss.sum() / (targets & mask).any(1).sum()


def mean_with_both(loss, targets, mask):
    return loss.sum() / ((targets & mask).any(1) & (~targets & mask).any(1)).sum()


def _mean(values):
    return values.sum() / max(1, values.numel())


def loop_contrastive(near, far, *, positive=0.0, negative=1.0):
    """Yield one list of positive and one of negative terms per anchor."""
    return [max(0.0, -c - positive) for c in near], [max(0.0, negative + c) for c in far]


def loop_multi_similarity(near, far, *, alpha=2.0, beta=50.0, base=0.5):
    pull = math.log(1 + sum(math.exp(-alpha * (c - base)) for c in near)) / alpha
    return pull + math.log(1 + sum(math.exp(beta * (c - base)) for c in far)) / beta


def loop_info_nce(near, far, *, temperature=0.07):
    push = sum(math.exp(c / temperature) for c in far)
    return sum(-math.log(math.exp(c / temperature) / (math.exp(c / temperature) + push)) for c in near)


def loop_supcon(near, far, *, temperature=0.1):
    everyone = sum(math.exp(c / temperature) for c in [*near, *far])
    return sum(-math.log(math.exp(c / temperature) / everyone) for c in near) / max(1, len(near))


def loop_circle(near, far, *, margin=0.4, gamma=80.0):
    if not near or not far:
        return 0.0
    push = sum(math.exp(gamma * max(0, c + margin) * (c - margin)) for c in far)
    pull = sum(math.exp(-gamma * max(0, 1 + margin - c) * (c - 1 + margin)) for c in near)
    return math.log(1 + push * pull)


def loop_generalized_lifted(near, far):
    if not near or not far:
        return 0.0
    return max(0.0, math.log(sum(math.exp(-c) for c in near)) + math.log(sum(math.exp(1 + c) for c in far)))


def loop_binomial_deviance(near, far):
    pull = [math.log(1 + math.exp(-2 * (c - 0.5))) for c in near]
    return pull, [math.log(1 + math.exp(50 * (c - 0.5))) for c in far]


@dataclass(frozen=True)
class Case:
    """One loss: how to make it, its definition on a matrix, how the values are averaged, and a loop over one anchor."""

    make: Callable[..., torch.nn.Module]
    define: Callable[..., torch.Tensor]
    average: Callable[..., torch.Tensor]
    closeness: str
    loop: Callable[[list[float], list[float]], Any] | None = None

    def expected(self, matrix, labels, reference_labels=None):
        """Return the loss of a closeness matrix by autograd through the definition."""
        from oracles.batches import pairs

        targets, mask = pairs(labels, reference_labels)
        return self.average(self.define(matrix, targets, mask), targets, mask)


def _contrastive(c, t, m):
    return contrastive.contrastive(c, t, m, near=0.0, far=-1.0)


def _lifted(c, t, m):
    return lifted.generalized_lifted(c, t, m, near=0.0, far=-1.0)


def _structure(c, t, m):
    return lifted.lifted_structure(c, t, m, near=0.0, far=-1.0)


CASES = {
    "contrastive": Case(contrastive.ContrastiveLoss, _contrastive, mean_active, "distance", loop_contrastive),
    "contrastive-mean": Case(
        lambda **options: contrastive.ContrastiveLoss(reduction="mean", **options),
        _contrastive,
        mean_apart,
        "distance",
        loop_contrastive,
    ),
    "multi-similarity": Case(
        multi_similarity.MultiSimilarityLoss,
        multi_similarity.multi_similarity,
        mean_of_rows,
        "dot",
        loop_multi_similarity,
    ),
    "info-nce": Case(info_nce.InfoNCELoss, info_nce.info_nce, mean_of_pairs, "dot", loop_info_nce),
    "supcon": Case(supcon.SupConLoss, supcon.supcon, mean_with_positives, "dot", loop_supcon),
    "circle": Case(circle.CircleLoss, circle.circle, mean_with_both, "dot", loop_circle),
    "generalized-lifted": Case(
        lifted.GeneralizedLiftedLoss, _lifted, mean_with_both, "distance", loop_generalized_lifted
    ),
    "lifted-structure": Case(lifted.LiftedStructureLoss, _structure, mean_of_pairs, "distance"),
    "binomial-deviance": Case(
        binomial_deviance.BinomialDevianceLoss,
        binomial_deviance.binomial_deviance,
        mean_apart,
        "dot",
        loop_binomial_deviance,
    ),
}


def by_loops(case, matrix, labels, reference_labels=None):
    """Return the loss of a closeness matrix by a loop over anchors and pairs."""
    within = reference_labels is None
    columns = labels if within else reference_labels
    near, far, total, count = [], [], 0.0, {"rows": 0, "pairs": 0, "positive": 0, "both": 0}
    for i, label in enumerate(labels.tolist()):
        others = [j for j in range(len(columns)) if not (within and i == j)]
        close = [float(matrix[i, j]) for j in others if int(columns[j]) == label]
        apart = [float(matrix[i, j]) for j in others if int(columns[j]) != label]
        terms = case.loop(close, apart)
        if isinstance(terms, tuple):
            near, far = near + terms[0], far + terms[1]
        else:
            total += terms
        count["rows"] += 1
        count["pairs"] += len(close)
        count["positive"] += bool(close)
        count["both"] += bool(close) and bool(apart)
    if case.average is mean_active:
        near, far = [v for v in near if v > 0], [v for v in far if v > 0]
    if case.average in {mean_active, mean_apart}:
        return sum(near) / max(1, len(near)) + sum(far) / max(1, len(far))
    names = {mean_of_rows: "rows", mean_of_pairs: "pairs", mean_with_positives: "positive", mean_with_both: "both"}
    return total / count[names[case.average]]
