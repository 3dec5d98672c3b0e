"""Classes to learn from, unseen classes of the same kind, and classes of a far domain, for the claim of MSENet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.nets.inputs import check_inputs
from spaceform.rng import derive_seed
from spaceform.types import IntArray

SCRIPTS = {"train": ("Latin", "Cyrillic"), "validation": ("Greek",), "test": ("Armenian", "Georgian")}

Labelled = tuple[np.ndarray, IntArray]
"""Pictures ``(n, size, size, channels)`` and their classes ``(n,)``."""


@dataclass(frozen=True)
class Task:
    """Classes for training, unseen ones of the same domain, and those of a far domain; no class is in two parts."""

    train: Labelled
    unseen: Labelled
    far: Labelled


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task: drawn strokes and gratings, letters and clothes, or miniImageNet and birds.

    ``split`` "validation" takes Greek letters for the unseen classes and training pictures of clothes for the far ones,
    so that nothing which is reported was tuned on.
    """
    if settings["data"] == "drawn":
        return _drawn(settings["classes"], seed=derive_seed(seed, "drawn"))
    if settings["data"] == "letters":
        return _letters(settings["split"], settings["far_rows"], context)
    return _photographs(settings["size"], settings["split"], context)


def draw_strokes(n_classes: int, n_rows: int, *, seed: int, size: int = 20) -> Labelled:
    """Return ``n_rows`` pictures each of figures made of three strokes, moved and thickened a little."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(-0.7, 0.7, (n_classes, 3, 2, 2))
    steps = np.linspace(0, 1, 9)[:, None]
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij"), -1).reshape(-1, 1, 2)
    pictures = []
    for figure in ends:
        points = (figure[:, :1] * (1 - steps) + figure[:, 1:] * steps).reshape(-1, 2)
        for _ in range(n_rows):
            angle = rng.uniform(-0.25, 0.25)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            moved = points @ turn * rng.uniform(0.8, 1.1) + rng.uniform(-0.15, 0.15, 2)
            distance = np.sqrt(((grid - moved[None]) ** 2).sum(-1)).min(-1)
            pictures.append(1 / (1 + np.exp(np.clip((distance - rng.uniform(0.06, 0.14)) * 40, -50, 50))))
    X = (np.stack(pictures).reshape(-1, size, size) * 255).astype(np.uint8)
    return check_inputs(X), np.repeat(np.arange(n_classes), n_rows)


def draw_gratings(n_classes: int, n_rows: int, *, seed: int, size: int = 20) -> Labelled:
    """Return textures: waves whose direction, length and contrast are those of the class, at any phase, in noise."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n_rows)
    angles, lengths = rng.uniform(0, np.pi, n_classes), rng.uniform(2.5, 9, n_classes)
    contrasts = rng.uniform(0.2, 0.5, n_classes)[y, None, None]
    row, column = np.indices((size, size))
    along = np.cos(angles)[y, None, None] * row + np.sin(angles)[y, None, None] * column
    phases = rng.uniform(0, 2 * np.pi, (len(y), 1, 1))
    waves = 0.5 + contrasts * np.sin(2 * np.pi * along / lengths[y, None, None] + phases)
    noisy = waves + 0.25 * rng.normal(size=waves.shape)
    return check_inputs((noisy.clip(0, 1) * 255).astype(np.uint8)), y


def _drawn(n_classes: int, *, seed: int) -> Task:
    X, y = draw_strokes(n_classes, 12, seed=seed)
    seen = y < n_classes * 2 // 3
    return Task((X[seen], y[seen]), (X[~seen], y[~seen]), draw_gratings(10, 20, seed=derive_seed(seed, "far")))


def _letters(split: str, far_rows: int, context: Context) -> Task:
    letters = data.load("dejavu", progress=context.progress)
    clothes = data.load("fashion-mnist", progress=context.progress)
    X, script = check_inputs(letters.X), np.asarray(letters.attributes["script"])
    train, unseen = np.isin(script, SCRIPTS["train"]), np.isin(script, SCRIPTS[split])
    part = "train" if split == "validation" else "test"
    far = np.flatnonzero(np.asarray(clothes.attributes["split"]) == part)[:far_rows]
    return Task(
        (X[train], letters.y[train]), (X[unseen], letters.y[unseen]), (check_inputs(clothes.X[far]), clothes.y[far])
    )


def _photographs(size: int, split: str, context: Context) -> Task:
    root = context.benchmark_root("mini-imagenet/{train,val,test}.csv with images/, and CUB_200_2011/images/<class>/")
    known = data.load("mini-imagenet", root=root / "mini-imagenet", size=size, progress=context.progress)
    birds = data.load("image-folder", root=root / "CUB_200_2011" / "images", size=size, progress=context.progress)
    part = np.asarray(known.attributes["split"])
    unseen = part == ("val" if split == "validation" else "test")
    # the split of Chen and others (ICLR 2019): every fourth class for validation, the one after the next for test
    far = birds.y % 4 == (1 if split == "validation" else 3)
    train = part == "train"
    return Task((known.X[train], known.y[train]), (known.X[unseen], known.y[unseen]), (birds.X[far], birds.y[far]))
