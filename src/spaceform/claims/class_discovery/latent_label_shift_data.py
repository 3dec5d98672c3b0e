"""Rows with labels for the claim of latent label shift, dealt to domains with shifted class shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform import data
from spaceform.claims.context import Context
from spaceform.errors import InputError
from spaceform.methods.class_discovery.latent_label_shift import make_latent_label_shift
from spaceform.rng import derive_seed
from spaceform.types import BoolArray, FloatArray, IntArray

LAYOUTS = "CIFAR-10 or CIFAR-100 (binary version), or train/<class>/ beside test/, val/ or valid/<class>/"

CONDITIONS = {10: [4.0, 4.0, 8.0], 20: [8.0, 12.0, 20.0], 50: [200.0, 205.0, 210.0], 2: [3.0, 5.0, 7.0]}
"""Bounds of the paper on the condition number, for alpha 0.5, 3 and 10, by the number of classes."""
CONDITIONS[28] = [12.0, 20.0, 28.0]

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Task:
    """Rows ``X`` with ``domains`` to learn from, test rows of the same domains with classes, and the true shares."""

    X: np.ndarray
    domains: IntArray
    test_rows: np.ndarray
    test_domains: IntArray
    test_y: IntArray
    prior: FloatArray

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return int(self.prior.shape[1])


def make_task(settings: Mapping[str, Any], seed: int, context: Context, *, alpha: int, plain: bool) -> Task:
    """Return the rows dealt to domains by one table of shares, learning and test rows by a draw each.

    With ``unions`` in the settings, and unless ``plain``, two neighbouring classes are one. CIFAR and folders come with
    their test rows, of others a fifth is drawn.
    """
    X, labels, test = context.shared("rows", lambda: _load(settings["data"], context))
    y = labels // 2 if settings["unions"] and not plain else labels
    k = int(y.max()) + 1
    if test is None:
        test = np.zeros(len(y), dtype=bool)
        order = np.random.default_rng(derive_seed(seed, "test")).permutation(len(y))
        test[order[: round(TEST_SHARE * len(y))]] = True
    limits = settings["conditions"] or CONDITIONS.get(k, [4.0 * k, 4.0 * k, 4.0 * k])
    learnt, judged = np.flatnonzero(~test), np.flatnonzero(test)
    state = derive_seed(seed, "domains", alpha, str(plain))
    domains = settings["domains"] or k
    rows, own, prior = make_latent_label_shift(
        y[learnt], domains, alpha=settings["alphas"][alpha], max_condition=limits[alpha], random_state=state
    )
    drawn, test_own, _ = make_latent_label_shift(y[judged], domains, prior=prior, random_state=state + 1)
    rows, drawn = learnt[rows], judged[drawn]
    return Task(X[rows], own, X[drawn], test_own, y[drawn], prior)


def planted(seed: int = 0) -> tuple[np.ndarray, IntArray]:
    """Return 2,500 rows around 10 far centres in 8 dimensions, beside 6 that say nothing and vary more.

    Neighbouring classes are no more alike than others.
    """
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(10), 250)
    told = rng.normal(size=(10, 8))[y] + 0.25 * rng.normal(size=(len(y), 8))
    return np.hstack([told, 1.5 * rng.normal(size=(len(y), 6))]).astype(np.float32), y


def _load(name: str, context: Context) -> tuple[np.ndarray, IntArray, BoolArray | None]:
    if name == "planted":
        return *planted(), None
    if name == "folder":
        return _benchmark(context.benchmark_root(LAYOUTS), context)
    found = data.load(name, progress=context.progress)
    return (found.X / 255).astype(np.float32), found.y, None


def _benchmark(root: Path, context: Context) -> tuple[np.ndarray, IntArray, BoolArray]:
    for name in ("cifar-10", "cifar-100"):
        folders = [root, *(root / child for child in ("cifar-10-batches-bin", "cifar-100-binary"))]
        mark = "data_batch_1.bin" if name == "cifar-10" else "train.bin"
        if any((folder / mark).is_file() for folder in folders):
            found = data.load(name, root=root, progress=context.progress)
            label = found.attributes.get("superclass", found.y)
            return found.X, np.unique(label, return_inverse=True)[1], np.asarray(found.attributes["split"]) == "test"
    other = next((root / part for part in ("test", "val", "valid") if (root / part).is_dir()), None)
    if not (root / "train").is_dir() or other is None:
        raise InputError("root", got=str(root), expected=LAYOUTS)
    listed = root / "classes.txt"
    chosen = set(listed.read_text().split()) if listed.is_file() else None
    parts = [data.load("image-folder", root=part, progress=context.progress) for part in (root / "train", other)]
    names = [np.asarray(part.classes)[part.y] for part in parts]
    kept = [np.isin(own, sorted(chosen)) if chosen else np.full(len(own), fill_value=True) for own in names]
    X = np.concatenate([part.X[rows] for part, rows in zip(parts, kept, strict=True)])
    y = np.concatenate([own[rows] for own, rows in zip(names, kept, strict=True)])
    return X, np.unique(y, return_inverse=True)[1], np.repeat([False, True], [int(rows.sum()) for rows in kept])
