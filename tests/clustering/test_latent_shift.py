"""Counts, factors and posteriors against closed forms, slow loops and SciPy."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import nnls

from spaceform.clustering.latent_shift import (
    adjust_posterior,
    domain_counts,
    factorize_domain_counts,
    nonnegative_mixture,
)
from spaceform.errors import InputError


def anchored(seed=0, *, k=4, m=12, r=8, zeros=False):
    """Return ``p(c|y)`` in which each class has a cluster of its own, and ``p(y|d)``, with zeros or dense."""
    rng = np.random.default_rng(seed)
    left = np.vstack([np.eye(k), rng.random((m - k, k))])
    shares = rng.dirichlet(np.full(k, 0.3), size=r).T
    if zeros:
        shares = np.zeros((k, r))
        for d in range(r):
            shares[[d % k, (d + 1 + d // k) % k], d] = (0.7, 0.3) if d % 2 else (0.4, 0.6)
    return left / left.sum(0), shares


def matched_gap(found, true):
    """Return the largest difference of rows under the best order of classes."""
    orders = itertools.permutations(range(len(true)))
    return min(np.abs(found[list(order)] - true).max() for order in orders)


def test_counts_are_shares_of_each_domain_and_do_not_change_when_one_domain_is_repeated():
    clusters, domains = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 1])
    table = domain_counts(clusters, domains, n_clusters=3, n_domains=2)
    np.testing.assert_allclose(table, [[2 / 3, 0], [1 / 3, 0], [0, 1]])
    twice = np.r_[np.arange(5), 3, 4]
    np.testing.assert_array_equal(domain_counts(clusters[twice], domains[twice], n_clusters=3, n_domains=2), table)


@given(st.integers(0, 10_000), st.sampled_from(["nmf", "spa"]))
def test_columns_of_both_factors_sum_to_one(seed, factorizer):
    left, shares = anchored(seed, k=3, m=6, r=5)
    p_c, p_y = factorize_domain_counts(left @ shares, 3, factorizer=factorizer, n_init=1, random_state=0)
    np.testing.assert_allclose(p_c.sum(0), 1)
    np.testing.assert_allclose(p_y.sum(0), 1)
    assert p_c.shape == (6, 3)
    assert min(p_c.min(), p_y.min()) >= 0


@given(st.integers(0, 10_000))
def test_successive_projection_returns_the_true_factors_exactly(seed):
    left, shares = anchored(seed)
    left = np.vstack([4 * left[:4], left[4:]])
    left /= left.sum(0)
    assume(np.linalg.cond(shares) < 100)
    assume(shares.mean(1).min() > 0.1)  # no anchor is too small a cluster
    p_c, p_y = factorize_domain_counts(left @ shares, 4, factorizer="spa")
    assert matched_gap(p_y, shares) < 1e-9
    np.testing.assert_allclose(p_c @ p_y, left @ shares, atol=1e-9)


def test_nmf_returns_factors_with_zeros_in_every_row_and_column():
    left, shares = anchored(zeros=True)
    _, p_y = factorize_domain_counts(left @ shares, 4, random_state=0)
    assert matched_gap(p_y, shares) < 0.02


def test_a_plain_product_need_not_be_the_true_one_so_more_restarts_never_fit_worse():
    left, shares = anchored(3)
    table = left @ shares
    errors = []
    for n_init in (1, 8):
        p_c, p_y = factorize_domain_counts(table, 4, n_init=n_init, random_state=0)
        errors.append(np.abs(p_c @ p_y - table).max())
    assert errors[1] <= errors[0] + 1e-3


def test_small_clusters_are_no_anchors():
    left, shares = anchored()
    table = left @ shares
    noise = np.zeros((1, 8))
    noise[0, 2] = 1e-3  # a handful of rows of one domain: the longest row of all, and no class
    _, clean = factorize_domain_counts(table, 4, factorizer="spa")
    _, noisy = factorize_domain_counts(np.vstack([table * (1 - noise), noise]), 4, factorizer="spa")
    np.testing.assert_allclose(noisy, clean, atol=0.01)


def test_empty_classes_and_unexplained_domains_are_told():
    counts = np.zeros((4, 3))
    counts[0] = 1
    with pytest.warns(UserWarning, match="classes are empty"):
        _, p_y = factorize_domain_counts(counts, 2, factorizer="spa")
    np.testing.assert_allclose(p_y.sum(0), 1)
    with pytest.warns(UserWarning, match="1 domains are explained by no class"):
        _, p_y = factorize_domain_counts(np.eye(3), 2, factorizer="spa")
    np.testing.assert_allclose(p_y.sum(0), 1)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(0, 4))
def test_mixtures_are_those_of_scipy_row_by_row(seed, k, more):
    rng = np.random.default_rng(seed)
    basis, targets = rng.normal(size=(k + more, k)), rng.normal(size=(20, k + more))
    if seed % 5 == 0:
        basis[:, -1] = basis[:, 0]  # singular: only the fit is unique
    found = nonnegative_mixture(targets, basis)
    slow = np.stack([nnls(basis, row)[0] for row in targets])
    assert found.min() >= 0
    np.testing.assert_allclose(
        np.linalg.norm(found @ basis.T - targets, axis=1), np.linalg.norm(slow @ basis.T - targets, axis=1), atol=1e-6
    )


@pytest.mark.parametrize("solver", ["nnls", "pinv"])
def test_posteriors_are_those_of_bayes(solver):
    rng = np.random.default_rng(0)
    shares, likelihood = rng.dirichlet(np.ones(3), size=5).T, rng.random((40, 3))  # p(y|d), p(x|y)
    joint = likelihood @ shares
    domains = rng.integers(-1, 5, 40)
    found = adjust_posterior(joint / joint.sum(1, keepdims=True), shares, domains=domains, solver=solver)
    for row, d in enumerate(domains):
        prior = shares[:, d] if d >= 0 else shares.mean(1)
        expected = prior * likelihood[row]
        np.testing.assert_allclose(found[row], expected / expected.sum(), atol=1e-9)


def test_a_domain_of_one_class_gives_every_row_that_class():
    shares = np.array([[1, 0.2, 0.5], [0, 0.3, 0.2], [0, 0.5, 0.3]])
    q = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
    assert (adjust_posterior(q, shares, domains=np.zeros(50, dtype=int)).argmax(1) == 0).all()
    assert len(np.unique(adjust_posterior(q, shares).argmax(1))) > 1


def test_outside_the_hull_the_largest_stays_the_largest():
    shares = np.array([[0.6, 0.4], [0.4, 0.6]])
    across = shares.T / shares.sum(1)
    q = np.array([[0.7, 0.3], [0.3, 0.7]])  # beyond both columns of D
    raw = q @ np.linalg.pinv(across).T
    assert raw.min() < 0
    for solver in ("nnls", "pinv"):
        np.testing.assert_array_equal(adjust_posterior(q, shares, solver=solver), np.eye(2))
    # three classes: the released code divides by a negative sum and takes the least likely
    negative = np.array([[-0.4, -0.2, 0.5 - 1]])
    assert (negative / negative.sum()).argmax() == negative.argmin()
    mixed = adjust_posterior(negative @ shares_of_three().T, shares_of_three().T, solver="pinv")
    np.testing.assert_allclose(mixed.sum(1), 1)


def shares_of_three():
    return np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda: domain_counts([0, 3], [0, 0], n_clusters=2, n_domains=1), "clusters"),
        (lambda: domain_counts([0, 1], [0], n_clusters=2, n_domains=1), "domains"),
        (lambda: domain_counts([0, 1], [0, 0], n_clusters=2, n_domains=2), "no row of domain 1"),
        (lambda: factorize_domain_counts(np.eye(2), 3), "n_classes"),
        (lambda: factorize_domain_counts(-np.eye(2), 2), "counts"),
        (lambda: factorize_domain_counts(np.eye(2), 2, factorizer="lda"), "factorizer"),
        (lambda: adjust_posterior(np.eye(2), np.eye(2), solver="lstsq"), "solver"),
    ],
)
def test_bad_input_is_refused(work, name):
    with pytest.raises(InputError, match=name):
        work()
