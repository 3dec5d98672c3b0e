"""The tasks of the claim of LELP: two classes that hide many, a teacher of them, and other ways to make subclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.cluster import AgglomerativeClustering
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from spaceform import data
from spaceform.claims.context import Context
from spaceform.clustering.kmeans import kmeans
from spaceform.data.fetching.cache import remembered
from spaceform.data.protocols import Distillation, draw_distillation
from spaceform.encoders.student import StudentClassifier
from spaceform.heads.linear.fitted import fit_linear_head
from spaceform.nets.mlp import mlp
from spaceform.rng import as_generator, derive_seed
from spaceform.types import FloatArray, IntArray

GLOSSES = "lelp-glosses"


@dataclass(frozen=True, eq=False)
class Task:
    """Inputs ``X`` of the student, classes ``y``, hidden classes ``fine``; ``H``, ``logits``, ``W`` of the teacher."""

    X: FloatArray
    y: IntArray
    fine: IntArray
    H: FloatArray
    logits: FloatArray
    W: FloatArray
    rows: Distillation


def make_task(options: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Return the task with its teacher trained on the teacher's rows; a class is the parity of the hidden one."""
    if options["data"] == "glosses":
        return _glosses(options, seed, context)
    if context.scale == "paper":
        root = context.benchmark_root("train.bin and test.bin of CIFAR-100, the binary version")
        found = data.load(options["data"], root=root, progress=context.progress)
    else:
        found = data.load(options["data"], progress=context.progress)
    raw, fine = found.X.reshape(len(found), -1).astype(np.float32), found.y
    y, rows = fine % 2, draw_distillation(fine, **options["rows"], seed=seed)
    spread = raw[rows.teacher].std(0)
    X = (raw - raw[rows.teacher].mean(0)) / np.where(spread > 0, spread, 1)
    if "linear_teacher" in options:  # smoke: pixels take the place of sentence vectors, a few mixtures that of words
        mix = as_generator(derive_seed(seed, "mix")).standard_normal((X.shape[1], options["linear_teacher"]))
        return _with_linear_teacher((X @ mix / X.shape[1] ** 0.5).astype(np.float32), X, y, fine, rows)
    hidden, dim = options["teacher"]["hidden"], options["teacher"]["dim"]
    per_epoch = -(-len(rows.teacher) // options["teacher"]["batch"])
    teacher = StudentClassifier(
        net=lambda shape, width: nn.Sequential(mlp([*shape, *hidden, width], norm=None), nn.ReLU()),
        embedding_dim=dim,
        steps=options["teacher"]["epochs"] * per_epoch,
        batch_size=options["teacher"]["batch"],
        random_state=derive_seed(seed, "teacher") % 2**31,
    ).fit(X[rows.teacher], y[rows.teacher], progress=context.progress)
    H, logits = teacher.outputs(X)
    return Task(X, y, fine, H, logits, teacher.head_weight, rows)


def _with_linear_teacher(X: FloatArray, H: FloatArray, y: IntArray, fine: IntArray, rows: Distillation) -> Task:
    head = fit_linear_head(H[rows.teacher], y[rows.teacher], strength=0.1)
    return Task(X, y, fine, H, head.logits(H).astype(np.float32), head.weight, rows)


def _glosses(options: Mapping[str, Any], seed: int, context: Context) -> Task:
    """Nouns of WordNet: their vectors by MiniLM are the teacher's, their words, as latent topics, the student's."""
    texts, fine = _texts(options, context)

    def build() -> dict[str, Any]:
        from spaceform.nets.text import TextEncoder

        return {"H": TextEncoder("minilm").encode(texts, progress=context.progress)}

    H = remembered(GLOSSES, {"classes": options["classes"], "each": options["each"]}, build)["H"]
    rows = draw_distillation(fine, **options["rows"], seed=seed)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit([texts[row] for row in rows.teacher])
    counts = words.transform(texts)
    topics = TruncatedSVD(options["topics"], random_state=derive_seed(seed, "topics") % 2**31).fit(counts[rows.teacher])
    X = topics.transform(counts).astype(np.float32)
    X = (X - X[rows.teacher].mean(0)) / X[rows.teacher].std(0)
    return _with_linear_teacher(X, H * H.shape[1] ** 0.5, fine % 2, fine, rows)


def _texts(options: Mapping[str, Any], context: Context) -> tuple[list[str], IntArray]:
    """Return the same glosses for every seed: ``each`` of the largest classes."""
    found = data.load("wordnet", progress=context.progress)
    largest = np.argsort(-np.bincount(found.y), kind="stable")[: options["classes"]]
    draw = as_generator(derive_seed(0, GLOSSES))
    picked = [draw.choice(np.flatnonzero(found.y == code), options["each"], replace=False) for code in largest]
    texts = [str(found.X[row]) for rows in picked for row in rows]
    return texts, np.repeat(np.arange(len(largest)), options["each"])


def centroid_subclasses(task: Task, maker: str, k: int, *, seed: int) -> FloatArray:
    """Return ``z (n, C, k)``: closeness to the centres of k clusters of each class, of unit spread in the class.

    ``maker``: "kmeans", "agglomerative" (Ward, on at most 1,000 rows a class) or "oracle" (the hidden classes).
    """
    parts = []
    for code in range(int(task.y.max()) + 1):
        own = task.rows.teacher[task.y[task.rows.teacher] == code]
        if maker == "kmeans":
            labels = kmeans(task.H[own], k, n_init=3, random_state=derive_seed(seed, "kmeans") % 2**31).labels
        elif maker == "agglomerative":
            own = as_generator(derive_seed(seed, "ward")).permutation(own)[:1000]
            labels = AgglomerativeClustering(k).fit_predict(task.H[own])
        else:
            labels = np.unique(task.fine[own], return_inverse=True)[1]
        centres = np.stack([task.H[own[labels == label]].mean(0) for label in range(k)]).astype(np.float64)
        z = task.H @ centres.T - np.square(centres).sum(1) / 2  # minus half the squared distance, but for the row
        parts.append(z / (z[own] - z[own].mean(1, keepdims=True)).std())
    return np.stack(parts, 1)


def joint(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ``p_c q_{c,s}`` as rows ``(n, C S)`` float32 of ``p (n, C)`` and ``q (n, C, S)``."""
    result: FloatArray = (p[:, :, None] * q).reshape(len(p), -1).astype(np.float32)
    return result


def oracle(q: FloatArray, task: Task, rows: IntArray) -> FloatArray:
    """Return ``q (n, C, S)`` with the hidden class of each row for certain, where the class is its own."""
    result = q.copy()
    number = np.zeros(int(task.fine.max()) + 1, dtype=np.int64)
    for code in range(q.shape[1]):
        hidden = np.unique(task.fine[task.y == code])
        number[hidden] = np.arange(len(hidden))
    here = np.arange(len(rows))
    result[here, task.y[rows]] = 0
    result[here, task.y[rows], number[task.fine[rows]]] = 1
    return result


def soft(z: FloatArray, beta: float) -> FloatArray:
    """Return the softmax of ``z / beta`` over the last axis."""
    result: FloatArray = softmax(z / beta, axis=-1)
    return result
