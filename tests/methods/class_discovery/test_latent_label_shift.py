"""Latent label shift: the oracle of the back end, what toy versions get wrong, and what is refused."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from contracts.cases import EstimatorCase
from spaceform.clustering.kmeans import kmeans
from spaceform.errors import InputError
from spaceform.methods.class_discovery.latent_label_shift import (
    EarlyStoppedClassifier,
    LatentLabelShift,
    make_latent_label_shift,
)
from spaceform.metrics.clustering import hungarian_accuracy
from spaceform.space import Space
from spaceform.workflows.train import train


def shifted_domains(y):
    """Two domains: even classes are frequent in the first, odd ones in the second."""
    return (y + (np.arange(len(y)) % 5 == 0)) % 2


def _parts():
    return {"discriminator": LogisticRegression()}


CONTRACT_CASES = {
    "LatentLabelShift": EstimatorCase(
        {"n_classes": 2, "n_clusters": 4, "n_init": 2, "random_state": 0},
        shifted_domains,
        required=("n_classes",),
        make=_parts,
    ),
    "EarlyStoppedClassifier": EstimatorCase(
        {"hidden": (8,), "epochs": 2, "batch_size": 16, "random_state": 0}, lambda y: y
    ),
}


def oracle(seed=0, *, alpha=0.5, k=3, r=6, gap=8.0, rows=3000):
    """Return one-dimensional classes far apart, dealt to domains, and the true ``q(d|x)``."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(k), rows)
    x = gap * y + rng.normal(size=len(y))
    chosen, domains, prior = make_latent_label_shift(y, r, alpha=alpha, max_condition=5, random_state=seed)
    likelihood = np.exp(-0.5 * (x[chosen, None] - gap * np.arange(k)) ** 2)
    joint = likelihood @ prior.T
    return joint / joint.sum(1, keepdims=True), domains, y[chosen], prior, likelihood


def aligned_error(model, prior, y):
    """Return the L1 error per entry of the shares, classes matched by their rows."""
    table = np.array([[np.sum((model.labels_ == a) & (y == b)) for a in range(prior.shape[1])] for b in np.unique(y)])
    return np.abs(model.class_prior_[:, table.argmax(1)] - prior).mean()


@pytest.mark.parametrize("factorizer", ["nmf", "spa"])
def test_with_the_true_posterior_the_back_end_is_as_good_as_bayes(factorizer):
    q, domains, y, prior, likelihood = oracle(gap=5.0)
    slack, tolerance = (0.003, 0.01) if factorizer == "spa" else (0.1, 0.1)  # factors without zeros are not unique
    model = LatentLabelShift(n_classes=3, discriminator="precomputed", factorizer=factorizer, random_state=0)
    model.fit(q, domains)
    bayes = ((likelihood * prior[domains]).argmax(1) == y).mean()
    assert hungarian_accuracy(y, model.labels_) >= bayes - slack
    assert aligned_error(model, prior, y) < tolerance
    np.testing.assert_allclose(model.class_prior_.sum(1), 1)
    np.testing.assert_allclose(model.cluster_given_class_.sum(0), 1)
    np.testing.assert_allclose(model.domain_given_class_.sum(0), 1)


def unions(seed=0, width=8):
    """Return rows of six shapes of which 0 and 5, 1 and 4, 2 and 3 are one class, far apart from each other."""
    rng = np.random.default_rng(seed)
    shape = np.repeat(np.arange(6), 250)
    X = (
        np.hstack([2.5 * np.eye(6)[shape], np.zeros((len(shape), width - 6))])
        + rng.normal(size=(len(shape), width)) / 2
    )
    y = np.minimum(shape, 5 - shape)
    rows, domains, prior = make_latent_label_shift(y, 5, alpha=0.5, max_condition=4, random_state=seed)
    return X[rows], domains, y[rows], prior


QUICK = {"hidden": (32,), "dropout": 0.1, "learning_rate": 1e-2, "epochs": 15, "random_state": 0}


