"""Seen classes to learn from and unseen ones to be found, for the claim of ECAML."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.claims.facenet_data import draw_glyphs
from spaceform.errors import InputError
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
    """Return the task of one seed: drawn characters (smoke), those of typefaces (laptop), or class folders (paper).

    Half of the classes are seen; with class folders these are the first half in order of their names, as in CUB-200
    and Cars-196, else they are drawn by ``seed``. ``train_rows`` pictures of each seen class train, the others
    (at most ``test_rows`` in all, as of unseen ones) show how well seen classes are known.
    """
    rng = np.random.default_rng(derive_seed(seed, "classes"))
    if settings["data"] == "image-folder":
        root = context.benchmark_root("seen/<class>/*.jpg (such as CUB_200_2011/images) and known/<class>/*.jpg")
        X, y = _folder(root / "seen", settings, context)
        known = _folder(root / "known", settings, context)
        order = np.arange(int(y.max()) + 1)
    elif settings["data"] == "drawn":
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
    if len(order) < 4:
        raise InputError("root", got=f"{len(order)} classes", expected="at least four, half of them seen")
    return _cut((X, y.astype(np.int64)), known, order, settings, rng)


def _folder(root: Path, settings: Mapping[str, Any], context: Context) -> tuple[np.ndarray, IntArray]:
    found = data.load("image-folder", root=root, size=settings["size"], progress=context.progress)
    return found.X, found.y


def _cut(
    judged: tuple[np.ndarray, IntArray],
    known: tuple[np.ndarray, IntArray],
    order: IntArray,
    settings: Mapping[str, Any],
    rng: np.random.Generator,
) -> Task:
    X, y = judged
    rows = rng.permutation(len(y))
    seen_classes = order[: len(order) // 2]
    train = np.concatenate([rows[y[rows] == label][: settings["train_rows"]] for label in np.sort(seen_classes)])
    is_seen = np.isin(y[rows], seen_classes)
    others = rows[is_seen & ~np.isin(rows, train)][: settings["test_rows"]]
    # where all rows of seen classes train, these show the fit
    others = others if len(others) else train
    unseen = rows[np.isin(y[rows], order) & ~is_seen][: settings["test_rows"]]
    return Task(X[train], y[train], X[others], y[others], X[unseen], y[unseen], known[0], known[1].astype(np.int64))
