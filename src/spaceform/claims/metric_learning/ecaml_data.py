"""Seen classes to learn from and unseen ones to be found, for the claim of ECAML."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.claims.metric_learning.facenet_data import draw_glyphs
from spaceform.rng import derive_seed
from spaceform.types import IntArray

SPLITS = {"test": string.ascii_uppercase + string.digits, "validation": string.ascii_lowercase}
"""Characters that are judged on, and others on which weights and rates were chosen.

What the one does not judge, its network may be trained on beforehand.
"""


@dataclass(frozen=True)
class Task:
    """Pictures ``X`` of seen classes ``y`` to train on, others of the same classes, and pictures of unseen classes.

    ``known`` are pictures of classes that are neither, for training a network beforehand.
    """

    X: np.ndarray
    y: IntArray
    seen: np.ndarray
    seen_y: IntArray
    unseen: np.ndarray
    unseen_y: IntArray
    known: np.ndarray
    known_y: IntArray


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed: drawn characters (smoke), those of typefaces (laptop), or a benchmark (paper).

    Half of the classes are seen: those of the benchmark's training split, else they are drawn by ``seed``.
    ``train_rows`` pictures of each seen class train, the others (at most ``test_rows`` in all, as of unseen ones) show
    how well seen classes are known.
    """
    rng = np.random.default_rng(derive_seed(seed, "classes"))
    if settings["data"] == "unseen-classes":
        return _benchmark(settings, context, rng)
    if settings["data"] == "drawn":
        fonts, characters = settings["fonts"], settings["characters"]
        X = draw_glyphs(fonts, characters, seed=derive_seed(seed, "glyphs"))[0]
        y, names = np.tile(np.arange(characters), fonts), rng.permutation(characters)
        others, order = names[: characters // 3], names[characters // 3 :]
        known = X[np.isin(y, others)], y[np.isin(y, others)]
    else:
        glyphs = data.load(settings["data"], progress=context.progress)
        names = np.unique(np.asarray(glyphs.attributes["character"]))
        X, y = glyphs.X, np.searchsorted(names, glyphs.attributes["character"])
        judged = np.isin(names, list(SPLITS[settings["split"]]))
        order = rng.permutation(np.flatnonzero(judged))
        known = X[~judged[y]], y[~judged[y]]
    half = len(order) // 2
    return _cut((X, y.astype(np.int64)), known, (order[:half], order[half:]), settings, rng)


def _benchmark(settings: Mapping[str, Any], context: Context, rng: np.random.Generator) -> Task:
    root = context.benchmark_root("CUB_200_2011, cars196, Stanford_Online_Products or In-Shop, and known/<class>/*.jpg")
    size, progress = settings["size"], context.progress
    found = data.load("unseen-classes", root=root, size=size, progress=progress)
    known = data.load("image-folder", root=root / "known", size=size, progress=progress)
    trains = np.asarray(found.attributes["split"]) == "train"
    classes = np.unique(found.y[trains]), np.unique(found.y[~trains])
    return _cut((found.X, found.y), (known.X, known.y), classes, settings, rng)


def _cut(
    judged: tuple[np.ndarray, IntArray],
    known: tuple[np.ndarray, IntArray],
    classes: tuple[IntArray, IntArray],
    settings: Mapping[str, Any],
    rng: np.random.Generator,
) -> Task:
    X, y = judged
    rows = rng.permutation(len(y))
    seen_classes, unseen_classes = classes
    train = np.concatenate([rows[y[rows] == label][: settings["train_rows"]] for label in np.sort(seen_classes)])
    is_seen = np.isin(y[rows], seen_classes)
    others = rows[is_seen & ~np.isin(rows, train)][: settings["test_rows"]]
    # where all rows of seen classes train, these show the fit
    others = others if len(others) else train
    unseen = rows[np.isin(y[rows], unseen_classes)][: settings["test_rows"]]
    return Task(X[train], y[train], X[others], y[others], X[unseen], y[unseen], known[0], known[1].astype(np.int64))
