"""Classes to train, classes to add, and rows to be judged on, for the claim of hyperspherical novelty."""

from __future__ import annotations

import itertools
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.errors import InputError
from spaceform.nets.inputs import check_inputs
from spaceform.samplers.class_split import ClassSplit, joint_disjoint_split
from spaceform.types import BoolArray, IntArray

TYPEFACE_SEED = 41
"""The typefaces that are judged on are the same for every seed and were put aside before anything was tuned."""

PAIRS = list(itertools.combinations(range(10), 2))
LAYOUT = "MNIST's IDX files, CIFAR-100's train.bin and test.bin, or train/<class>/* and test/<class>/* pictures"


@dataclass(frozen=True)
class Task:
    """Inputs ``X`` as networks take them, codes ``y (n,)`` of all classes, and which rows serve for what."""

    X: np.ndarray
    y: IntArray
    split: ClassSplit


def make_task(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task of one seed, which draws the base classes: digits (smoke), glyphs (laptop) or a benchmark."""
    held_out: float | BoolArray = settings["held_out"]
    if settings["data"] == "digits":
        digits = data.load("digits", progress=context.progress)
        X, y = digits.X / 16, digits.y
    elif settings["data"] == "glyphs":
        X, y, held_out = _glyphs(settings, context)
    else:
        X, y, held_out = _benchmark(context.benchmark_root(LAYOUT), settings["size"], context)
    split = joint_disjoint_split(y, settings["n_base"] or len(np.unique(y)) * 4 // 5, held_out=held_out, seed=seed)
    return Task(check_inputs(X), y, split)


def digit_tasks(name: str, seed: int, context: Context) -> list[Task]:
    """Return the tutorial's pair of novel digits (8 and 9) and, of MNIST, this seed's fifth of the other 44.

    ``name`` is a data set of ten digits; a fifth of the rows is judged. Five seeds from 0 see all 45 pairs of MNIST;
    of other digits there is the tutorial's pair only.
    """
    digits = data.load(name, progress=context.progress)
    X = check_inputs(digits.X / digits.X.max())
    others = [pair for pair in PAIRS if pair != (8, 9)] if name == "mnist-5k" else []
    place = np.zeros(len(X), dtype=np.int64)  # of a row among those of its digit
    for digit in range(10):
        place[digits.y == digit] = np.arange(np.count_nonzero(digits.y == digit))
    held_out = place % 5 == 4
    return [_pair(X, digits.y, pair, held_out) for pair in [(8, 9), *others[seed % 5 :: 5]]]


def foreign_pair(name: str, context: Context) -> tuple[np.ndarray, IntArray, BoolArray]:
    """Return pictures as rows, their two classes, and which are test rows: of another kind than the digits ``name``.

    T-shirts and trousers of Fashion-MNIST for MNIST, as in the tutorial; digits drawn white on black for others.
    """
    if name != "mnist-5k":
        found = data.load(name, progress=context.progress)
        rows = np.flatnonzero(found.y < 2)
        return check_inputs(1 - found.X[rows] / found.X.max()), found.y[rows], np.arange(len(rows)) % 5 == 4
    found = data.load("fashion-mnist", progress=context.progress)
    rows = np.flatnonzero(found.y < 2)
    test = np.asarray(found.attributes["split"])[rows] == "test"
    return check_inputs(found.X[rows].reshape(len(rows), -1) / 255), found.y[rows], test


def _pair(X: np.ndarray, digits: IntArray, pair: tuple[int, int], held_out: BoolArray) -> Task:
    rank = np.argsort(np.isin(np.arange(10), pair), kind="stable").argsort()
    y = rank[digits]  # base digits get 0 to 7, novel ones 8 and 9
    novel = y >= 8
    split = ClassSplit(
        base=np.arange(8),
        novel=np.array([8, 9]),
        train=np.flatnonzero(~novel & ~held_out),
        support=np.flatnonzero(novel & ~held_out),
        joint=np.flatnonzero(held_out),
        disjoint=np.flatnonzero(novel & held_out),
    )
    return Task(X, y, split)


def _glyphs(settings: Mapping[str, Any], context: Context) -> tuple[np.ndarray, IntArray, BoolArray]:
    """Capital letters and digits as classes; rows of tested typefaces are held out."""
    found = data.load("glyphs", progress=context.progress)
    names = list(string.ascii_uppercase + string.digits)
    character = np.asarray(found.attributes["character"])
    n_train, n_test = settings["train_fonts"], settings["test_fonts"]
    order = np.random.default_rng(TYPEFACE_SEED).permutation(len(found.classes))
    judged = order[-n_test:] if settings["split"] == "test" else order[n_train : n_train + n_test]
    used = np.concatenate([order[:n_train], judged])
    rows = np.flatnonzero(np.isin(character, names) & np.isin(found.y, used))
    y = np.searchsorted(np.sort(names), character[rows]).astype(np.int64)
    return found.X[rows], y, np.isin(found.y[rows], judged)


def _benchmark(root: Path, size: int, context: Context) -> tuple[np.ndarray, IntArray, BoolArray]:
    if (root / "train").is_dir() and (root / "test").is_dir():
        parts = [data.load("image-folder", root=root / part, size=size) for part in ("train", "test")]
        if list(parts[0].classes) != list(parts[1].classes):
            raise InputError("root", got=f"other classes in {root}/test", expected="those of train")
        held_out = np.repeat([False, True], [len(part) for part in parts])
        return np.concatenate([part.X for part in parts]), np.concatenate([part.y for part in parts]), held_out
    name = "cifar-100" if any(root.rglob("train.bin")) else "mnist-idx"
    found = data.load(name, root=root, progress=context.progress)
    return found.X, found.y, np.asarray(found.attributes["split"]) == "test"
