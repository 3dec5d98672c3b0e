"""Pictures for the claim of dynamic subspace learners: drawn ones, clothing, or the lists of a medical benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spaceform import data
from spaceform.claims.context import Context
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, IntArray

SIZE = 16
"""Side of drawn pictures in pixels."""


@dataclass(frozen=True)
class Part:
    """Pictures ``X (n, C, h, w)`` uint8 with labels, and the pixels of what they show (None where nobody knows)."""

    X: torch.Tensor
    y: IntArray
    masks: BoolArray | None


@dataclass(frozen=True)
class Task:
    """Parts to train on, to decide about splits with, and to be judged on."""

    train: Part
    validation: Part
    test: Part


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed. With ``split = "validation"`` other rows are judged, none of them from the test."""
    sizes = settings["rows"]
    rng = np.random.default_rng(derive_seed(seed, "rows"))
    if settings["data"] == "drawn":
        X, y = draw(sum(sizes), seed=derive_seed(seed, "pictures"))
        return Task(*(_grey(X[part], y[part]) for part in _cut(np.arange(len(y)), sizes)))
    if settings["data"] == "fashion-mnist":
        found = data.load("fashion-mnist", progress=context.progress)
        kind = np.asarray(found.attributes["split"])
        rows = rng.permutation(np.flatnonzero(kind == "train"))
        train, validation, rest = _cut(rows, [*sizes[:2], len(rows) - sum(sizes[:2])])
        test = rng.permutation(np.flatnonzero(kind == "test")) if settings["split"] == "test" else rest
        return Task(*(_grey(found.X[part], found.y[part]) for part in (train, validation, test[: sizes[2]])))
    return _listed(settings, rng, context)


def draw(n: int, *, seed: int) -> tuple[np.ndarray, IntArray]:
    """Return ``n`` grey pictures on black of four shapes, each thin or thick and anywhere: one class, many looks."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    X = np.zeros((n, SIZE, SIZE), dtype=np.float64)
    down, across = np.mgrid[:SIZE, :SIZE]
    for picture, kind in zip(X, y, strict=True):
        row, column = rng.uniform(5, SIZE - 6, 2)
        thick, reach = rng.choice([1.0, 2.2]), rng.uniform(3.5, 5)
        high, wide = np.abs(down - row), np.abs(across - column)
        near = np.maximum(high, wide) <= reach
        shapes = (
            near & (high < thick),
            near & (wide < thick),
            near & (np.abs(high - wide) < thick),
            (np.abs(np.hypot(high, wide) - reach + 1) < thick * 0.7),
        )
        picture[shapes[kind]] = rng.uniform(120, 255)
    X[X > 0] += rng.normal(0, 15, int((X > 0).sum()))
    return X.clip(0, 255).astype(np.uint8), y.astype(np.int64)


def _listed(settings: Mapping[str, Any], rng: np.random.Generator, context: Context) -> Task:
    root = context.benchmark_root(f"the pictures and the lists {settings['lists']} of image_id class_id path")
    parts = [
        data.load("image-list", root=root, listing=name, size=settings["size"], progress=context.progress)
        for name in settings["lists"]
    ]
    order = rng.permutation(len(parts[0]))
    held_out = round(settings["rows"][1] * len(order)) if settings["rows"][1] < 1 else settings["rows"][1]
    train, watched = np.sort(order[held_out:]), np.sort(order[:held_out])
    colour = [torch.from_numpy(part.X).permute(0, 3, 1, 2) for part in parts]
    edge = settings["size"] // 16
    centre = slice(edge, settings["size"] - edge)  # 224 of 256, as large as the crops to train on
    return Task(
        Part(colour[0][torch.from_numpy(train)], parts[0].y[train], None),
        Part(colour[0][torch.from_numpy(watched)][:, :, centre, centre], parts[0].y[watched], None),
        Part(colour[1][:, :, centre, centre], parts[1].y, None),
    )


def _grey(X: np.ndarray, y: IntArray) -> Part:
    return Part(torch.from_numpy(X)[:, None], y, X > 0)


def _cut(rows: IntArray, sizes: Any) -> list[IntArray]:
    return np.split(rows, np.cumsum(sizes))[: len(sizes)]
