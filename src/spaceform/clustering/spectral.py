"""Spectral embedding whose bandwidth is read from the minimum spanning tree (Troisemaine et al., 2024, section 3.3)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence, eigsh, lobpcg

from spaceform.checks import check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import squared_distances
from spaceform.ops.spanning import Edges, euclidean_mst
from spaceform.types import FloatArray

MAX_DENSE = 5000
"""Rows above which the affinity is kept between neighbours only: a dense one would take 8 n^2 bytes, twice."""

N_NEIGHBORS = 30
"""Neighbours per row of the sparse affinity; the edges of the spanning tree come on top, so that it is connected."""

FULL_SOLVER = 1000
"""Rows up to which all eigenvectors are computed directly; above, Lanczos finds the few that are wanted sooner."""

Affinity: TypeAlias = np.ndarray | sparse.csr_array


def mst_bandwidth(X: FloatArray, min_dist: float) -> float:
    """Return ``sigma = sqrt(-m / ln(min_dist))``, where ``m`` is the largest squared length in the spanning tree.

    ``X (n, d)``; ``min_dist`` in (0, 1). In ``exp(-|x - y|^2 / (2 sigma^2))`` the weakest edge of the tree then has
    similarity ``sqrt(min_dist)`` (the released code has this factor 2, too), so that the graph holds together.
    Towards 1 all rows become equally similar, towards 0 the graph falls apart.

    Raises ``InputError`` when all rows are equal, and for ``min_dist`` outside (0, 1). O(n^2 d) time, O(n d) memory.
    """
    X = check_matrix(X, min_rows=2)
    share = check_real(min_dist, "min_dist", low=0, high=1, open_ends=True)
    return _bandwidth(euclidean_mst(X)[2], share)


def spectral_embedding(
    X: FloatArray,
    n_components: int,
    min_dist: float = 0.6,
    *,
    k: int = N_NEIGHBORS,
    max_dense: int = MAX_DENSE,
) -> FloatArray:
    """Return eigenvectors 2 to ``n_components + 1`` of the normalized Laplacian, ``(n, n_components)`` float64.

    The Laplacian is ``I - D^-1/2 A D^-1/2`` of the Gaussian affinity ``A`` with zero diagonal and the bandwidth of
    :func:`mst_bandwidth`. Columns come in ascending order of their eigenvalue, have unit length and a fixed sign; rows
    are not normalized again. Above ``max_dense`` rows ``A`` is kept on ``k`` neighbours per row and on the
    edges of the spanning tree.

    Raises ``InputError`` for ``n_components >= n`` and as :func:`mst_bandwidth`. Dense: O(n^2 (d + n_components))
    per Lanczos step, 16 n^2 bytes; else O(n^2 d) for neighbours and tree, then O(n k) per step.
    """
    X = check_matrix(X, min_rows=3, dtype=np.float64)
    check_integer(n_components, "n_components", low=1, high=len(X) - 1)
    check_integer(k, "k", low=1)
    share = check_real(min_dist, "min_dist", low=0, high=1, open_ends=True)
    tree = euclidean_mst(X)
    sigma = _bandwidth(tree[2], share)
    if len(X) <= max_dense:
        affinity: Affinity = dense_affinity(X, sigma)
    else:
        affinity = neighbor_affinity(X, sigma, tree=tree, k=min(k, len(X) - 1))
    return _leading(_normalize(affinity), n_components + 1)[:, 1:]


def dense_affinity(X: FloatArray, sigma: float) -> FloatArray:
    """Return ``exp(-|x_i - x_j|^2 / (2 sigma^2))`` with zero diagonal, ``(n, n)``."""
    affinity = squared_distances(X - X.mean(0), X - X.mean(0))
    affinity *= -1 / (2 * sigma**2)
    np.exp(affinity, out=affinity)
    np.fill_diagonal(affinity, 0)
    return affinity


def neighbor_affinity(X: FloatArray, sigma: float, *, tree: Edges, k: int) -> sparse.csr_array:
    """Return the same on edges to the nearest neighbours (of either end) and of the spanning ``tree`` only."""
    distances, indices = nearest_neighbors(X, k=k)
    heads = np.concatenate([np.repeat(np.arange(len(X)), k), tree[0]])
    tails = np.concatenate([indices.ravel(), tree[1]])
    weights = np.exp(-(np.concatenate([distances.ravel(), tree[2]]) ** 2) / (2 * sigma**2))
    # the same edge may come from both of its ends and from the tree: keep one
    low, high = np.minimum(heads, tails), np.maximum(heads, tails)
    _, first = np.unique(low * len(X) + high, return_index=True)
    half = sparse.coo_array((weights[first], (low[first], high[first])), shape=(len(X), len(X)))
    return (half + half.T).tocsr()


def _bandwidth(lengths: FloatArray, min_dist: float) -> float:
    longest = float(lengths[-1])
    if longest <= 0:
        raise InputError("X", got="rows that are all equal", expected="at least two different rows")
    return float(longest / np.sqrt(-np.log(min_dist)))


def _normalize(affinity: Affinity) -> Affinity:
    """Divide by the roots of both degrees, in place where possible; an isolated row keeps degree 1."""
    degrees = np.asarray(affinity.sum(0)).ravel()
    roots = 1 / np.sqrt(np.where(degrees > 0, degrees, 1))
    if isinstance(affinity, np.ndarray):
        affinity *= roots
        affinity *= roots[:, None]
        return affinity
    return sparse.csr_array(affinity.multiply(roots).multiply(roots[:, None]))


def _leading(similarity: Affinity, count: int) -> FloatArray:
    """Eigenvectors of the ``count`` largest eigenvalues of a normalized affinity, largest first, signs fixed."""
    n = similarity.shape[0]
    if n <= FULL_SOLVER or count > n // 5:
        dense = similarity if isinstance(similarity, np.ndarray) else similarity.toarray()
        vectors = eigh(dense, subset_by_index=[n - count, n - 1], overwrite_a=True)[1][:, ::-1]
    else:
        vectors = _iterate(similarity, count)
    anchors = np.abs(vectors).argmax(0)
    return np.asarray(vectors * np.sign(vectors[anchors, np.arange(count)]))


def _iterate(similarity: Affinity, count: int) -> FloatArray:
    """The same by Lanczos iteration, or by LOBPCG where that does not converge; starts from a fixed vector."""
    start = np.random.default_rng(0).normal(size=(similarity.shape[0], count))
    try:
        values, vectors = eigsh(similarity, count, which="LA", v0=start[:, 0])
    except ArpackNoConvergence:
        values, vectors = lobpcg(similarity, start, largest=True, maxiter=500, tol=1e-6)
    return np.asarray(vectors[:, np.argsort(-values, kind="stable")])
