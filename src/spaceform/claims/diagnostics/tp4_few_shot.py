"""Few-shot learning of letters at growing width and under other scalings, for the claim of Tensor Programs IV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spaceform import data
from spaceform.claims.context import Context
from spaceform.encoders.infinite import linear_maml
from spaceform.methods.diagnostics.tp4 import InfiniteLinearMAML, kernel_movement
from spaceform.metrics.few_shot import few_shot_accuracy
from spaceform.rng import derive_seed
from spaceform.samplers.episodes import EpisodeSampler
from spaceform.types import FloatArray, IntArray

SCRIPTS = {"train": ("Latin", "Cyrillic"), "validation": ("Greek",), "test": ("Armenian", "Georgian")}
WAYS = 5
MOVED = 1000
"""Rows over which the movement of the kernel is measured."""


@dataclass(frozen=True)
class Letters:
    """Rows and classes to learn from, and others of classes that training does not see."""

    seen_rows: FloatArray
    seen_y: IntArray
    new_rows: FloatArray
    new_y: IntArray


def load_letters(settings: Mapping[str, Any], seed: int, context: Context) -> Letters:
    """Return drawn rows (smoke), letters by script (``split`` "validation" for tuning), or Omniglot."""
    if settings["data"] == "drawn":
        return _drawn(derive_seed(seed, "drawn"))
    if settings["data"] == "omniglot":
        root = context.benchmark_root(
            "omniglot/images_background/ and images_evaluation/, <alphabet>/<character>/*.png"
        )
        found = data.load("omniglot", root=root / "omniglot", progress=context.progress)
        rows = found.X.reshape(len(found), -1).astype(np.float32) / 255
        part = np.asarray(found.attributes["split"])
        return Letters(
            *_turned(found.X, found.y, part == "background"), rows[part != "background"], found.y[part != "background"]
        )
    letters = data.load("dejavu", progress=context.progress)
    script = np.asarray(letters.attributes["script"])
    pooled = letters.X.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(len(letters), -1)
    rows = (2 * pooled / 255).astype(np.float32)  # doubled: the norm that the paper's rates are for
    train, test = np.isin(script, SCRIPTS["train"]), np.isin(script, SCRIPTS[settings["split"]])
    return Letters(rows[train], letters.y[train], rows[test], letters.y[test])


def _turned(X: np.ndarray, y: IntArray, chosen: np.ndarray) -> tuple[FloatArray, IntArray]:
    """Return the chosen pictures turned by 0, 90, 180 and 270 degrees, each turn a class of its own."""
    pictures, codes = X[chosen], y[chosen]
    turned = np.concatenate([np.rot90(pictures, turns, axes=(1, 2)) for turns in range(4)])
    rows = turned.reshape(len(turned), -1).astype(np.float32) / 255
    return rows, np.concatenate([codes + turns * (y.max() + 1) for turns in range(4)])


def _drawn(seed: int) -> Letters:
    """Return rows whose classes differ in 6 of 40 directions; the other 34 are noise, which pixels can't tell."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    y = np.arange(80 * 20) % 80
    own = rng.normal(size=(80, 6))[y] * 1.5 + 0.4 * rng.normal(size=(len(y), 6))
    rows = (np.concatenate([own, 1.2 * rng.normal(size=(len(y), 34))], 1) @ turn).astype(np.float32)
    seen = y < 60
    return Letters(rows[seen], y[seen], rows[~seen], y[~seen])


def run_few_shot(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return ``accuracy`` on tasks of unseen classes and, of networks, ``movement`` of the hidden kernel."""
    letters = context.shared("letters", lambda: load_letters(settings, seed, context))
    sampler = EpisodeSampler(letters.new_y, n_way=WAYS, n_shot=1, n_query=1, seed=derive_seed(seed, "test tasks"))
    if arm == "pixels":
        return {"accuracy": few_shot_accuracy(letters.new_rows, sampler.episodes(settings["tasks"])).mean}
    seen_rows, new_rows = letters.seen_rows, letters.new_rows
    if arm == "relu_kernel":
        seen_rows, new_rows = (
            _random_features(X, settings["features"], derive_seed(seed, "features")) for X in (seen_rows, new_rows)
        )
    model = InfiniteLinearMAML(
        n_way=WAYS, steps=settings["steps"], random_state=derive_seed(seed, "net") % 2**31, **settings["nets"][arm]
    )
    model.fit(seen_rows, letters.seen_y, progress=context.progress)
    context.curve(arm, "loss of training tasks", *_thinned(model.losses_))
    start = InfiniteLinearMAML(**{**model.get_params(), "steps": 0}).fit(seen_rows, letters.seen_y)
    few = np.random.default_rng(derive_seed(seed, "moved")).permutation(len(new_rows))[:MOVED]
    moved = kernel_movement(start.transform(new_rows[few]), model.transform(new_rows[few]))
    accuracy = task_accuracy(model, new_rows, sampler, settings["tasks"])
    return {"accuracy": accuracy, "movement": moved.centred, "neighbours_moved": moved.neighbours}


def task_accuracy(model: InfiniteLinearMAML, X: FloatArray, sampler: EpisodeSampler, count: int) -> float:
    """Return the accuracy over ``count`` tasks after 20 adapting steps, many tasks at a time."""
    episodes, rows, one_hot = list(sampler.episodes(count)), torch.from_numpy(X), torch.eye(WAYS)
    right = 0
    for start in range(0, count, 64):
        part = episodes[start : start + 64]
        Xs, Xq = (
            rows[torch.from_numpy(np.stack([getattr(one, name).ravel() for one in part]))]
            for name in ("support", "query")
        )
        targets = one_hot.expand(len(part), -1, -1)
        adapted = linear_maml.adapt(model.net_, Xs, targets, Xq, rate=model.inner_rate, steps=20)
        right += int((adapted.logits.argmax(2) == torch.arange(WAYS)).sum())
    return right / (count * WAYS)


def _random_features(X: FloatArray, count: int, seed: int) -> FloatArray:
    """Return random rectified features, whose products tend to the kernel of a rectified layer, at the norm of X."""
    weights = np.random.default_rng(seed).normal(size=(X.shape[1], count)).astype(np.float32)
    features: FloatArray = np.maximum(X @ weights, 0) * np.float32((2 / count) ** 0.5)
    return features


def _thinned(losses: FloatArray) -> tuple[list[float], list[float]]:
    size = max(1, len(losses) // 50)
    whole = losses[: len(losses) // size * size].reshape(-1, size).mean(1)
    return [float(size * (number + 1)) for number in range(len(whole))], whole.tolist()
