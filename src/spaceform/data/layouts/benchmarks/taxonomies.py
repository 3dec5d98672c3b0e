"""Benchmarks whose classes have distances: CIFAR-100, ImageNet, LSHTC and PubMed from the folders they come in."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spaceform.data.layouts.benchmarks.cifar import load_cifar100
from spaceform.data.layouts.benchmarks.hierarchies import (
    ROOT,
    LabelGraph,
    read_class_index,
    read_edges,
    read_superclasses,
)
from spaceform.data.layouts.benchmarks.lshtc import read_lshtc
from spaceform.data.layouts.benchmarks.text_files import bad_line, benchmark_file
from spaceform.data.layouts.images import SUFFIXES, read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.data.taxonomies import LabelledTaxonomy
from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, TreeMetric
from spaceform.types import FloatArray, IntArray, PathLike, Progress, no_progress

FEATURES = "features.npy"
"""Vectors (n, d) of ALL pictures (training before test, classes and files sorted): used in place of pixels."""

TREES = ("imagenet_mintree.txt", "imagenet_hierarchy.txt")
SUPERCLASSES = ("cifar_hierarchy.txt", "cifar100_hierarchy.txt", "hierarchy.txt")
LSHTC_TEXTS = ("train-remapped.csv", "train.csv", "train.txt")


def load_labelled_taxonomy(
    root: PathLike,
    *,
    size: int = 32,
    per_class: int | None = None,
    max_labels: int = 10_000,
    seed: int = 0,
    encode_labels: Callable[[list[str]], FloatArray] | None = None,
    progress: Progress = no_progress,
) -> LabelledTaxonomy:
    """Recognise a benchmark by its files and read it.

    - ImageNet: ``train/<wnid>/*``, ``val/<wnid>/*``, ``imagenet_mintree.txt`` (two WordNet offsets per line) and
      ``dir_label_name.json`` (class number to [wnid, name]); hops in the tree, candidates are the classes.
    - CIFAR-100: ``train.bin`` and ``test.bin``, or a folder of pictures per class beside ``cifar_hierarchy.txt``
      (superclass<TAB>class, class, ...); hops in the tree root - superclass - class, candidates are the classes.
    - LSHTC: ``train-remapped.csv`` (libsvm-like) and ``hierarchy.txt`` (parent child); hops in the largest component
      of the class graph, merged at random to ``max_labels`` nodes; of several labels the first counts.
    - PubMed: a CSV with Title, abstractText, meshMajor; of several labels one is drawn (``seed``); the distance is
      Euclidean between ``encode_labels`` of the names.

    Pictures are read as ``size`` x ``size`` pixels scaled to [0, 1], at most ``per_class`` of each class and part,
    unless ``features.npy`` lies in ``root``. Raises ``InputError`` for a folder of no such form, and for files
    that disagree.
    """
    folder = existing(root, "root")
    if any((folder / name).is_file() for name in TREES):
        return _imagenet(folder, size, per_class, progress)
    if (folder / "hierarchy.txt").is_file() and any((folder / name).is_file() for name in LSHTC_TEXTS):
        return _lshtc(folder, max_labels, seed, progress)
    if any((folder / name).exists() for name in ("train.bin", "cifar-100-binary", *SUPERCLASSES)):
        return _cifar(folder, size, per_class, progress)
    for table in sorted(folder.glob("*.csv")):
        return _pubmed(table, seed, encode_labels)
    raise InputError(
        "root",
        got=f"{shown(folder)}, of no known form",
        expected=f"ImageNet ({TREES[0]}), CIFAR-100 (train.bin or {SUPERCLASSES[0]}), "
        f"LSHTC (hierarchy.txt and {LSHTC_TEXTS[0]}) or PubMed (a CSV)",
    )


def summarize_graph(graph: LabelGraph, *, size: int, seed: int) -> tuple[LabelGraph, IntArray]:
    """Merge random nodes into random neighbours until ``size`` nodes are left; return them and where each name went.

    How LSHTC's 325,000 classes become 10,000 in Loki. The graph must be connected. A merged node keeps the name of
    the one that it was merged into. O(edges) expected per halving.
    """
    rng = np.random.default_rng(seed)
    neighbours: list[set[int]] = [set() for _ in graph.names]
    for a, b in graph.edges.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    into = np.arange(len(graph))
    alive = list(range(len(graph)))
    while len(alive) > size:
        at = int(rng.integers(len(alive)))
        gone, alive[at] = alive[at], alive[-1]
        alive.pop()
        kept = sorted(neighbours[gone])[int(rng.integers(len(neighbours[gone])))]
        into[gone] = kept
        for other in neighbours[gone]:
            neighbours[other].discard(gone)
            if other != kept:
                neighbours[other].add(kept)
                neighbours[kept].add(other)
        neighbours[gone] = set()
    while (into != into[into]).any():
        into = into[into]
    left = np.array(sorted(alive))
    edges = [(a, b) for a in left.tolist() for b in neighbours[a] if a < b]
    names = [graph.names[node] for node in left]
    return LabelGraph(names, np.searchsorted(left, np.array(edges).reshape(-1, 2))), np.searchsorted(left, into)


def _imagenet(folder: Path, size: int, per_class: int | None, progress: Progress) -> LabelledTaxonomy:
    tree = read_edges(benchmark_file(folder, *TREES))
    metric = TreeMetric.from_edges(np.array(tree.names)[tree.edges], labels=tree.names)
    wnids = [wnid for wnid, _ in read_class_index(benchmark_file(folder, "dir_label_name.json"))]
    candidates = metric.index(wnids, "dir_label_name.json")
    parts = [_pictures(folder / part) for part in ("train", "val")]
    kept = [_at_most(per_class, names) for _, names in parts]
    rows = np.concatenate([kept[0], len(parts[0][0]) + kept[1]])
    X = _vectors(folder, parts[0][0] + parts[1][0], rows, size, progress)
    names = np.array(parts[0][1] + parts[1][1])[rows]
    test = np.repeat([False, True], [len(part) for part in kept])
    return LabelledTaxonomy("imagenet", X, metric.index(names, "folders"), metric, test, np.sort(candidates))


def _cifar(folder: Path, size: int, per_class: int | None, progress: Progress) -> LabelledTaxonomy:
    if not any((folder / name).is_file() for name in SUPERCLASSES):
        data = load_cifar100(folder, progress=progress)
        above = dict(zip(data.y.tolist(), np.asarray(data.attributes["superclass"]).tolist(), strict=True))
        supers = sorted(set(above.values()))
        # a superclass and a class may bear one name, so the former are marked
        parent = [-1, *[0] * len(supers)]
        parent += [1 + supers.index(above[c]) if c in above else 0 for c in range(len(data.classes))]
        labels = [ROOT, *(f"superclass {name}" for name in supers), *data.classes]
        metric, first = TreeMetric(parent, labels=labels), 1 + len(supers)
        X = _features(folder, len(data))
        X = (data.X / np.float32(255)).reshape(len(data), -1) if X is None else X
        test = np.asarray(data.attributes["split"]) == "test"
        return LabelledTaxonomy("cifar-100", X, data.y + first, metric, test, np.arange(first, len(parent)))
    graph = read_superclasses(benchmark_file(folder, *SUPERCLASSES))
    parents = graph.parents()
    metric = TreeMetric(parents, labels=graph.names)
    files, names = _pictures(folder)
    rows = _at_most(per_class, names)
    y = metric.index([names[row].replace("_", " ") for row in rows], "folders")
    X = _vectors(folder, files, rows, size, progress)
    return LabelledTaxonomy("cifar-100", X, y, metric, None, metric.leaves())


def _lshtc(folder: Path, max_labels: int, seed: int, progress: Progress) -> LabelledTaxonomy:
    texts = read_lshtc(benchmark_file(folder, *LSHTC_TEXTS), progress=progress)
    graph = read_edges(folder / "hierarchy.txt")
    joined = GraphMetric.from_edges(graph.edges, labels=range(len(graph)), component="largest")
    place = np.full(len(graph), -1)
    place[joined.labels] = np.arange(len(joined))
    inside = place[graph.edges]
    component = LabelGraph([graph.names[i] for i in joined.labels], inside[(inside >= 0).all(axis=1)])
    summary, went = summarize_graph(component, size=max_labels, seed=seed)
    number = {name: at for at, name in enumerate(component.names)}
    first = np.array([number.get(str(labels[0]), -1) for labels in texts.labels])
    rows = np.flatnonzero(first >= 0)
    if len(rows) == 0:
        raise InputError("hierarchy.txt", got="no class of the documents", expected="the graph of their classes")
    metric = GraphMetric.from_edges(summary.edges, labels=range(len(summary)))
    return LabelledTaxonomy("lshtc", texts.X[rows], went[first[rows]], metric)


def _pubmed(table: Path, seed: int, encode_labels: Callable[[list[str]], FloatArray] | None) -> LabelledTaxonomy:
    if encode_labels is None:
        raise InputError("encode_labels", got="None", expected="a function from names to vectors, for PubMed's labels")
    rng = np.random.default_rng(seed)
    texts, drawn = [], []
    with table.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        missing = {"Title", "abstractText", "meshMajor"} - set(reader.fieldnames or ())
        if missing:
            raise InputError(shown(table), got=f"no column {min(missing)}", expected="Title, abstractText, meshMajor")
        for row in reader:
            labels = _list_of_names(table, reader.line_num, row["meshMajor"] or "[]")
            if labels and row["abstractText"]:
                texts.append(f"{row['Title']} {row['abstractText']}")
                drawn.append(labels[int(rng.integers(len(labels)))])
    if not texts:
        raise InputError(shown(table), got="no article with text and labels", expected="at least one")
    names = sorted(set(drawn))
    metric = EmbeddingMetric(encode_labels(names), labels=names)
    return LabelledTaxonomy("pubmed", texts, metric.index(drawn), metric)


def _list_of_names(table: Path, line: int, text: str) -> list[str]:
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_line(table, line, text, expected="meshMajor like ['Humans', 'Mice']")
    return names


def _pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures below the class folders, and the class of each, classes and files in sorted order."""
    found = [
        (file, child.name)
        for child in sorted(existing(folder, "root").iterdir())
        if child.is_dir() and not child.name.startswith(".")
        for file in sorted(child.rglob("*"))
        if file.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise InputError("root", got=f"{shown(folder)} without pictures", expected="<class>/<picture>")
    return [file for file, _ in found], [name for _, name in found]


def _at_most(per_class: int | None, names: list[str]) -> IntArray:
    """Return the first ``per_class`` rows of each class; ``names`` are in runs of one class."""
    classes = np.array(names)
    starts = np.flatnonzero(np.append(True, classes[1:] != classes[:-1]))
    rank = np.arange(len(classes)) - np.repeat(starts, np.diff(np.append(starts, len(classes))))
    return np.flatnonzero(rank < (len(classes) if per_class is None else per_class))


def _vectors(folder: Path, files: list[Path], rows: IntArray, size: int, progress: Progress) -> FloatArray:
    features = _features(folder, len(files))
    if features is not None:
        return features[rows]
    pixels = np.empty((len(rows), size * size * 3), dtype=np.float32)
    for done, row in enumerate(rows):
        pixels[done] = read_picture(files[row], size=size).ravel() / np.float32(255)
        if done % 50 == 0:
            progress("read pictures", done, len(rows))
    return pixels


def _features(folder: Path, count: int) -> FloatArray | None:
    path = folder / FEATURES
    if not path.is_file():
        return None
    features: FloatArray = np.load(path, allow_pickle=False)
    if features.ndim != 2 or len(features) != count:
        raise InputError(FEATURES, got=f"shape {features.shape}", expected=f"({count}, d), a row per picture")
    return features
