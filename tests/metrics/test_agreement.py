"""Agreement of two spaces against slow loops and in the cases where it is known."""

import numpy as np
import pytest
from scipy.spatial import procrustes

from spaceform.errors import InputError
from spaceform.metrics.agreement import latent_agreement, linear_cka, procrustes_similarity


def sets(seed=0, n=40, d=6, e=6):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=(d, e)) + rng.normal(size=(n, e))


def slow(X, Y, k):
    X, Y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (X, Y))
    jaccard, mrr = [], []
    for i in range(len(X)):
        one, two = (list(np.argsort(-Y @ row)[:k]) for row in (X[i], Y[i]))
        jaccard.append(len(set(one) & set(two)) / len(set(one) | set(two)))
        mrr.append(1 / (one.index(i) + 1) if i in one else 0)
    return np.mean(jaccard), np.mean(mrr), (X * Y).sum(1).mean()


def test_neighbours_equal_slow_loops():
    X, Y = sets()
    for k in (1, 5, 40):
        found = latent_agreement(X, Y, k=k)
        np.testing.assert_allclose((found.jaccard, found.mrr, found.cosine), slow(X, Y, k), atol=1e-12)
    assert set(found.to_dict()) == {"k", "jaccard", "mrr", "cosine", "cka", "procrustes"}


def test_a_space_agrees_with_itself():
    found = latent_agreement(sets()[0], 3 * sets()[0])
    np.testing.assert_allclose((found.jaccard, found.mrr, found.cosine, found.cka, found.procrustes), 1, atol=1e-12)


def test_cka_is_that_of_centred_gram_matrices():
    X, Y = sets(e=4)
    K, L = (rows @ rows.T for rows in (X - X.mean(0), Y - Y.mean(0)))
    expected = (K * L).sum() / np.linalg.norm(K) / np.linalg.norm(L)
    assert linear_cka(X, Y) == pytest.approx(expected, abs=1e-12)
    assert linear_cka(Y, X) == pytest.approx(expected, abs=1e-12)


def test_procrustes_is_scipys():
    X, Y = sets()
    assert 1 - procrustes_similarity(X, Y) ** 2 == pytest.approx(procrustes(X, Y)[2], abs=1e-12)


def test_rotation_scale_and_shift_change_neither():
    X, _ = sets()
    Q = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 6)))[0].T  # into a wider space
    moved = 5 * X @ Q + 2
    for figure in (linear_cka, procrustes_similarity):
        assert figure(X, moved) == pytest.approx(1, abs=1e-12)
        assert figure(X, np.random.default_rng(2).normal(size=(40, 3))) < 0.6


def test_bad_pairs_are_refused():
    X, Y = sets(e=4)
    with pytest.raises(InputError, match="widths 6 and 4"):
        latent_agreement(X, Y)
    with pytest.raises(InputError, match="rows"):
        linear_cka(X, Y[1:])
    with pytest.raises(InputError, match="k"):
        latent_agreement(X, X, k=41)
    with pytest.raises(InputError, match="differ"):
        procrustes_similarity(X, np.ones((40, 2)))
    with pytest.raises(InputError, match="NaN"):
        linear_cka(X, np.full((40, 2), np.nan))
