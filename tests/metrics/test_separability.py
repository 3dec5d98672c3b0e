"""Separability of labelled rows against scikit-learn, slow loops and hand values; bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from spaceform.errors import InputError
from spaceform.metrics.separability import (
    class_silhouette,
    fisher_ratio,
    fisher_trace,
    knn_accuracy,
    linear_probe,
    linear_probe_auc,
    majority_vote,
    thornton_index,
)


def classes(seed=0, n=60, d=4, n_classes=3, spread=1.0, gap=3.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return gap * rng.normal(size=(n_classes, d))[y] + spread * rng.normal(size=(n, d)), y


EVERY = [fisher_ratio, fisher_trace, thornton_index, knn_accuracy, linear_probe_auc, class_silhouette]
seeds = st.integers(0, 2**32 - 1)


def test_fisher_ratio_by_hand():
    X, y = np.array([[0.0], [2.0], [10.0], [12.0]]), [0, 0, 1, 1]
    assert fisher_ratio(X, y) == pytest.approx(100 / 4)
    assert fisher_trace(X, y, shrinkage=0.0) == pytest.approx(100 / 4)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_fisher_ratio_is_the_ratio_of_the_scatter_matrices(seed):
    X, y = classes(seed)
    within, between = np.zeros((4, 4)), np.zeros((4, 4))
    for c in range(3):
        own = X[y == c]
        gap = own.mean(0) - X.mean(0)
        within += (own - own.mean(0)).T @ (own - own.mean(0))
        between += len(own) * np.outer(gap, gap)
    assert fisher_ratio(X, y) == pytest.approx(np.trace(between) / np.trace(within))
    assert fisher_trace(X, y, shrinkage=0) == pytest.approx(np.trace(np.linalg.inv(within) @ between))


def test_fisher_trace_is_that_of_linear_discriminant_analysis():
    """The eigenvalues of ``S_w^-1 S_b`` give the shares of variance that scikit-learn reports."""
    X, y = classes(n_classes=2)
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(X, y)
    step = (X @ lda.scalings_[:, 0])[:, None]
    assert fisher_trace(X, y, shrinkage=0) == pytest.approx(fisher_ratio(step, y))


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_invariances(seed, scale):
    X, y = classes(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    turned = scale * (X @ ortho_group.rvs(4, random_state=seed % 1000)) + rng.normal(size=4)
    for function in (fisher_ratio, fisher_trace):
        assert function(turned[order], y[order]) == pytest.approx(function(X, y), rel=1e-6)
    assert thornton_index(turned[order], y[order]) == thornton_index(X, y)
    bent = X @ rng.normal(size=(4, 4))
    assert fisher_trace(bent, y, shrinkage=0) == pytest.approx(fisher_trace(X, y, shrinkage=0), rel=1e-5)


def test_fisher_trace_with_more_columns_than_rows():
    X, y = classes(n=20, d=50)
    assert np.isfinite(fisher_trace(X, y))
    assert fisher_trace(X, y, shrinkage=1.0) == pytest.approx(50 * fisher_ratio(X, y))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_thornton_index_by_loop(metric, seed):
    X, y = classes(seed, gap=1.0)
    Z = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
    right = 0
    for i, row in enumerate(Z):
        gaps = np.linalg.norm(Z - row, axis=1)
        gaps[i] = np.inf
        right += y[gaps.argmin()] == y[i]
    assert thornton_index(X, y, metric=metric) == right / len(X)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_knn_accuracy_is_leave_one_out(k):
    X, y = classes(gap=0.7)
    right = 0
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        model = KNeighborsClassifier(k).fit(X[rest], y[rest])
        near = y[rest][model.kneighbors(X[i : i + 1])[1][0]]
        counts = np.bincount(near, minlength=3)
        winners = np.flatnonzero(counts == counts.max())
        right += next(label for label in near if label in winners) == y[i]
    assert knn_accuracy(X, y, k=k) == right / len(X)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_silhouette_is_scikit_learns(seed):
    X, y = classes(seed, gap=1.0)
    y[3] = 9  # a class of one row
    assert class_silhouette(X, y) == pytest.approx(silhouette_score(X, y), abs=1e-9)
    rows = np.random.default_rng(seed).permutation(len(X))[:20]
    assert class_silhouette(X, y, rows=rows) == pytest.approx(silhouette_samples(X, y)[rows].mean(), abs=1e-9)


def test_silhouette_of_singletons_and_of_copies_is_0():
    X = np.random.default_rng(0).normal(size=(6, 2))
    assert class_silhouette(X, np.arange(6)) == 0
    assert class_silhouette(np.ones((6, 2)), np.arange(6) % 2) == 0


def test_votes():
    labels = np.array([[0, 1, 1], [2, 0, 1], [-1, -1, 3], [-1, -1, -1], [1, 0, 0]])
    assert majority_vote(labels).tolist() == [1, 2, 3, -1, 0]


def test_duplicates_of_one_row_are_neighbours():
    X = np.repeat([[0.0, 0.0], [1.0, 0.0]], 5, axis=0)
    assert thornton_index(X, np.arange(10) // 5) == 1
    assert thornton_index(X, np.arange(10) % 2) < 1


def test_all_singletons_have_no_neighbour_of_their_class():
    X = np.random.default_rng(0).normal(size=(6, 2))
    assert thornton_index(X, np.arange(6)) == 0


def test_linear_probe_on_separable_and_on_random_labels():
    X, y = classes(n=150, gap=6)
    probe = linear_probe(X, y)
    assert probe.accuracy > 0.95
    assert probe.auc > 0.98
    assert set(probe.to_dict()) == {"accuracy", "auc"}
    noise = linear_probe(X, np.random.default_rng(1).integers(0, 2, len(X)))
    assert 0.3 < noise.auc < 0.7


def test_linear_probe_on_two_classes_and_its_auc():
    X, y = classes(n=60, n_classes=2, gap=1)
    probe = linear_probe(X, y)
    assert linear_probe_auc(X, y) == probe.auc
    assert probe.auc == linear_probe(X, np.array(["b", "a"])[y]).auc
    assert linear_probe(X, y, random_state=np.random.default_rng(0)).auc == pytest.approx(probe.auc, abs=0.1)


def test_unlabelled_rows_are_left_out():
    X, y = classes()
    more, labels = np.vstack([X, np.full((5, 4), 99.0)]), np.concatenate([y, np.full(5, -1)])
    for function in EVERY:
        assert function(more, labels) == pytest.approx(function(X, y))


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize(
    ("X", "y", "part"),
    [
        ([[0.0], [1.0], [2.0]], [1, 1, 1], "at least 2 classes"),
        ([[0.0], [1.0], [2.0]], [-1, -1, 2], "at least 2 classes"),
        ([[0.0], [np.nan]], [0, 1], "NaN"),
        ([[0.0], [1.0]], [0], "one label per row"),
        ([[0.0]], [0], "at least 2 row"),
    ],
)
def test_bad_input_is_refused(function, X, y, part):
    with pytest.raises(InputError, match=part):
        function(X, y)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: fisher_ratio([[0.0], [1.0], [2.0]], [0, 1, 2]), "without spread"),
        (lambda: fisher_ratio(np.ones((4, 2)), [0, 0, 1, 1]), "without spread"),
        (lambda: fisher_trace([[0.0], [1.0], [2.0]], [0, 1, 2]), "without spread"),
        (lambda: fisher_trace([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]], [0, 0, 1], shrinkage=0), "singular"),
        (lambda: fisher_trace([[0.0], [1.0], [5.0]], [0, 0, 1], shrinkage=2), "from 0 to 1"),
        (lambda: knn_accuracy([[0.0], [1.0], [2.0]], [0, 0, 1], k=3), "from 1 to 2"),
        (lambda: linear_probe([[0.0], [1.0], [2.0]], [0, 0, 1]), "5 rows or more"),
        (lambda: thornton_index([[0.0], [1.0]], [0, 1], metric="cosine"), "zero vector"),
        (lambda: class_silhouette([[0.0], [1.0], [2.0]], [0, 1, -1], rows=[2]), "no labelled row"),
    ],
)
def test_what_has_no_answer_is_refused(call, part):
    with pytest.raises(InputError, match=part):
        call()
