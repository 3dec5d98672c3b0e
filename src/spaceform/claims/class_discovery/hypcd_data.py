"""Rows with a tree of classes for the claim of HypCD: generated, emoji as texts, and benchmark folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.claims.context import Context
from spaceform.data import load
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.cache import remembered
from spaceform.data.generators.tree import make_tree_classes
from spaceform.data.layouts.benchmarks.hierarchies import read_superclasses
from spaceform.data.protocols import CategoryDiscovery, draw_category_discovery
from spaceform.encoders.discovery.views import ViewFn
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

FEWEST, MOST = 15, 40
"""Concepts of a subcategory of emoji: with fewer it is left out, of more some are drawn once and for all."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Rows, what may be known of them, and the tree of their classes.

    ``y (n,)`` true class ``0..C-1``; ``distances (C, C)`` edges in the tree; ``best``: the
    rows without what hides the classes, None where they are not to be had.
    """

    X: np.ndarray
    y: IntArray
    split: CategoryDiscovery
    views: ViewFn | None
    distances: IntArray
    best: FloatArray | None = None

    @property
    def hidden(self) -> IntArray:
        """Labels that a method may see, -1 elsewhere."""
        return self.split.partial_labels(self.y)

    @property
    def n_novel(self) -> int:
        """Number of classes without a label."""
        return len(self.split.novel)


def make_task(name: str, settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return one of the tasks "tree", "star" (without a tree), "wide" (another tree), "emoji", "folder" for a seed."""
    if name == "emoji":
        return _emoji(seed, context)
    if name == "folder":
        return _folder(settings, seed, context)
    return _generated(name, settings, seed)


def _generated(name: str, settings: Mapping[str, Any], seed: int) -> Task:
    """Return the tree, or a star: the same number of classes straight below the root, scored against the tree."""
    branching, scales = list(settings["branching"]), list(settings["scales"])
    state = derive_seed(seed, "wide" if name == "wide" else "tree") % 2**31
    made = make_tree_classes(settings["rows_per_class"], branching=branching, scales=scales, random_state=state)
    distances = made.distances
    if name == "star":
        length = float(np.sqrt(np.square(scales).sum()))
        leaves = int(np.prod(branching))
        made = make_tree_classes(settings["rows_per_class"], branching=[leaves], scales=[length], random_state=state)
    split = draw_category_discovery(made.labels, n_known=settings["n_known"], labelled=0.5, seed=seed)
    return Task(X=made.X, y=made.labels, split=split, views=made.views, distances=distances, best=made.signal)


def _emoji(seed: int, context: Context) -> Task:
    """Return subcategories of emoji: a row is what a concept is called, a view its name mixed with its keywords."""
    arrays = remembered("emoji-texts", {"recipe": 1, "model": "minilm"}, lambda: _emoji_vectors(context))
    names, words = arrays["names"], arrays["keywords"]
    classes, y = np.unique(arrays["subcategory"], return_inverse=True)
    above = np.array([arrays["category"][y == code][0] for code in range(len(classes))])

    def views(rows: IntArray, generator: np.random.Generator) -> FloatArray:
        share = generator.random((len(rows), 1)).astype(np.float32)
        return share * names[rows] + (1 - share) * words[rows]

    y = y.astype(np.int64)
    split = draw_category_discovery(y, n_known=len(classes) // 2, labelled=0.5, seed=seed)
    return Task(X=(names + words) / 2, y=y, split=split, views=views, distances=_two_levels(above))


def _emoji_vectors(context: Context) -> dict[str, np.ndarray]:
    from spaceform.nets.text import TextEncoder

    emoji = load("emoji", size=16, vendors=["google"], progress=context.progress)
    kinds, codes, counts = np.unique(emoji.attributes["subcategory"], return_inverse=True, return_counts=True)
    generator = np.random.default_rng(0)
    rows = [
        np.sort(generator.permutation(np.flatnonzero(codes == code))[:MOST])
        for code in range(len(kinds))
        if counts[code] >= FEWEST
    ]
    kept = np.concatenate(rows)
    encoder = TextEncoder("minilm", max_tokens=64)
    texts = {
        "names": [str(emoji.attributes["name"][row]) for row in kept],
        "keywords": [", ".join(emoji.attributes["keywords"][row]) for row in kept],
    }
    vectors = {name: encoder.encode(lines, progress=context.progress) for name, lines in texts.items()}
    trees = {name: np.asarray(emoji.attributes[name])[kept].astype(str) for name in ("category", "subcategory")}
    return vectors | trees


def _folder(settings: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the training pictures of CIFAR, of a fine-grained set, or of class folders (ImageNet-100).

    The tree is that of CIFAR-100, or of ``superclasses.txt`` beside the pictures: lines "superclass<TAB>class, class".
    """
    root = context.benchmark_root("CIFAR-10 or CIFAR-100 (binary), CUB, Cars, Aircraft, or class folders")
    inside = {path.name for path in root.rglob("*") if path.suffix in {".bin", ".txt", ".mat"}}
    size = settings["size"]
    old: IntArray | None = None
    if "train.bin" in inside:
        found, old = load("cifar-100", root=root, progress=context.progress), np.arange(80)
    elif "data_batch_1.bin" in inside:
        found, old = load("cifar-10", root=root, progress=context.progress), np.arange(5)
    elif inside & {"train_test_split.txt", "cars_train_annos.mat", "images_variant_trainval.txt"}:
        found = load("fine-grained", root=root, size=size, progress=context.progress)
        old = np.unique(found.y[np.asarray(found.attributes["known"])])
    else:
        found = load("image-folder", root=root, size=size, progress=context.progress)
    above = _superclasses(found, root)
    training = np.asarray(found.attributes.get("split", np.full(len(found), "train"))) == "train"
    X, y = found.X[training & (found.y >= 0)], found.y[training & (found.y >= 0)]
    n_known = len(found.classes) // 2 if old is None else len(old)  # half of the classes, drawn, or the benchmark's
    split = draw_category_discovery(y, n_known=n_known, known=old, labelled=0.5, seed=seed)
    return Task(X=X, y=y, split=split, views=None, distances=_two_levels(above))


def _superclasses(found: Dataset, root: Path) -> np.ndarray:
    """Return the superclass ``(C,)`` of each class."""
    if "superclass" in found.attributes:
        names = np.asarray(found.attributes["superclass"])
        return np.array([names[found.y == code][0] for code in range(len(found.classes))])
    graph = read_superclasses(root / "superclasses.txt")
    parents = graph.parents()
    number = {name: index for index, name in enumerate(graph.names)}
    missing = [name for name in found.classes if name.replace("_", " ") not in number]
    if missing:
        raise InputError("superclasses.txt", got=f"no class {missing[0]!r}", expected="each class in one line")
    return np.array([parents[number[name.replace("_", " ")]] for name in found.classes])


def _two_levels(above: np.ndarray) -> IntArray:
    """Return edges ``(C, C)`` between classes of a root, superclasses and classes."""
    distances = 2 + 2 * (above[:, None] != above[None, :]).astype(np.int64)
    np.fill_diagonal(distances, 0)
    return distances
