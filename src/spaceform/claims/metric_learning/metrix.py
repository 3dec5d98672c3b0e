"""Metrix' claim: mixed examples with fractional labels help on unseen classes, and it is the labels that do it."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform import data
from spaceform.claims.context import Context
from spaceform.claims.metric_learning.facenet_data import draw_glyphs
from spaceform.claims.record import Record
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.fused.fractional import PairSets
from spaceform.methods.metric_learning.metrix import (
    PAPER_OPTIONS,
    Metrix,
    alignment,
    positivity,
    uniformity,
    utilization,
)
from spaceform.metrics.retrieval import recall_at_k
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

SLUG = "metrix"

ARMS = {
    "contrastive": "the contrastive loss alone",
    "contrastive_metrix": "with mixed embeddings and their fractional labels",
    "contrastive_features": "with mixed features of the network",
    "contrastive_rounded": "ablation: mixed embeddings, each label rounded to 0 or 1",
    "contrastive_positive": "ablation: mixed embeddings, each called a positive",
    "contrastive_heavier": "control: no mixing, the loss itself with the weight of both terms",
    "multi_similarity": "the multi-similarity loss alone",
    "multi_similarity_metrix": "with mixed embeddings and their fractional labels",
    "proxy_anchor": "the proxy anchor loss alone",
    "proxy_anchor_metrix": "with mixed embeddings and their fractional labels",
}

_LAPTOP: dict[str, Any] = {
    "data": "glyphs",
    "characters": string.ascii_uppercase + string.digits,
    "rows_per_class": 60,
    "test_rows": 2000,
    "size": 28,
    "net": "conv:0.25",
    "dim": 64,
    "classes": 18,
    "samples": 5,
    "steps": 200,
    "learning_rate": 2e-3,
    "augment": False,
    "weight": 0.4,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": _LAPTOP
    | {"data": "drawn", "characters": 16, "rows_per_class": 12, "test_rows": 200, "size": 20}
    | {"classes": 8, "dim": 16, "steps": 20},
    "laptop": _LAPTOP,
    "paper": _LAPTOP
    | {"data": "unseen-classes", "rows_per_class": 0, "test_rows": 0, "size": 224, "net": "nn2", "dim": 512}
    | {"classes": 20, "steps": 3600, "learning_rate": 1e-4, "augment": True},
}
"""At the paper's scale the network is not the pre-trained ResNet-50 of the paper but trained from scratch."""


@dataclass(frozen=True)
class Task:
    """Pictures ``X`` of the trained classes with ``y``; ``Q`` of unseen classes with ``q``, searched in ``G``."""

    X: np.ndarray
    y: IntArray
    Q: np.ndarray
    q: IntArray
    G: np.ndarray | None
    g: IntArray | None


