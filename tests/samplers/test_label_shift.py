"""Shifted domains: the table of shares, the numbers drawn from it, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.samplers.label_shift import draw_class_priors, make_latent_label_shift


@given(st.integers(0, 10_000), st.sampled_from([0.5, 3.0, 10.0]), st.integers(2, 5))
def test_tables_are_shares_and_well_conditioned(seed, alpha, k):
    table = draw_class_priors(2 * k, k, alpha=alpha, max_condition=20, random_state=seed)
    np.testing.assert_allclose(table.sum(1), 1)
    assert not ((table > 0) & (table < 1e-7)).any()
    assert np.linalg.cond(table) <= 20.001


def test_a_smaller_alpha_is_a_stronger_shift():
    spread = [draw_class_priors(30, 5, alpha=a, max_condition=50, random_state=0).std(0).mean() for a in (0.5, 3, 10)]
    assert spread[0] > spread[1] > spread[2]


@given(st.integers(0, 10_000))
def test_each_domain_gets_its_shares_without_repeats(seed):
    y = np.random.default_rng(seed).permutation(np.repeat(["a", "b", "c"], [120, 150, 200]))
    rows, domains, table = make_latent_label_shift(y, 6, alpha=3, max_condition=10, random_state=seed)
    assert len(set(rows)) == len(rows) == len(domains)
    for label, name in enumerate("abc"):
        for d in range(6):
            expected = np.floor(table[d, label] / 6 * 120 / (table / 6).sum(0).max() + 1e-9)
            assert (domains[y[rows] == name] == d).sum() == expected


def test_a_second_draw_shares_the_table():
    y = np.repeat([0, 1], 500)
    _, _, prior = make_latent_label_shift(y, 4, random_state=0)
    rows, domains, again = make_latent_label_shift(y, 4, prior=prior, random_state=1)
    np.testing.assert_array_equal(again, prior)
    shares = np.array([y[rows][domains == d].mean() for d in range(4)])
    np.testing.assert_allclose(shares, prior[:, 1], atol=0.02)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"n_domains": 1}, "n_domains"),
        ({"n_domains": 3, "alpha": 0}, "alpha"),
        ({"n_domains": 3, "max_condition": 1.0}, "max_condition"),
        ({"n_domains": 2, "prior": np.eye(3)}, "prior"),
        ({"n_domains": 3, "prior": np.eye(2)}, "prior"),
        ({"n_domains": 2, "prior": 2 * np.eye(2)}, "prior"),
        ({"n_domains": 40, "alpha": 10}, "y"),
    ],
)
def test_bad_input_is_refused(settings, name, monkeypatch):
    monkeypatch.setattr("spaceform.samplers.label_shift.TRIES", 200)
    settings = {"max_condition": 50.0} | settings
    with pytest.raises(InputError, match=name):
        make_latent_label_shift(np.repeat([0, 1], 10), random_state=0, **settings)
