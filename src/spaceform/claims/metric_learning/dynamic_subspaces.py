"""The claim of dynamic subspace learners: growing learners replaces the search for their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform.claims.context import Context
from spaceform.claims.metric_learning.dynamic_subspaces_data import Part, Task, make_task
from spaceform.claims.record import Record
from spaceform.methods.metric_learning.dynamic_subspaces import (
    DynamicSubspaceTrainer,
    GatedBackbone,
    SpatialGate,
    SubspaceEmbedding,
)
from spaceform.metrics.retrieval import recall_at_k
from spaceform.metrics.segmentation import dice, weak_masks
from spaceform.nets.resnets.resnet50 import resnet50_trunk
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import flipped_crops
from spaceform.training.growth import NeuronStatistics
from spaceform.training.subspaces import GrowthHistory, clustering_nmi
from spaceform.types import FloatArray

SLUG = "dynamic-subspaces"

ARMS = {
    "single": "one learner over all dimensions",
    "static_2": "divide and conquer with 2 learners of equal size",
    "static_4": "divide and conquer with 4 learners of equal size",
    "searched": "the best of 1, 2 and 4 learners by validation NMI: three trainings instead of one",
    "dynamic": "begins with one learner and adds others when validation stalls, keeping neurons by their Taylor score",
    "random_neurons": "ablation: as many neurons are kept, drawn at random",
    "random_clusters": "control: learners are added as by dynamic, but learn from random parts of the data",
}

STATIC = {"single": 1, "static_2": 2, "static_4": 4}

_LAPTOP = {
    "split": "test",
    "lists": [],
    "size": 28,
    "net": "conv",
    "channels": [16, 32],
    "reduction": [8, 16],
    "dim": 64,
    "batch": [8, 8],
    "rates": [2e-3, 1e-4],
    "patience": 3,
    "min_slice": 8,
    "min_keep": 4,
    "scorings": 5,
    "neuron_draws": 10,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        **_LAPTOP,
        "data": "drawn",
        "rows": [128, 80, 100],
        "channels": [8, 16],
        "reduction": [4, 8],
        "dim": 16,
        "batch": [4, 8],
        "rates": [3e-3, 1e-4],
        "epochs": 7,
        "finetune_from": 6,
        "patience": 1,
        "min_keep": 2,
        "scorings": 2,
    },
    "laptop": {**_LAPTOP, "data": "fashion-mnist", "rows": [1000, 600, 2000], "epochs": 30, "finetune_from": 25},
    "paper": {
        **_LAPTOP,
        "reduction": [8, 32],
        "data": "image-list",
        "lists": ["ISIC_train.txt", "ISIC_test.txt"],
        "rows": [0, 0.1, 0],
        "size": 256,
        "net": "resnet50",
        "channels": [],
        "dim": 128,
        "batch": [4, 8],
        "rates": [1e-5, 1e-4],
        "epochs": 300,
        "finetune_from": 250,
        "patience": 10,
        "min_slice": 10,
        "min_keep": 5,
    },
}
"""At paper scale ``resnet50.safetensors`` (ImageNet weights under torchvision's names) lies beside the lists."""


@dataclass(frozen=True)
class Trained:
    """One finished training, and retrieval by some of its neurons just before its first split."""

    trainer: DynamicSubspaceTrainer
    history: GrowthHistory
    kept: dict[str, float]


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return clustering and retrieval of one arm on test rows, in per cent, and what its training did.

    ``nmi``: k-means with the number of classes, mean over k-means seeds; ``recall``: recall@1, with ``recall_2`` to
    ``recall_8``; ``validation_nmi``; ``learners``, ``first_split`` (epoch, -1: none), ``smallest`` slice. Where the
    object's pixels are known: ``dice`` of the attention map as a mask, ``dice_activity`` of the mean activity of the
    same net, ``dice_all`` of all pixels. Arms that grow also give ``kept_taylor``, ``kept_random``, ``kept_variance``,
    ``kept_least``: recall@1 of as many neurons, chosen in these ways, just before the first split; ``kept_all`` of all
    neurons, which is also what the others are where no split came.
    """
    task = context.shared("task", lambda: make_task(settings, seed, context))
    if arm == "searched":
        every = {name: _trained(name, seed, settings, context, task) for name in STATIC}
        scores = {name: _nmi(one.trainer, task.validation, settings, seed) for name, one in every.items()}
        best = max(scores, key=lambda name: scores[name])
        return {"chosen": float(STATIC[best]), **_figures(best, every[best], task, settings, seed, context)}
    trained = _trained(arm, seed, settings, context, task)
    epochs = range(1, len(trained.history.score) + 1)
    context.curve(arm, "validation NMI", epochs, trained.history.score)
    context.curve(arm, "learners", epochs, [float(k) for k in trained.history.n_learners])
    return _figures(arm, trained, task, settings, seed, context)


def mechanism(record: Record) -> None:
    """Assert that learners are added, stay within their bounds, and that a single learner stays single."""
    figures = record.figures()
    for seed, found in figures["dynamic"].items():
        assert found["learners"] > figures["single"][seed]["learners"] == 1, f"seed {seed}: no split, {found}"
        assert found["smallest"] >= 1, f"seed {seed}: {found}"
        assert 0 <= found["first_split"] < record.settings["finetune_from"], f"seed {seed}: {found}"
    chance = 100 / 4 if record.scale == "smoke" else 100 / 10
    means = {arm: float(np.mean([row["recall"] for row in seeds.values()])) for arm, seeds in figures.items()}
    assert min(means.values()) > 1.5 * chance, f"nothing was learned: {means}"


def _trained(arm: str, seed: int, settings: Mapping[str, Any], context: Context, task: Task) -> Trained:
    return context.shared(("trained", arm), partial(_train, arm, seed, settings, context, task))


def _train(arm: str, seed: int, settings: Mapping[str, Any], context: Context, task: Task) -> Trained:
    backbone, width = _backbone(seed, settings, context, task.train.X.shape[1])
    embedding = SubspaceEmbedding(
        width, settings["dim"], n_slices=STATIC.get(arm, 1), seed=derive_seed(seed, "embedding")
    )
    trainer = DynamicSubspaceTrainer(
        backbone,
        embedding,
        dynamic=arm not in STATIC,
        importance="random" if arm == "random_neurons" else "taylor",
        clusters="random" if arm == "random_clusters" else "features",
        patience=settings["patience"],
        min_slice=settings["min_slice"],
        min_keep=settings["min_keep"],
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.to(device), embedding.to(device)
    kept: dict[str, float] = {}

    def compare(epoch: int, statistics: NeuronStatistics, keep: torch.Tensor) -> None:
        if not kept:
            generator = torch_generator(derive_seed(seed, "neurons"))
            last = embedding.slices[-1]
            kept.update(_choices(trainer, statistics, last, len(keep), task.test, settings, generator))

    history = trainer.fit(
        task.train.X,
        task.train.y,
        validation=(task.validation.X, task.validation.y),
        epochs=settings["epochs"],
        finetune_from=settings["finetune_from"],
        batch=tuple(settings["batch"]),
        rates=tuple(settings["rates"]),
        augment=partial(flipped_crops, size=settings["size"] * 7 // 8) if settings["net"] == "resnet50" else None,
        seed=seed,
        on_split=compare,
        progress=context.progress,
    )
    return Trained(trainer, history, kept)


def _backbone(seed: int, settings: Mapping[str, Any], context: Context, channels: int) -> tuple[GatedBackbone, int]:
    """Return the network below the embedding and the width of its features."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if settings["net"] == "resnet50":
            root = context.benchmark_root("resnet50.safetensors, ImageNet weights under torchvision's names")
            trunk: nn.Module = resnet50_trunk(root / "resnet50.safetensors")
            width = 1024
        else:
            layers: list[nn.Module] = []
            width = channels
            for wide in settings["channels"]:
                layers += [nn.Conv2d(width, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
                width = wide
            trunk = nn.Sequential(*layers)
        gate = SpatialGate(width, reduction=tuple(settings["reduction"]))
        return GatedBackbone(trunk, gate, freeze_norms=settings["net"] == "resnet50"), width


def _figures(
    arm: str, trained: Trained, task: Task, settings: Mapping[str, Any], seed: int, context: Context
) -> dict[str, float]:
    def measure() -> dict[str, float]:
        trainer, history, test = trained.trainer, trained.history, task.test
        embeddings = trainer.encode(test.X)
        recall = recall_at_k(embeddings, test.y, ks=(1, 2, 4, 8))
        return {
            "nmi": _nmi(trainer, test, settings, seed),
            "recall": 100 * recall[1],
            **{f"recall_{k}": 100 * recall[k] for k in (2, 4, 8)},
            "validation_nmi": _nmi(trainer, task.validation, settings, seed),
            "learners": float(history.n_learners[-1]),
            "first_split": float(history.splits[0][0]) if history.splits else -1.0,
            "smallest": float(min(len(part) for part in trainer.embedding.slices)),
            **_masks(trainer, test),
            **_kept(arm, trained, 100 * recall[1]),
        }

    return dict(context.shared(("figures", arm), measure))


def _nmi(trainer: DynamicSubspaceTrainer, part: Part, settings: Mapping[str, Any], seed: int) -> float:
    embeddings = trainer.encode(part.X)
    states = [derive_seed(seed, "scoring", number) for number in range(settings["scorings"])]
    return 100 * float(np.mean([clustering_nmi(embeddings, part.y, random_state=state) for state in states]))


def _kept(arm: str, trained: Trained, recall: float) -> dict[str, float]:
    if arm in STATIC:
        return {}
    return trained.kept or {f"kept_{name}": recall for name in ("all", "taylor", "least", "variance", "random")}


def _choices(
    trainer: DynamicSubspaceTrainer,
    statistics: NeuronStatistics,
    part: range,
    count: int,
    test: Part,
    settings: Mapping[str, Any],
    generator: torch.Generator,
) -> dict[str, float]:
    """Return recall@1 of neurons of a slice alone, so many of them, by what they are chosen for."""
    rows = trainer.encode(test.X)[:, part.start : part.stop]
    taylor = statistics.signed().abs()[part.start : part.stop]
    variance = statistics.variance()[part.start : part.stop]
    draws = [torch.randperm(len(part), generator=generator)[:count] for _ in range(settings["neuron_draws"])]

    def recall(neurons: torch.Tensor) -> float:
        chosen = rows[:, neurons.numpy()].astype(np.float64)
        chosen /= np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
        return 100 * recall_at_k(chosen, test.y, ks=(1,))[1]

    return {
        "kept_all": recall(torch.arange(len(part))),
        "kept_taylor": recall(taylor.topk(count).indices),
        "kept_least": recall((-taylor).topk(count).indices),
        "kept_variance": recall(variance.topk(count).indices),
        "kept_random": float(np.mean([recall(draw) for draw in draws])),
        "kept_neurons": float(count),
    }


def _masks(trainer: DynamicSubspaceTrainer, test: Part) -> dict[str, float]:
    """Return how well maps say where the object is, where that is known."""
    if test.masks is None:
        return {}
    backbone, truth = trainer.backbone, test.masks
    assert isinstance(backbone, GatedBackbone)  # what _backbone makes

    def score(function: Any) -> float:
        maps: list[FloatArray] = []
        with torch.no_grad():
            for start in range(0, len(test.X), 256):
                pictures = test.X[start : start + 256].float().div_(255).to(trainer.embedding.weight.device)
                maps.append(function(pictures)[:, 0].cpu().numpy())
        return 100 * dice(weak_masks(np.concatenate(maps), truth.shape[1]), truth)

    return {
        "dice": score(backbone.attention),
        "dice_activity": score(backbone.activity),
        "dice_all": 100 * dice(np.ones_like(truth), truth),
    }
