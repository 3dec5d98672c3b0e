"""The claim of FaceNet: which triplets are mined decides; bytes cost nothing; a harmonic model reads old vectors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from spaceform.claims.context import Context
from spaceform.claims.metric_learning.facenet_data import Task, make_task
from spaceform.claims.record import Record
from spaceform.heads.compatible import compatible_head
from spaceform.losses.harmonic import HarmonicTripletLoss
from spaceform.methods.metric_learning.facenet import FaceNet
from spaceform.metrics.verification import pair_distances, verification
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.ops.quantize import ByteEmbedding
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.harmonic import fit_harmonic
from spaceform.types import FloatArray

SLUG = "facenet"

ARMS = {
    "semi_hard": "every anchor-positive pair with a random semi-hard negative",
    "random": "the same pairs, loss and steps with negatives drawn at random",
    "hardest": "ablation: the same pairs with the anchor's nearest negative, from the first step on",
    "pixels": "no network: cosine of centred pixels",
    "bytes": "the vectors of semi_hard in one byte per dimension",
    "old": "an encoder of half the channels against itself",
    "harmonic": "old vectors against those of the full encoder after harmonic training",
    "independent": "control: old vectors against those of the full encoder as it was trained by itself",
}

_MINING = {"semi_hard": "semi_hard", "random": "random", "hardest": "hard_negative"}

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "drawn",
        "split": "test",
        "fonts": 70,
        "characters": 14,
        "train_fonts": 50,
        "test_fonts": 20,
        "pairs": 1200,
        "far": 0.05,
        "folds": 10,
        "size": 20,
        "net": "conv:0.5",
        "old_net": "conv:0.25",
        "dim": 32,
        "optimizer": "adam",
        "learning_rates": {"semi_hard": 4e-3, "random": 4e-3, "hardest": 4e-3},
        "classes": 12,
        "samples": 8,
        "steps": 60,
        "head_steps": 20,
        "full_steps": 30,
        "harmonic_rate": 2e-3,
    },
    "laptop": {
        "data": "glyphs",
        "split": "test",
        "fonts": 464,
        "characters": 62,
        "train_fonts": 300,
        "test_fonts": 164,
        "pairs": 6000,
        "far": 0.01,
        "folds": 10,
        "size": 28,
        "net": "conv",
        "old_net": "conv:0.5",
        "dim": 128,
        "optimizer": "adam",
        "learning_rates": {"semi_hard": 2e-3, "random": 4e-3, "hardest": 4e-3},
        "classes": 24,
        "samples": 10,
        "steps": 300,
        "head_steps": 50,
        "full_steps": 120,
        "harmonic_rate": 1e-3,
    },
    "paper": {
        "data": "lfw",
        "split": "test",
        "fonts": 0,
        "characters": 0,
        "train_fonts": 0,
        "test_fonts": 0,
        "pairs": 6000,
        "far": 1e-3,
        "folds": 10,
        "size": 224,
        "net": "nn2:plain",
        "old_net": "nn1:plain",
        "dim": 128,
        "optimizer": "adagrad",
        "learning_rates": {"semi_hard": 0.05, "random": 0.05, "hardest": 0.05},
        "classes": 45,
        "samples": 40,
        "steps": 500_000,
        "head_steps": 20_000,
        "full_steps": 100_000,
        "harmonic_rate": 1e-4,
    },
}
"""The laptop's learning rates were chosen on 60 validation typefaces, each arm among the same three, at
120 steps; see the record."""


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return accuracy and VAL of one arm over pairs of unseen identities, and what its training showed.

    ``accuracy``: 10-fold, thresholds from the other folds; ``val``: VAL at the FAR of the settings; ``spread``: mean
    squared distance of pairs of two identities; ``active``: share of anchor-positive pairs whose triplet still had a
    loss in the last quarter of training (trained arms); ``chance``: 0.5.
    """
    task = context.shared("task", lambda: make_task(settings, seed, context))
    if arm == "pixels":
        flat = task.pictures.reshape(len(task.pictures), -1).astype(np.float64)
        vectors = flat - flat.mean(1, keepdims=True)
        return _judge(vectors, vectors, task, settings, seed)
    if arm in _MINING:
        encoder = _trained(arm, seed, settings, context)
        vectors = encoder.encode(task.pictures)
        history = encoder.history_.figures
        late = history["frac_active"][-max(1, settings["steps"] // 4) :]
        context.curve(arm, "share of pairs with a loss", encoder.history_.steps, history["frac_active"])
        context.curve(arm, "mean distance of two identities", encoder.history_.steps, history["mean_d_an"])
        return {"active": float(np.mean(late)), **_judge(vectors, vectors, task, settings, seed)}
    full = _trained("semi_hard", seed, settings, context)
    if arm == "bytes":
        coder = ByteEmbedding(scale=1.0)
        decoded = coder.fit(full.encode(task.pictures)).inverse_transform(coder.transform(full.encode(task.pictures)))
        return _judge(decoded, decoded, task, settings, seed)
    old = _trained("old", seed, settings, context)
    if arm == "harmonic":
        full = context.shared("harmonic", lambda: _harmonic(full, old, task, seed, settings, context))
    stored = old.encode(task.pictures)
    return _judge(stored, stored if arm == "old" else full.encode(task.pictures), task, settings, seed)


def mechanism(record: Record) -> None:
    """Assert what the ideas do at any scale; ``AssertionError`` names the figures.

    The harmonic model reads old vectors, which an independently trained one can't; bytes change next to nothing; and
    semi-hard mining finds triplets with a loss where random ones have run out.
    """
    mean = {
        arm: {name: float(np.mean([row[name] for row in seeds.values()])) for name in next(iter(seeds.values()))}
        for arm, seeds in record.figures().items()
    }
    told = ", ".join(f"{arm} {figures['accuracy']:.3f}" for arm, figures in mean.items())
    assert abs(mean["independent"]["accuracy"] - 0.5) < 0.12, f"independent models are not at chance: {told}"
    assert mean["harmonic"]["accuracy"] > mean["independent"]["accuracy"] + 0.12, f"harmonic: {told}"
    assert abs(mean["bytes"]["accuracy"] - mean["semi_hard"]["accuracy"]) < 0.02, f"bytes: {told}"
    assert mean["semi_hard"]["accuracy"] > 0.55, f"nothing was learned: {told}"
    active = {arm: mean[arm]["active"] for arm in _MINING}
    assert active["semi_hard"] > active["random"], f"share of pairs with a loss: {active}"


def _trained(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> FaceNet:
    """Return the encoder of an arm, trained once per seed; ``old`` is semi-hard too, smaller and of another seed."""

    def make() -> FaceNet:
        task: Task = context.shared("task", lambda: make_task(settings, seed, context))
        is_old = arm == "old"
        mined = "semi_hard" if is_old else arm
        encoder = FaceNet(
            embedding_dim=settings["dim"],
            mining=_MINING[mined],
            classes_per_batch=settings["classes"],
            samples_per_class=settings["samples"],
            steps=settings["steps"],
            learning_rate=settings["learning_rates"][mined],
            optimizer=settings["optimizer"],
            net=settings["old_net" if is_old else "net"],
            augment=False,
            random_state=derive_seed(seed, "old") if is_old else seed,
        )
        return encoder.fit(task.X, task.y, progress=context.progress)

    return context.shared(("encoder", arm), make)


def _harmonic(
    full: FaceNet, old: FaceNet, task: Task, seed: int, settings: Mapping[str, Any], context: Context
) -> FaceNet:
    inputs, labels = check_inputs(task.X), torch.from_numpy(task.y)
    sampler = MPerClassSampler(
        task.y,
        classes_per_batch=settings["classes"],
        samples_per_class=settings["samples"],
        seed=derive_seed(seed, "harmonic"),
    )

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = sampler(step)
        return as_tensor(inputs[rows]).to(device), labels[rows].to(device)

    net = compatible_head(full.net_, settings["dim"], seed=derive_seed(seed, "head"))
    device = next(net.parameters()).device
    fit_harmonic(
        net,
        old.net_,
        batches,
        head_steps=settings["head_steps"],
        full_steps=settings["full_steps"],
        loss=HarmonicTripletLoss(),
        learning_rate=settings["harmonic_rate"],
        seed=seed,
        progress=context.progress,
    )
    changed = copy.copy(full)
    changed.net_ = net
    return changed


def _judge(left: FloatArray, right: FloatArray, task: Task, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
    distances = pair_distances(left[task.first], right[task.second])
    found = verification(
        distances,
        task.same,
        n_splits=settings["folds"],
        far=settings["far"],
        folds=task.folds,
        random_state=seed,
    )
    spread = float(distances[~task.same].mean())
    return {"accuracy": found.accuracy, "val": found.val, "spread": spread, "chance": 0.5}
