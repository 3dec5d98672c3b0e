"""Domains with shifted class shares, drawn from any labelled set (Roberts and others, 2022)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

SMALLEST = 1e-7
"""Shares below this become 0 (the released code)."""

TRIES = 100_000


def draw_class_priors(
    n_domains: int, n_classes: int, *, alpha: float, max_condition: float, random_state: RandomState = None
) -> FloatArray:
    """Return ``P (r, k)``, rows from ``Dirichlet(alpha/k, ..., alpha/k)``, with condition number at most the given one.

    A small ``alpha`` is a strong shift: 0.5, 3 and 10 in the paper. Tables are drawn until one is well conditioned;
    raises ``InputError`` when none of 100,000 is, and for fewer domains than classes. O(tries r k^2).
    """
    k = check_integer(n_classes, "n_classes", low=2)
    r = check_integer(n_domains, "n_domains", low=k)
    strength = check_real(alpha, "alpha", low=0, open_ends=True)
    limit = check_real(max_condition, "max_condition", low=1)
    generator = as_generator(random_state)
    for _ in range(TRIES):
        table = generator.dirichlet(np.full(k, strength / k), size=r)
        if np.isfinite(table).all() and np.linalg.cond(table) <= limit:  # a tiny alpha makes NaN
            table[table < SMALLEST] = 0
            return np.asarray(table / table.sum(1, keepdims=True))
    raise InputError(
        "max_condition",
        got=f"{limit:g} for {r} domains, {k} classes and alpha {strength:g}",
        expected="a bound that some of 100,000 tables keep",
        remedy="raise it, or lower alpha",
    )


def make_latent_label_shift(
    y: ArrayLike,
    n_domains: int,
    *,
    alpha: float = 0.5,
    max_condition: float = 4.0,
    prior: FloatArray | None = None,
    random_state: RandomState = None,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Draw domains without replacement; return row numbers ``(n',)``, their domain ``(n',)`` and the table ``(r, k)``.

    ``p_d(y)`` differs between domains, ``p(x|y)`` does not. With ``n0`` the size of the smallest class, domain d gets
    ``floor(P[d, y] n0 / max_y sum_d P[d, y])`` rows of class y, so domains are about equally large and classes are
    not. Columns of the table follow the sorted classes of ``y (n,)``. Give the ``prior`` of a first call to a second
    one, on other rows, for a test set of the same domains; ``alpha`` and ``max_condition`` are those of
    :func:`draw_class_priors` and are then not used.

    Raises ``InputError`` for a table that does not fit ``y`` and a domain that gets no row. O(n log n + r k).

    >>> rows, domains, prior = make_latent_label_shift(np.repeat([0, 1], 100), 3, random_state=0)
    >>> prior.shape, np.unique(domains), len(set(rows)) == len(rows)
    ((3, 2), array([0, 1, 2]), True)
    """
    labels = np.asarray(y)
    classes, codes = np.unique(check_labels(labels, len(labels)), return_inverse=True)
    generator = as_generator(random_state)
    if prior is None:
        table = draw_class_priors(
            n_domains, len(classes), alpha=alpha, max_condition=max_condition, random_state=generator
        )
    else:
        table = check_matrix(prior, "prior", width=len(classes), dtype=np.float64)
        if len(table) != n_domains or table.min() < 0 or np.abs(table.sum(1) - 1).max() > 1e-6:
            raise InputError("prior", got=f"shape {table.shape}", expected=f"{n_domains} rows >= 0 that sum to 1")
    smallest = np.bincount(codes).min()
    counts = np.floor(table * (smallest / table.sum(0).max()) + 1e-9).astype(np.int64)
    if (counts.sum(1) == 0).any():
        raise InputError("y", got=f"{smallest} rows of a class", expected="enough to give every domain some")
    rows, domains = [], []
    for label in range(len(classes)):
        drawn = generator.permutation(np.flatnonzero(codes == label))[: counts[:, label].sum()]
        rows.append(drawn)
        domains.append(np.repeat(np.arange(n_domains), counts[:, label]))
    order = generator.permutation(sum(map(len, rows)))
    return np.concatenate(rows)[order], np.concatenate(domains)[order].astype(np.int64), table
