"""Equal to pytorch-metric-learning in value and gradient wherever the definitions agree."""

import math

import pytest
import torch

from oracles.batches import assert_same, batch, value_and_gradients
from spaceform.losses.circle import CircleLoss
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.info_nce import InfoNCELoss, NPairLoss
from spaceform.losses.lifted import GeneralizedLiftedLoss, LiftedStructureLoss
from spaceform.losses.margin_softmax import ArcFaceLoss, CosFaceLoss, NormalizedSoftmaxLoss
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.proxies import ProxyAnchorLoss, ProxyNCALoss, SoftTripleLoss
from spaceform.losses.supcon import SupConLoss

pml = pytest.importorskip("pytorch_metric_learning")
from pytorch_metric_learning import distances, losses, miners, regularizers  # noqa: E402  # after the skip

PAIRED = (4, 2, 3, 2, 5, 9)
"""Rows per class, none alone: the other library counts anchors without positives in some means."""


def mined(embeddings, labels, pairs, reference, reference_labels):
    chosen = miners.MultiSimilarityMiner(0.1)(embeddings, labels, reference, reference_labels)
    return losses.MultiSimilarityLoss()(embeddings, labels, chosen, reference, reference_labels)


def cosine():
    return distances.CosineSimilarity()


PAIRS = {
    "contrastive": (ContrastiveLoss(), losses.ContrastiveLoss()),
    "contrastive-margins": (
        ContrastiveLoss(positive_margin=0.3, negative_margin=0.9),
        losses.ContrastiveLoss(pos_margin=0.3, neg_margin=0.9),
    ),
    "contrastive-cosine": (
        ContrastiveLoss(closeness="dot"),
        losses.ContrastiveLoss(pos_margin=1, neg_margin=0.5, distance=cosine()),
    ),
    "multi-similarity": (MultiSimilarityLoss(), losses.MultiSimilarityLoss()),
    "multi-similarity-of-metrix": (
        MultiSimilarityLoss(alpha=17.97, beta=75.66, base=0.77),
        losses.MultiSimilarityLoss(alpha=17.97, beta=75.66, base=0.77),
    ),
    "multi-similarity-mined": (MultiSimilarityLoss(epsilon=0.1), mined),
    "info-nce": (InfoNCELoss(), losses.NTXentLoss()),
    "info-nce-distance": (
        InfoNCELoss(temperature=0.3, closeness="distance"),
        losses.NTXentLoss(temperature=0.3, distance=distances.LpDistance()),
    ),
    "supcon": (SupConLoss(), losses.SupConLoss()),
    "circle": (CircleLoss(), losses.CircleLoss()),
    "circle-faces": (CircleLoss(margin=0.25, gamma=256.0), losses.CircleLoss(m=0.25, gamma=256)),
    "generalized-lifted": (GeneralizedLiftedLoss(), losses.GeneralizedLiftedStructureLoss()),
    "generalized-lifted-cosine": (
        GeneralizedLiftedLoss(closeness="dot"),
        losses.GeneralizedLiftedStructureLoss(pos_margin=1, neg_margin=0.5, distance=cosine()),
    ),
    "lifted-structure": (LiftedStructureLoss(), losses.LiftedStructureLoss()),
    "n-pair": (NPairLoss(scale=1.0), losses.NPairsLoss()),
}
WITHIN_ONLY = {"lifted-structure", "n-pair"}
"""The other library compares row numbers of two different sets, or takes no reference."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_over_pairs(name, with_reference, dtype):
    if with_reference and name in WITHIN_ONLY:
        return
    ours, theirs = PAIRS[name]
    data = batch(0, counts=PAIRED, reference=40, missing=0)
    rows, others = data.embeddings.to(dtype), data.reference.to(dtype) if with_reference else None

    def one(x, r):
        second = {} if r is None else {"reference": r, "reference_labels": data.reference_labels}
        return ours(x, data.labels, **second)

    def other(x, r):
        return theirs(x, data.labels, None, r, None if r is None else data.reference_labels)

    expected = value_and_gradients(other, rows, others)
    assert_same(value_and_gradients(one, rows, others), expected, tolerance=TOLERANCE[dtype] * 10)


CLASSES, WIDTH = 7, 6
SIZE = {"n_classes": CLASSES, "width": WIDTH}
VECTORS = {
    "normalized-softmax": (NormalizedSoftmaxLoss(**SIZE), losses.NormalizedSoftmaxLoss(CLASSES, WIDTH), "W"),
    "cosface": (CosFaceLoss(**SIZE), losses.CosFaceLoss(CLASSES, WIDTH), "W"),
    "arcface": (ArcFaceLoss(margin=math.radians(28.6), **SIZE), losses.ArcFaceLoss(CLASSES, WIDTH), "W"),
    "arcface-wide": (ArcFaceLoss(margin=math.radians(80), **SIZE), losses.ArcFaceLoss(CLASSES, WIDTH, margin=80), "W"),
    "proxy-nca": (ProxyNCALoss(**SIZE), losses.ProxyNCALoss(CLASSES, WIDTH), "proxies"),
    "proxy-nca++": (ProxyNCALoss(scale=9.0, **SIZE), losses.ProxyNCALoss(CLASSES, WIDTH, softmax_scale=9), "proxies"),
    "proxy-anchor": (ProxyAnchorLoss(**SIZE), losses.ProxyAnchorLoss(CLASSES, WIDTH), "proxies"),
    "soft-triple": (
        SoftTripleLoss(centers=3, merge=0.0, **SIZE),
        losses.SoftTripleLoss(CLASSES, WIDTH, centers_per_class=3),
        "fc",
    ),
    "soft-triple-merged": (
        SoftTripleLoss(centers=3, **SIZE),
        losses.SoftTripleLoss(
            CLASSES,
            WIDTH,
            centers_per_class=3,
            weight_regularizer=regularizers.SparseCentersRegularizer(CLASSES, 3),
            weight_reg_weight=0.2,
        ),
        "fc",
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", VECTORS)
def test_losses_with_class_vectors(name, dtype):
    ours, theirs, called = VECTORS[name]
    data = batch(1, counts=(5, 3, 1, 8, 2, 4))
    labels = (data.labels - 1) // 3  # class 6 has no row
    rows = data.embeddings.to(dtype)
    generator = torch.Generator().manual_seed(2)
    vectors = torch.randn(ours.vectors.shape, generator=generator, dtype=torch.float64).to(dtype)
    across = called != "proxies"
    ours.vectors.data = vectors.clone()
    # they keep the centres of a class together, we keep the first centres of all classes together
    order = torch.arange(len(vectors)).view(-1, CLASSES).T.flatten()
    getattr(theirs, called).data = (vectors[order].T if across else vectors).clone()
    ours.zero_grad()
    theirs.zero_grad()
    one = value_and_gradients(lambda x, _: ours(x, labels), rows)
    other = value_and_gradients(lambda x, _: theirs(x, labels), rows)
    gradient = getattr(theirs, called).grad
    expected = (*other[:2], gradient.T[order.argsort()] if across else gradient)
    assert_same((*one[:2], ours.vectors.grad), expected, tolerance=TOLERANCE[dtype] * 10)
