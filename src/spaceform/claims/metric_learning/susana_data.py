"""Classes for training episodes and others to be tested on, for the claim of the SuSana losses."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.claims.metric_learning.facenet_data import draw_glyphs
from spaceform.rng import derive_seed
from spaceform.types import IntArray

SPLIT_SEED = 61
"""Characters that are tested on are the same for every seed and were put aside before anything was tried."""


@dataclass(frozen=True)
class Task:
    """Pictures ``X`` with classes ``y`` for training episodes; ``unseen`` ones with classes ``unseen_y`` to test on."""

    X: np.ndarray
    y: IntArray
    unseen: np.ndarray
    unseen_y: IntArray


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed: drawn characters (smoke), those of typefaces (laptop), or class folders (paper).

    The two cases of one letter are on the same side of every split. ``"validation"`` tests on the classes that are
    neither trained on nor, in the end, tested on.
    """
    if settings["data"] == "image-folder":
        return _benchmark(context.benchmark_root("images/ and split/*.csv, or train/ and test/"), settings, context)
    if settings["data"] == "drawn":
        fonts, characters = settings["fonts"], settings["characters"]
        X, y = (
            draw_glyphs(fonts, characters, seed=derive_seed(seed, "glyphs"))[0],
            np.tile(np.arange(characters), fonts),
        )
        groups = [[label] for label in range(characters)]
    else:
        glyphs = data.load(settings["data"], progress=context.progress)
        X, names = glyphs.X, np.asarray(glyphs.attributes["character"])
        listed, y = np.unique(names, return_inverse=True)
        place = {name: code for code, name in enumerate(listed.tolist())}
        letters = [[place[upper], place[upper.lower()]] for upper in string.ascii_uppercase]
        groups = letters + [[place[digit]] for digit in string.digits]
    test, rest = take_groups(groups, settings["test_classes"], seed=SPLIT_SEED)
    train, others = take_groups(rest, settings["train_classes"], seed=derive_seed(seed, "classes"))
    chosen = test if settings["split"] == "test" else others
    unseen_classes = [label for group in chosen for label in group]
    rng = np.random.default_rng(derive_seed(seed, "rows"))
    rows = rng.permutation(len(y))
    kept = np.concatenate([rows[y[rows] == label][: settings["test_rows"]] for label in unseen_classes])
    seen_rows = np.isin(y, [label for group in train for label in group])
    return Task(X[seen_rows], y[seen_rows].astype(np.int64), X[kept], y[kept].astype(np.int64))


def _benchmark(root: Path, settings: Mapping[str, Any], context: Context) -> Task:
    """Return training and test classes from lists (``image-splits``) or from class folders."""
    size, progress = settings["size"], context.progress
    if (root / "split").is_dir():
        found = data.load("image-splits", root=root, size=size, progress=progress)
        train, test = (np.asarray(found.attributes["split"]) == part for part in ("train", "test"))
        return Task(found.X[train], found.y[train], found.X[test], found.y[test])
    seen, unseen = (
        data.load("image-folder", root=root / part, size=size, progress=progress) for part in ("train", "test")
    )
    return Task(seen.X, seen.y, unseen.X, unseen.y)


def take_groups(groups: list[list[int]], count: int, *, seed: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return groups with ``count`` classes in all, drawn by ``seed``, and the others; no group is cut."""
    order = np.random.default_rng(seed).permutation(len(groups))
    taken: list[int] = []
    left = count
    for place in order.tolist():
        if len(groups[place]) <= left:
            taken.append(place)
            left -= len(groups[place])
    return [groups[place] for place in taken], [groups[place] for place in order.tolist() if place not in taken]