@pytest.mark.parametrize(
    "discriminator",
    [
        None,
        EarlyStoppedClassifier(**QUICK),
        LogisticRegression(),
        nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5)),
    ],
    ids=["default", "classifier", "scikit-learn", "torch"],
)
def test_unions_of_unlike_shapes_are_found_where_similarity_fails(discriminator):
    X, domains, y, prior = unions()
    model = LatentLabelShift(n_classes=3, discriminator=discriminator, random_state=0).fit(X, domains)
    assert hungarian_accuracy(y, model.labels_) > 0.9
    assert aligned_error(model, prior, y) < 0.06
    similar = kmeans(X.astype(float), 3, random_state=0).labels
    assert hungarian_accuracy(y, similar) < 0.75


def test_shuffled_domains_find_nothing_and_say_so():
    X, domains, y, _ = unions()
    shuffled = np.random.default_rng(0).permutation(domains)
    model = LatentLabelShift(n_classes=3, discriminator=EarlyStoppedClassifier(**QUICK), random_state=0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(X, shuffled)
    assert any("no better than chance" in str(one.message) for one in seen)
    assert hungarian_accuracy(y, model.labels_) < 0.6


def test_an_overfitted_discriminator_recovers_the_shares_worse():
    rng = np.random.default_rng(0)
    X, domains, y, prior = unions()
    X = np.hstack([X, rng.normal(size=(len(X), 60))])
    errors = {}
    for early in (True, False):
        settings = {**QUICK, "dropout": 0.0, "hidden": (128,), "epochs": 40, "early_stopping": early}
        model = LatentLabelShift(n_classes=3, discriminator=EarlyStoppedClassifier(**settings), random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            errors[early] = aligned_error(model.fit(X, domains), prior, y)
    assert errors[True] < errors[False] - 0.02


@pytest.mark.parametrize(
    "discriminator", [LogisticRegression(), KNeighborsClassifier(25)], ids=["weights", "no weights"]
)
def test_domains_of_unequal_size_weigh_alike(discriminator):
    X, domains, y, prior = unions()
    kept = (domains != 0) | (np.arange(len(domains)) % 4 == 0)
    model = LatentLabelShift(n_classes=3, discriminator=discriminator, random_state=0).fit(X[kept], domains[kept])
    means = [model.transform(X[kept][domains[kept] == d]).mean(0) for d in range(5)]
    np.testing.assert_allclose(np.mean(means, axis=0), 0.2, atol=0.02)  # mean of q(d|x) under q is uniform
    assert aligned_error(model, prior, y[kept]) < 0.08


def test_rows_of_unknown_domain_are_answered_and_not_learned_from():
    q, domains, y, _, _ = oracle()
    hidden = np.where(np.arange(len(y)) % 10 == 0, -1, domains)
    settings = {"n_classes": 3, "discriminator": "precomputed", "random_state": 0}
    model = LatentLabelShift(**settings).fit(q, hidden)
    known = LatentLabelShift(**settings).fit(q[hidden >= 0], domains[hidden >= 0])
    np.testing.assert_array_equal(model.class_prior_, known.class_prior_)
    assert hungarian_accuracy(y, model.labels_) > 0.98
    np.testing.assert_array_equal(model.labels_[hidden < 0], model.predict(q[hidden < 0]))
    np.testing.assert_array_equal(model.predict(q, hidden), model.labels_)


def test_names_of_domains_are_kept():
    q, domains, *_ = oracle()
    names = np.array(["b", "a", "f", "e", "c", "d"])
    columns = np.argsort(names)
    model = LatentLabelShift(n_classes=3, discriminator="precomputed", random_state=0).fit(
        q[:, columns], names[domains]
    )
    assert model.domains_.tolist() == sorted(names)
    assert model.predict_proba(q[:4, columns], names[domains[:4]]).shape == (4, 3)
    assert model.predict_cluster(q[:4, columns]).max() < 9
    with pytest.raises(InputError, match=r"domains: got .*'z'"):
        model.predict(q[:2, columns], ["a", "z"])
    with pytest.raises(InputError, match="domains"):
        model.predict(q[:2, columns], ["a"])


@pytest.mark.parametrize(
    ("settings", "change", "name"),
    [
        ({"n_classes": 1}, None, "n_classes"),
        ({"n_classes": 7}, None, "at least 7"),
        ({"n_clusters": 2}, None, "n_clusters"),
        ({"n_clusters": 10_000}, None, "sample"),
        ({"solver": "magic"}, None, "solver"),
        ({"factorizer": "magic"}, None, "factorizer"),
        ({"discriminator": "magic"}, None, "discriminator"),
        ({"discriminator": nn.ReLU}, None, "discriminator"),
        ({}, lambda q: q - 1e-2, "probabilities"),
        ({}, lambda q: 1.01 * q, "probabilities"),
        ({}, lambda q: q[:, :5], "probabilities of 6 domains"),
        ({}, lambda q: np.where(np.arange(6) == 2, np.nan, q), "NaN"),
    ],
)
def test_bad_input_is_refused(settings, change, name):
    q, domains, *_ = oracle(rows=200)
    model = LatentLabelShift(**{"n_classes": 3, "discriminator": "precomputed", **settings})
    with pytest.raises(InputError, match=name):
        model.fit(q if change is None else change(q), domains)


def test_domains_are_needed():
    with pytest.raises(InputError, match="domains: got None"):
        LatentLabelShift(n_classes=2).fit(np.eye(4))
    with pytest.raises(InputError, match="y"):
        LatentLabelShift(n_classes=2).fit(np.eye(4), [0, 1])


def test_repeated_domains_are_told_and_too_few_refused_unless_allowed():
    shares = np.array([[0.7, 0.3], [0.7, 0.3]])
    rng = np.random.default_rng(0)
    domains = np.repeat([0, 1], 300)
    q = np.full((600, 2), 0.5) + 0.001 * rng.choice([-1, 1], 600)[:, None] * np.array([1, -1])
    model = LatentLabelShift(n_classes=2, n_clusters=2, discriminator="precomputed", random_state=0)
    with pytest.warns(UserWarning, match="no better than chance"):
        model.fit(q, domains)
    assert np.linalg.matrix_rank(shares) == 1
    wide = LatentLabelShift(n_classes=3, discriminator="precomputed", allow_underdetermined=True, random_state=0)
    q = np.where(domains[:, None] == [0, 1], 0.8, 0.2) + 0.01 * rng.normal(size=(600, 1)) * np.array([1, -1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert wide.fit(q, domains).class_prior_.shape == (2, 3)


def test_ill_conditioned_shares_are_told(monkeypatch):
    q, domains, *_ = oracle(rows=200)
    flat = (np.eye(3)[:3].repeat(3, axis=0), np.tile([[0.5], [0.3], [0.2]], 6))
    module = "spaceform.methods.class_discovery.latent_label_shift.factorize_domain_counts"
    monkeypatch.setattr(module, lambda *a, **k: flat)
    with pytest.warns(UserWarning, match="hardly differ"):
        LatentLabelShift(n_classes=3, discriminator="precomputed").fit(q, domains)


def test_pictures_go_to_the_discriminator():
    y = np.repeat([0, 1], 60)
    pictures = np.zeros((120, 16, 16), dtype=np.uint8)
    pictures[y == 1, :8] = 255
    domains = (y + (np.arange(120) % 5 == 0)) % 2
    network = EarlyStoppedClassifier(net="conv:0.125", epochs=6, batch_size=16, learning_rate=1e-2, random_state=0)
    settings = {"n_classes": 2, "n_clusters": 2, "factorizer": "spa", "random_state": 0}
    model = LatentLabelShift(discriminator=network, **settings).fit(pictures, domains)
    assert hungarian_accuracy(y, model.labels_) > 0.9
    assert torch.get_num_threads() >= 1


def test_a_space_with_a_column_of_domains_gets_classes(tmp_path):
    X, domains, y, _ = unions()
    space = Space.create(X.astype(np.float32), attributes={"place": [f"place {d}" for d in domains]})
    result = train("latent-label-shift", space, label="place", options={"n_classes": "3"}, out=tmp_path / "out")
    assert result.columns == ("latent_label_shift_class",)
    assert result.dim == 5  # q(d|x)
    found = result.space.column("latent_label_shift_class")
    assert hungarian_accuracy(y, np.asarray(found).astype(str)) > 0.9