class Relabelled(nn.Module):
    """A loss whose fractional labels are changed by a rule before it sees them: what takes the idea away."""

    joint = False

    def __init__(self, loss: ContrastiveLoss, rule: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.loss, self.rule = loss, rule

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch, whose labels are whole."""
        value: torch.Tensor = self.loss(embeddings, labels)
        return value

    def pair_sets(self, embeddings: torch.Tensor, labels: torch.Tensor) -> PairSets:
        """Return what the loss compares."""
        return self.loss.pair_sets(embeddings, labels)

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs with changed labels."""
        return self.loss.fractional(closeness, self.rule(targets), mask)


RULES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"rounded": torch.round, "positive": torch.ones_like}


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return Recall@1 on unseen classes, utilization of the training rows by them, alignment and uniformity.

    ``pixels`` is Recall@1 of the pixels themselves; ``positive_low`` and ``positive_high`` are the shares of mixtures
    that act as positives when the positive has 0.1 and 0.9 of them.
    """
    task = context.shared("task", lambda: make_task(settings, seed, context))
    encoder = _encoder(arm, settings, seed)
    encoder.fit(task.X, task.y, progress=context.progress)
    vectors, trained = encoder.encode(task.Q), encoder.encode(task.X)
    gallery = None if task.G is None else encoder.encode(task.G)
    context.curve(arm, "loss of whole pairs", encoder.history_.steps, encoder.history_.figures["clean"])
    figures = {
        "recall": _recall(vectors, task, gallery),
        "utilization": utilization(vectors, trained),
        "alignment": alignment(vectors, task.q),
        "uniformity": uniformity(vectors),
        "pixels": context.shared("pixels", lambda: _pixels(task)),
    }
    inner: Any = encoder.loss_.loss
    if arm.endswith("_metrix"):
        rows = np.random.default_rng(derive_seed(seed, "mixtures")).permutation(len(task.y))[:100]
        codes = torch.from_numpy(np.searchsorted(encoder.classes_, task.y[rows]))
        for name, lam in (("low", 0.1), ("high", 0.9)):
            figures[f"positive_{name}"] = positivity(inner, torch.from_numpy(trained[rows]), codes, lam=lam)
    return figures


def mechanism(record: Record) -> None:
    """Assert that it is the labels that act: all mixtures called positive draw the space together.

    And a mixture that is mostly a positive acts as one more often; more weight without mixing changes nothing.
    """
    mean = {
        arm: {name: float(np.mean([row[name] for row in runs.values()])) for name in next(iter(runs.values()))}
        for arm, runs in record.figures().items()
    }
    low, high = (mean["contrastive_metrix"][name] for name in ("positive_low", "positive_high"))
    assert high > low, f"mixtures that act as positives: {low:.3f} at share 0.1, {high:.3f} at 0.9"
    labelled, positive = (mean[f"contrastive_{arm}"]["uniformity"] for arm in ("metrix", "positive"))
    assert positive > labelled + 0.05, f"uniformity: {labelled:.3f} with labels, {positive:.3f} with all positive"
    alone, heavier = (mean[arm]["recall"] for arm in ("contrastive", "contrastive_heavier"))
    assert abs(alone - heavier) < 0.03, f"recall: {alone:.3f} alone, {heavier:.3f} with more weight"


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed: which classes are trained, and which are searched."""
    if settings["data"] == "unseen-classes":
        return _benchmark(context.benchmark_root("CUB200, Cars196, SOP or In-Shop"), settings["size"], context)
    if settings["data"] == "drawn":
        n = settings["characters"]
        X, _ = draw_glyphs(40, n, seed=derive_seed(seed, "glyphs"), size=settings["size"])
        names = np.tile(np.arange(n), 40)
    else:
        found = data.load("glyphs", progress=context.progress)
        characters = np.asarray(found.attributes["character"])
        kept = np.isin(characters, list(settings["characters"]))
        X, names = found.X[kept], np.unique(characters[kept], return_inverse=True)[1]
    random = np.random.default_rng(derive_seed(seed, "classes"))
    order = random.permutation(names.max() + 1)
    seen, unseen = order[: len(order) // 2], order[len(order) // 2 :]
    chosen = [random.permutation(np.flatnonzero(names == one))[: settings["rows_per_class"]] for one in seen]
    train = np.concatenate(chosen)
    test = random.permutation(np.flatnonzero(np.isin(names, unseen)))[: settings["test_rows"]]
    return Task(X[train], names[train].astype(np.int64), X[test], names[test].astype(np.int64), None, None)


def _benchmark(root: Path, size: int, context: Context) -> Task:
    found = data.load("unseen-classes", root=root, size=size, progress=context.progress)
    split = np.asarray(found.attributes["split"])
    train, gallery = split == "train", split == "gallery"
    asked = (split == "test") | (split == "query")
    sets = (found.X[gallery], found.y[gallery]) if gallery.any() else (None, None)
    return Task(found.X[train], found.y[train], found.X[asked], found.y[asked], *sets)


def _encoder(arm: str, settings: Mapping[str, Any], seed: int) -> Metrix:
    name = next(known for known in PAPER_OPTIONS if arm.startswith(known))
    kind = arm.removeprefix(name).removeprefix("_")
    loss: str | nn.Module = name
    if kind in RULES:
        loss = Relabelled(ContrastiveLoss(**PAPER_OPTIONS[name]), RULES[kind])
    elif kind == "heavier":
        loss = (1 + settings["weight"]) * ContrastiveLoss(**PAPER_OPTIONS[name])
    return Metrix(
        loss=loss,
        level="feature" if kind == "features" else "embedding",
        weight=settings["weight"] if kind not in {"", "heavier"} else 0.0,
        embedding_dim=settings["dim"],
        classes_per_batch=settings["classes"],
        samples_per_class=settings["samples"],
        steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        net=settings["net"],
        augment=settings["augment"],
        random_state=seed,
    )


def _recall(vectors: FloatArray, task: Task, gallery: FloatArray | None) -> float:
    return recall_at_k(vectors, task.q, (1,), gallery=gallery, gallery_labels=task.g)[1]


def _pixels(task: Task) -> float:
    flat = [None if part is None else part.reshape(len(part), -1) / 255.0 for part in (task.Q, task.G)]
    assert flat[0] is not None  # queries are always there
    return _recall(flat[0], task, flat[1])
