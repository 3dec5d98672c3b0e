"""Metrics given as numbers: every defect of a matrix is named, and small integers do not overflow."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, MatrixMetric, PoincareBall, Sphere
from spaceform.geometry.matrix import triangle_violation


def matrix(**changes):
    D = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    for at, value in changes.items():
        D[int(at[1]), int(at[2])] = value
    return D


@pytest.mark.parametrize(
    ("D", "message"),
    [
        (matrix()[:2], "square"),
        (np.zeros(4), "square"),
        (np.array([["a"]]), "square"),
        (matrix(d01=5), r"asymmetric pair at \(0, 1\)"),
        (matrix(d01=-1, d10=-1), "negative distance"),
        (matrix(d01=np.nan), "NaN"),
        (matrix(d11=0.5), "0.5 of 1 to itself"),
        (np.array([[0, 1, np.inf], [1, 0, np.inf], [np.inf, np.inf, 0]]), r"2 components: those of 0 \(2 labels\), 2"),
        (np.zeros((0, 0)), "at least one"),
    ],
)
def test_a_defect_is_named(D, message):
    with pytest.raises(InputError, match=message):
        MatrixMetric(D)


def test_small_integer_hops_do_not_overflow():
    hops = np.abs(np.subtract.outer(np.arange(120), np.arange(120))).astype(np.int8)
    metric = MatrixMetric(hops)
    assert metric.D.dtype == np.int8
    assert metric.squared_distances([0])[0, 119] == 119**2
    assert metric.mean([0, 119], [0.5, 0.5]) == 59


def test_the_triangle_inequality_is_checked_on_demand():
    broken = matrix(d02=9, d20=9)
    MatrixMetric(broken)
    with pytest.raises(InputError, match=r"d\(0, 2\) > d\(0, 1\) \+ d\(1, 2\)"):
        MatrixMetric(broken, check_triangle=True)
    assert triangle_violation(matrix()) is None


def test_a_memory_map_stays_on_disk(tmp_path):
    np.save(tmp_path / "D.npy", matrix())
    metric = MatrixMetric(np.load(tmp_path / "D.npy", mmap_mode="r"))
    assert isinstance(metric.D, np.memmap)
    assert metric.mean([0, 2]) == 1


def test_symmetry_is_judged_by_the_largest_distance():
    MatrixMetric(matrix(d01=1 + 1e-7))
    with pytest.raises(InputError, match="asymmetric"):
        MatrixMetric(matrix(d01=1 + 1e-7), tolerance=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_embedding_metrics_equal_scipy(metric):
    E = np.random.default_rng(0).normal(size=(9, 4))
    expected = cdist(E, E, metric)
    np.testing.assert_allclose(EmbeddingMetric(E, metric=metric).distances(range(9)), expected, atol=1e-7)
    np.testing.assert_allclose(EmbeddingMetric(E, metric=metric).distance(0, range(9)), expected[0], atol=1e-7)


def test_label_vectors_are_checked():
    with pytest.raises(InputError, match="NaN"):
        EmbeddingMetric([[0.0, np.nan]])
    with pytest.raises(InputError, match="zero vector"):
        EmbeddingMetric([[0.0, 0.0], [1.0, 0.0]], metric="cosine")
    with pytest.raises(InputError, match="one of 'euclidean'"):
        EmbeddingMetric([[1.0]], metric="manhattan")
    with pytest.raises(InputError, match="inside the ball"):
        EmbeddingMetric([[2.0, 0.0]], metric=PoincareBall())
    with pytest.raises(InputError, match="length 1"):
        EmbeddingMetric([[2.0, 0.0]], metric=Sphere())
