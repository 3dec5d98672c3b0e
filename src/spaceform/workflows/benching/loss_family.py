"""Every loss of the family beside the peers that offer it, with the settings under which the definitions agree."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from spaceform.losses.circle import CircleLoss
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.info_nce import InfoNCELoss
from spaceform.losses.lifted import GeneralizedLiftedLoss, LiftedStructureLoss
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.proxies import ProxyAnchorLoss
from spaceform.losses.supcon import SupConLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.ops.triplets import Mining

MARGIN = 0.2
PML, ST, OML = "pytorch-metric-learning", "sentence-transformers", "open-metric-learning"

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Maker = Callable[[int, int], nn.Module]
"""Makes a loss for a number of classes and a width."""

OURS: dict[str, Maker] = {
    "semi-hard triplet": lambda classes, width: TripletLoss(margin=MARGIN),
    "batch-hard triplet": lambda classes, width: TripletLoss(margin=MARGIN, mining=Mining.parse("hard")),
    "contrastive": lambda classes, width: ContrastiveLoss(),
    "multi-similarity": lambda classes, width: MultiSimilarityLoss(),
    "circle": lambda classes, width: CircleLoss(),
    "SupCon": lambda classes, width: SupConLoss(),
    "NT-Xent": lambda classes, width: InfoNCELoss(),
    "lifted structure": lambda classes, width: LiftedStructureLoss(),
    "generalized lifted": lambda classes, width: GeneralizedLiftedLoss(),
    "proxy anchor": lambda classes, width: ProxyAnchorLoss(n_classes=classes, width=width),
    "normalized softmax": lambda classes, width: NormalizedSoftmaxLoss(n_classes=classes, width=width),
}

PEER_ROWS = {"NT-Xent": 256, "lifted structure": 256, "semi-hard triplet": 1_024}
"""pytorch-metric-learning lists all pairs of pairs, or all triplets: beyond so many rows it runs out of memory."""

ALL_PAIRS_ROWS = 4_096
"""Beyond it its losses over pairs, which list all of them, take minutes and tens of GB."""


def ours(loss: str, *, classes: int, width: int) -> Step:
    """Return a step of our loss of this name: from rows ``(B, width)`` and labels ``(B,)`` to a scalar."""
    made, generator = OURS[loss](classes, width), torch.Generator().manual_seed(0)
    if isinstance(made, TripletLoss):
        return lambda rows, labels: made.with_figures(rows, labels, generator=generator)[0]
    return made


def peers(loss: str, batch: int, *, classes: int, width: int) -> dict[str, Step]:
    """Return the peers that are installed, offer this loss and can do a batch of so many rows."""
    found: dict[str, Step] = {}
    if batch <= PEER_ROWS.get(loss, ALL_PAIRS_ROWS) and importlib.util.find_spec("pytorch_metric_learning") is not None:
        found[PML] = _of_pml(loss, classes, width)
    if loss.endswith("triplet") and importlib.util.find_spec("sentence_transformers") is not None:
        name = "sentence_transformers.sentence_transformer.losses"  # until version 5 one level up
        known = importlib.util.find_spec("sentence_transformers.sentence_transformer") is not None
        losses = importlib.import_module(name if known else "sentence_transformers.losses")
        kind = losses.BatchSemiHardTripletLoss if loss.startswith("semi") else losses.BatchHardTripletLoss
        peer = kind(model=None, margin=MARGIN)
        if loss.startswith("semi"):
            found[ST] = lambda rows, labels: peer.compute_loss_from_embeddings([rows], labels)
        else:
            found[ST] = lambda rows, labels: peer.batch_hard_triplet_loss(labels, rows)
    if loss == "batch-hard triplet" and importlib.util.find_spec("oml") is not None:
        found[OML] = _of_oml()
    return found


def _of_oml() -> Step:
    """Open-metric-learning mines no semi-hard triplets, and wants NumPy below 2: it is met where somebody put it."""
    hard = importlib.import_module("oml.miners.inbatch_hard_tri").HardTripletsMiner()
    made: Step = importlib.import_module("oml.losses.triplet").TripletLossWithMiner(
        margin=MARGIN, miner=hard, need_logs=False
    )
    return made


def _of_pml(loss: str, classes: int, width: int) -> Step:
    from pytorch_metric_learning import distances, losses, miners

    squared = distances.LpDistance(power=2)
    if loss.endswith("triplet"):
        criterion: Any = losses.TripletMarginLoss(margin=MARGIN, distance=squared)
        miner: Any = (
            miners.TripletMarginMiner(margin=MARGIN, distance=squared, type_of_triplets="semihard")
            if loss.startswith("semi")
            else miners.BatchHardMiner(distance=squared)
        )
        return lambda rows, labels: criterion(rows, labels, miner(rows, labels))
    made: dict[str, Callable[[], Any]] = {
        "contrastive": losses.ContrastiveLoss,
        "multi-similarity": losses.MultiSimilarityLoss,
        "circle": losses.CircleLoss,
        "SupCon": losses.SupConLoss,
        "NT-Xent": losses.NTXentLoss,
        "lifted structure": losses.LiftedStructureLoss,
        "generalized lifted": losses.GeneralizedLiftedStructureLoss,
        "proxy anchor": lambda: losses.ProxyAnchorLoss(classes, width),
        "normalized softmax": lambda: losses.NormalizedSoftmaxLoss(classes, width),
    }
    step: Step = made[loss]()
    return step
