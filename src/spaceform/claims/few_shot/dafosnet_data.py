"""Worlds with two domains for the claim of DAFOS-Net: classes to train on in each, and unseen ones in the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from spaceform import data
from spaceform.claims.context import Context
from spaceform.data.emoji import VENDORS
from spaceform.data.pictures import on_white
from spaceform.errors import InputError
from spaceform.rng import derive_seed, torch_generator
from spaceform.types import IntArray

SPLIT_SEED = 83
"""The classes that are tested on are the same for every seed and were put aside before anything was tuned."""

NOWHERE, SOURCE, TARGET = -1, 0, 1


@dataclass(frozen=True)
class World:
    """Training pictures ``X`` with classes ``y`` and ``domains`` (0 source, 1 target), no class in both; target
    pictures ``tests`` of classes ``test_y`` that are in neither.
    """

    X: np.ndarray
    y: IntArray
    domains: IntArray
    tests: np.ndarray
    test_y: IntArray


def make_world(name: str, settings: Mapping[str, Any], seed: int, context: Context) -> World:
    """Return the world ``name`` of one seed: invented vectors, letters in two styles, emoji vendors, or a benchmark."""
    kept = settings[name]
    if name == "vectors":
        return vectors(kept, seed)
    if name == "letters":
        return letters(kept, seed, context)
    if name == "emoji":
        return emoji(kept, seed, context)
    root = context.benchmark_root("<domain>/<class>/* (Office-Home, DomainNet with its split files)")
    root = root / kept["layout"]
    options = {"domains": [kept["source"], kept["target"]], "size": kept["size"]}
    found = data.load(kept["layout"], root=root, progress=context.progress, **options)
    domains = np.where(np.asarray(found.attributes["domain"]) == kept["target"], TARGET, SOURCE)
    return divide(found.X, found.y, domains, kept, seed=seed)


def vectors(kept: Mapping[str, Any], seed: int) -> World:
    """Classes around centres in a few directions among many that say nothing; the target stretches and shifts each."""
    rng = np.random.default_rng(derive_seed(seed, "vectors"))
    n_classes, width = kept["n_source"] + kept["n_target"] + kept["n_test"], kept["width"]
    y = np.repeat(np.arange(n_classes), kept["per_class"])
    latent = rng.normal(size=(n_classes, kept["told"]))[y] + kept["spread"] * rng.normal(size=(len(y), kept["told"]))
    X = np.hstack([latent, rng.normal(size=(len(y), width - kept["told"]))]) @ rng.normal(size=(width, width))
    scale, shift = rng.uniform(0.3, 3, width), 10 * rng.normal(size=width)
    domains = np.repeat([SOURCE, TARGET], len(y))
    both = np.concatenate([X, X * scale + shift]).astype(np.float32)
    return divide(both, np.concatenate([y, y]), domains, kept, seed=seed)


def letters(kept: Mapping[str, Any], seed: int, context: Context) -> World:
    """Letters of the DejaVu faces, white on black in the source, dark outlines on an uneven ground in the target.

    Latin and Cyrillic letters to train on, Greek ones for validation, Armenian and Georgian ones to test.
    """
    found = data.load("dejavu", progress=context.progress)
    X, y = found.X, found.y
    script = np.asarray(found.attributes["script"])[np.searchsorted(y, np.arange(len(found.classes)))]
    tested = ("Greek",) if kept["split"] == "validation" else ("Armenian", "Georgian")
    classes = np.flatnonzero(np.isin(script, ("Latin", "Cyrillic"))), np.flatnonzero(np.isin(script, tested))
    both = np.concatenate([X, outlines(X, seed=derive_seed(SPLIT_SEED, "styles"))])
    domains = np.repeat([SOURCE, TARGET], len(y))
    return divide(both, np.concatenate([y, y]), domains, kept, seed=seed, classes=classes)


def emoji(kept: Mapping[str, Any], seed: int, context: Context) -> World:
    """Emoji, class = subcategory: one vendor is the target, another for each seed, the other three are the source."""
    found = data.load("emoji", size=kept["size"], progress=context.progress)
    vendor = np.asarray(found.attributes["vendor"])
    domains = np.where(vendor == VENDORS[(seed + kept["first_vendor"]) % len(VENDORS)], TARGET, SOURCE)
    y = np.unique(np.asarray(found.attributes["subcategory"]), return_inverse=True)[1].astype(np.int64)
    return divide(on_white(found.X), y, domains, kept, seed=seed)


def divide(
    X: np.ndarray,
    y: IntArray,
    domains: IntArray,
    kept: Mapping[str, Any],
    *,
    seed: int,
    classes: tuple[np.ndarray, np.ndarray] | None = None,
) -> World:
    """Return a world in which ``n_test`` classes are tested, ``n_target`` are seen in the target (``per_target``
    pictures of each, drawn by ``seed``), and ``n_source`` others in the source (fewer where there are no more).

    Tested and target classes have at least ``fewest`` target pictures. ``split`` "validation" tests on classes that lie
    between those of training and of the test. ``classes`` gives the trained and the tested ones, else they are dealt
    out from all. Raises ``InputError`` when there are too few.
    """
    counts = np.bincount(y[domains == TARGET], minlength=y.max() + 1)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(counts))
    enough = order[counts[order] >= kept["fewest"]]
    n_test, n_target = kept["n_test"], kept["n_target"]
    if classes is None:
        tested, between = enough[:n_test], enough[n_test : n_test + kept.get("n_validation", 0)]
        rest = enough[n_test + len(between) :]
        aside = np.concatenate([tested, between])
        tested = between if kept.get("split") == "validation" else tested
    else:
        rest, tested = enough[np.isin(enough, classes[0])], classes[1]
        aside = np.setdiff1d(np.arange(len(counts)), classes[0])
    target = rest[:n_target]
    source = order[~np.isin(order, np.concatenate([aside, target]))][: kept["n_source"]]
    if len(target) < n_target or len(tested) == 0 or len(source) == 0:
        got = f"{len(tested)} tested, {len(target)} target and {len(source)} source classes"
        raise InputError("n_target", got=got, expected=f"{n_target} target classes and some of each other kind")
    generator = np.random.default_rng(derive_seed(seed, "target pictures"))
    few = [generator.permutation(np.flatnonzero((domains == TARGET) & (y == c)))[: kept["per_target"]] for c in target]
    rows = np.concatenate([np.flatnonzero((domains == SOURCE) & np.isin(y, source)), *few])
    test = np.flatnonzero((domains == TARGET) & np.isin(y, tested))
    return World(X[rows], y[rows], domains[rows], X[test], y[test])


def outlines(X: np.ndarray, *, seed: int) -> np.ndarray:
    """Return grey pictures ``(n, h, w)`` uint8 as dark outlines on a light ground that is uneven in each its own way.

    ``clip(1 - 0.9 e + b, 0, 1.3) / 1.3`` with ``e = 1.6 |x - mean of 3 x 3|`` and ``b`` a quarter of 4 x 4 standard
    normal draws, bilinearly enlarged.
    """
    x = torch.from_numpy(X.astype(np.float32) / 255)[:, None]
    blurred = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    draws = torch.randn(len(x), 1, 4, 4, generator=torch_generator(seed))
    ground = 0.25 * functional.interpolate(draws, size=list(x.shape[2:]), mode="bilinear", align_corners=False)
    drawn = (1 - 0.9 * 1.6 * (x - blurred).abs() + ground).clamp(0, 1.3) / 1.3
    return (drawn[:, 0] * 255).round().to(torch.uint8).numpy()
