"""Identities to learn from and pairs of unseen identities to be judged on, for the claim of FaceNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, IntArray

SPLIT_SEED = 83
"""The typefaces that are tested on are the same for every seed and were put aside before anything was tuned."""


@dataclass(frozen=True)
class Task:
    """Pictures ``X`` with identities ``y`` to train on; ``pictures`` of unseen identities and pairs of their rows.

    ``folds`` is the fold of each pair where a benchmark fixes it, else None.
    """

    X: np.ndarray
    y: IntArray
    pictures: np.ndarray
    first: IntArray
    second: IntArray
    same: BoolArray
    folds: IntArray | None


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed: drawn glyphs (smoke), typefaces (laptop) or faces (paper)."""
    if settings["data"] == "lfw":
        return _faces(settings, context.benchmark_root("train/<identity>/*.jpg and lfw/<Name>/*.jpg with pairs.txt"))
    if settings["data"] == "drawn":
        X, y = draw_glyphs(settings["fonts"], settings["characters"], seed=derive_seed(seed, "glyphs"))
        order = np.arange(settings["fonts"])
    else:
        found = data.load("glyphs", progress=context.progress)
        X, y = found.X, found.y
        order = np.random.default_rng(SPLIT_SEED).permutation(len(found.classes))
    n_train, n_test = settings["train_fonts"], settings["test_fonts"]
    if n_train + n_test > len(order):
        raise InputError("train_fonts", got=n_train + n_test, expected=f"at most {len(order)} fonts in all")
    # tested fonts are at the end; what lies between them and the trained ones served to choose learning rates
    chosen = order[len(order) - n_test :] if settings["split"] == "test" else order[n_train : n_train + n_test]
    train, test = np.isin(y, order[:n_train]), np.flatnonzero(np.isin(y, chosen))
    first, second, same = sample_pairs(y[test], settings["pairs"], seed=derive_seed(seed, "pairs"))
    return Task(X[train], y[train], X[test], first, second, same, None)


def sample_pairs(y: IntArray, n_pairs: int, *, seed: int) -> tuple[IntArray, IntArray, BoolArray]:
    """Return rows of ``n_pairs`` pairs, half of one identity and half of two; identities are drawn before rows.

    Rows of a pair differ. Raises ``InputError`` when no identity has two rows or there is only one.
    """
    names, starts, counts = np.unique(np.sort(y, kind="stable"), return_index=True, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        raise InputError("y", got=f"{len(names)} identities", expected="at least two, one of them with two rows")
    order, rng = np.argsort(y, kind="stable"), np.random.default_rng(seed)
    same = np.arange(n_pairs) % 2 == 0
    several = np.flatnonzero(counts > 1)
    left = np.where(same, several[rng.integers(0, len(several), n_pairs)], rng.integers(0, len(names), n_pairs))
    right = np.where(same, left, (left + rng.integers(1, len(names), n_pairs)) % len(names))
    first = rng.integers(0, counts[left])
    shift = rng.integers(1, np.maximum(counts[left], 2))
    second = np.where(same, (first + shift) % counts[left], rng.integers(0, counts[right]))
    return order[starts[left] + first], order[starts[right] + second], same


def draw_glyphs(n_fonts: int, n_characters: int, *, seed: int, size: int = 20) -> tuple[np.ndarray, IntArray]:
    """Return invented glyphs ``(n, size, size)`` uint8 and their fonts: strokes of a character in the style of a font.

    A character is three curves; a font slants and squeezes them, sets width and softness of the pen, and waves them.
    """
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, 12)[:, None]
    knots = rng.uniform(-0.7, 0.7, (n_characters, 3, 3, 2))
    curves = knots[:, :, None, 0] * (1 - t) ** 2 + knots[:, :, None, 1] * 2 * t * (1 - t) + knots[:, :, None, 2] * t**2
    points = curves.reshape(n_characters, -1, 2)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij"), -1).reshape(-1, 1, 2)
    pictures = []
    for _ in range(n_fonts):
        slant, squeeze = rng.uniform(-0.6, 0.6), rng.uniform(0.6, 1.2)
        pen, edge = rng.uniform(0.05, 0.18), rng.uniform(0.02, 0.12)
        height, waves, phase = rng.uniform(0, 0.15), rng.uniform(2, 9), rng.uniform(0, 6)
        styled = np.stack([points[..., 0], points[..., 1] * squeeze + slant * points[..., 0]], -1)
        styled[..., 0] += height * np.sin(waves * styled[..., 1] + phase)
        distance = np.sqrt(((grid[None] - styled[:, None]) ** 2).sum(-1)).min(-1)
        ink = 1 / (1 + np.exp(np.clip((distance - pen) / edge * 4, -50, 50)))
        pictures.append(ink.reshape(n_characters, size, size))
    X = (np.concatenate(pictures) * 255).astype(np.uint8)
    return X, np.repeat(np.arange(n_fonts), n_characters)


def _faces(settings: Mapping[str, Any], root: Path) -> Task:
    from spaceform.data.layouts.benchmarks.lfw import read_pairs

    size = settings["size"]
    known = data.load("image-folder", root=root / "train", size=size)
    faces = data.load("lfw", root=root / "lfw", size=size)
    pairs = read_pairs(root / "lfw", faces)
    return Task(known.X, known.y, faces.X, pairs.first, pairs.second, pairs.same, pairs.fold)
