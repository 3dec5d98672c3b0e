"""Retrieval scores against slow loops, hand values and pytorch-metric-learning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.metrics import retrieval as module
from spaceform.metrics.retrieval import map_at_r, r_precision, recall_at_k, retrieval


def slow(X, y, ks):
    """Every query in a plain loop."""
    recall, precision, average = {k: [] for k in ks}, [], []
    for i in range(len(X)):
        order = sorted((j for j in range(len(X)) if j != i), key=lambda j, i=i: (((X[i] - X[j]) ** 2).sum(), j))
        same = [y[j] == y[i] for j in order]
        R = sum(same)
        if R == 0:
            continue
        for k in ks:
            recall[k].append(any(same[:k]))
        precision.append(sum(same[:R]) / R)
        average.append(sum(sum(same[: r + 1]) / (r + 1) for r in range(R) if same[r]) / R)
    return {k: np.mean(v) for k, v in recall.items()}, np.mean(precision), np.mean(average)


@given(st.integers(0, 10_000))
def test_equal_to_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 4, size=(14, 2)).astype(float), rng.integers(0, 4, size=14)
    if np.unique(y, return_counts=True)[1].max() < 2:
        return
    found = retrieval(X, y, ks=(1, 2, 5))
    recall, precision, average = slow(X, y, (1, 2, 5))
    assert found.recall_at == pytest.approx(recall)
    assert found.r_precision == pytest.approx(precision)
    assert found.map_at_r == pytest.approx(average)


def test_by_hand():
    X, y = np.array([[0.0], [1.0], [2.1], [10.0]]), np.array([0, 1, 0, 0])
    # query 0: order 1 (no), 2 (yes), 3 (yes), R = 2 -> P@1 0, P@2 1/2: AP = 1/4; query 2: 1 no, 0 yes -> 1/4;
    # query 3: 2 yes, 1 no -> 1/2; class 1 has nothing to find
    found = retrieval(X, y, ks=(1, 3))
    assert found.n_queries == 3
    assert found.recall_at == {1: pytest.approx(1 / 3), 3: 1.0}
    assert found.map_at_r == pytest.approx((1 / 4 + 1 / 4 + 1 / 2) / 3)
    assert found.r_precision == pytest.approx(1 / 2)


def test_equal_to_pytorch_metric_learning():
    accuracy = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    import torch
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.inference import CustomKNN

    rng = np.random.default_rng(0)
    y = rng.integers(0, 12, size=150)
    X = rng.normal(size=(150, 6)) + 2 * rng.normal(size=(12, 6))[y]
    names = ("precision_at_1", "mean_average_precision_at_r", "r_precision")
    peer = accuracy.AccuracyCalculator(
        include=names,
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    ).get_accuracy(torch.tensor(X), torch.tensor(y))
    found = retrieval(X, y, ks=(1,))
    assert found.recall_at[1] == pytest.approx(peer["precision_at_1"], abs=1e-6)
    assert found.map_at_r == pytest.approx(peer["mean_average_precision_at_r"], abs=1e-6)
    assert found.r_precision == pytest.approx(peer["r_precision"], abs=1e-6)


def test_gallery_and_unlabelled_rows():
    X, y = np.array([[0.0], [5.0]]), np.array(["a", "b"])
    gallery, labels = np.array([[0.1], [5.2], [5.1]]), np.array(["a", "b", "c"])
    assert recall_at_k(X, y, ks=(1, 2), gallery=gallery, gallery_labels=labels) == {1: 0.5, 2: 1.0}
    assert retrieval([[0.0], [0.1], [0.2], [0.3]], [-1, -1, 2, 2], ks=(1,)).n_queries == 2


def test_many_equal_rows_still_leave_the_query_out():
    X, y = np.zeros((9, 2)), np.array([0] * 8 + [1])
    assert retrieval(X, y, ks=(1,)).n_queries == 8
    assert 0 < map_at_r(X, y) <= 1


def test_cosine_ignores_length_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 5)), rng.integers(0, 6, size=60)
    scaled = X * rng.uniform(0.5, 4, size=(60, 1))
    whole = retrieval(X, y, ks=(1, 4), metric="cosine")
    assert retrieval(scaled, y, ks=(1, 4), metric="cosine") == whole
    for room in (1, 9_000):
        monkeypatch.setattr(module, "LIST_BYTES", room)
        assert retrieval(X, y, ks=(1, 4), metric="cosine").map_at_r == pytest.approx(whole.map_at_r)


def test_few_passes_over_a_large_base_and_short_lists(monkeypatch):
    relevant = np.sort(np.random.default_rng(0).integers(1, 50, size=1_000))
    queries = np.arange(1_000)
    assert len(list(module._blocks(queries, relevant, 10))) == 1
    monkeypatch.setattr(module, "LIST_BYTES", 100 * 50 * module.ENTRY_BYTES)
    blocks = list(module._blocks(queries, relevant, 10))
    assert np.array_equal(np.concatenate(blocks), queries)
    assert all(len(block) * max(10, relevant[block].max()) <= 5_000 for block in blocks)


def test_perfect_and_hopeless():
    y = np.repeat(np.arange(5), 4)
    assert map_at_r(y[:, None] * 10.0 + np.arange(20)[:, None] * 0.01, y) == 1.0
    assert r_precision(np.arange(20)[:, None] * 1.0, np.tile(np.arange(10), 2)) == 0.0


@pytest.mark.parametrize(
    ("X", "y", "settings", "words"),
    [
        ([[0.0], [1.0]], [0, 1], {}, "two rows"),
        ([[0.0], [1.0]], [0, 0], {"ks": (2,)}, "ks"),
        ([[0.0], [np.nan]], [0, 0], {}, "NaN"),
        ([[0.0], [1.0]], [0], {}, "y"),
        ([[0.0]], [0], {}, "X"),
        ([[0.0], [1.0]], [0, 0], {"gallery": [[0.0]]}, "gallery_labels"),
        ([[0.0], [1.0]], [0, 0], {"metric": "manhattan"}, "metric"),
        ([[0.0], [1.0]], [0, 0], {"metric": "cosine"}, "zero vector"),
    ],
)
def test_refusals(X, y, settings, words):
    with pytest.raises(InputError, match=words):
        retrieval(X, y, **{"ks": (1,), **settings})
