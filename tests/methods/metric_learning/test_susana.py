"""SuSana: contract of encoder and classifier, episodes without overlap, what training does, files."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.errors import InputError
from spaceform.losses.few_shot.episode import EpisodeLoss
from spaceform.methods.metric_learning.susana import NearestPrototypeClassifier, SusanaEncoder
from spaceform.metrics.few_shot import few_shot_accuracy
from spaceform.metrics.icnn import icnn_score
from spaceform.samplers.episodes import EpisodeSampler

QUICK = {"embedding_dim": 6, "n_way": 3, "n_shot": 1, "n_query": 2, "steps": 3}
CONTRACT_CASES = {
    "SusanaEncoder": EstimatorCase(QUICK, full_labels),
    "NearestPrototypeClassifier": EstimatorCase({}, full_labels),
    "ICNNLoss": LossCase({"k": 3, "window": 5}),
    "ProtoTripletLoss": LossCase({"margin": 20.0}),
}


def expected_failures(estimator):
    failures = {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}
    if isinstance(estimator, SusanaEncoder):
        failures["check_methods_subset_invariance"] = "products in float32 differ in the last bit with the batch"
    else:
        failures["check_classifiers_classes"] = "the integer -1 marks unlabelled rows, as everywhere in this library"
    return failures


@parametrize_with_checks(
    [SusanaEncoder(**QUICK), NearestPrototypeClassifier()], expected_failed_checks=expected_failures
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def features(n=240, d=12, classes=12, seed=0):
    """Classes around centres in four dimensions, hidden among noisy ones by a random mixture."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    signal = 2 * rng.normal(size=(classes, 4))[y] + 0.5 * rng.normal(size=(n, 4))
    return np.hstack([signal, 3 * rng.normal(size=(n, d - 4))]) @ rng.normal(size=(d, d)), y


def test_supports_are_never_queries():
    """The released code draws them independently, so that a query may be a support, which answers itself."""
    y = np.repeat(np.arange(8), 12)
    for episode in EpisodeSampler(y, n_way=5, n_shot=5, n_query=7, seed=0).episodes(1000):
        rows = np.concatenate([episode.support, episode.query], axis=1)
        assert len(np.unique(rows)) == rows.size
        assert (y[rows] == episode.classes[:, None]).all()


def test_a_query_that_is_a_support_inflates_the_accuracy_and_is_refused():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 20)), np.arange(120) % 6
    sampler = EpisodeSampler(y, n_way=5, n_shot=1, n_query=5, seed=0)
    honest = few_shot_accuracy(X, sampler.episodes(60)).mean
    assert honest == pytest.approx(0.2, abs=0.05)
    episode = sampler(0)
    answers = NearestPrototypeClassifier().fit(X[episode.support[:, 0]], episode.classes)
    assert (answers.predict(X[episode.support[:, 0]]) == episode.classes).all()
    leaking = type(episode)(
        episode.support, np.concatenate([episode.support, episode.query], axis=1), *list(vars(episode).values())[2:]
    )
    with pytest.raises(InputError, match="support and query"):
        few_shot_accuracy(X, [leaking, leaking])


def test_training_helps_classes_that_were_never_drawn():
    X, y = features()
    seen = y < 8
    settings = {"embedding_dim": 8, "n_way": 6, "n_shot": 4, "n_query": 6, "learning_rate": 3e-3}
    found = {}
    for steps in (0, 60):
        vectors = SusanaEncoder(**settings, steps=steps).fit(X[seen], y[seen]).transform(X[~seen])
        sampler = EpisodeSampler(y[~seen], n_way=4, n_shot=3, n_query=10, seed=0)
        found[steps] = few_shot_accuracy(vectors, sampler.episodes(50)).mean, icnn_score(vectors, y[~seen]).score
    assert found[60][0] > found[0][0] + 0.03
    assert found[60][1] > found[0][1]


def test_every_term_is_recorded_and_another_loss_may_be_given():
    X, y = features()
    assert set(SusanaEncoder(**QUICK).fit(X, y).history_.figures) == {"loss", "ce", "proto_triplet", "icnn_full"}
    plain = SusanaEncoder(**QUICK, terms=("ce",)).fit(X, y)
    given = SusanaEncoder(**QUICK).fit(X, y, loss=EpisodeLoss(terms=("ce",)))
    assert plain.fingerprint == given.fingerprint
    assert "proto_triplet" not in plain.history_.figures


def test_few_classes_make_smaller_episodes_and_too_few_rows_are_refused():
    X, y = features(60, classes=3)
    assert SusanaEncoder(**QUICK | {"n_way": 20}).fit(X, y).classes_.tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="fewer supports"):
        SusanaEncoder(**QUICK | {"n_query": 30}).fit(X, y)


def test_unlabelled_rows_are_never_drawn():
    X, y = features()
    y = np.where(y == 5, -1, y)
    moved = np.where((y == -1)[:, None], 100 * X, X)
    first, second = (SusanaEncoder(**QUICK).fit(rows, y) for rows in (X, moved))
    assert first.fingerprint == second.fingerprint


def test_pictures_halving_and_files(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(30) % 5
    X = rng.integers(0, 120, (30, 16, 16), dtype=np.uint8)
    for row, code in zip(X, y, strict=True):
        row[:, 2 * code + 2] += 120
    encoder = SusanaEncoder(**QUICK, net="conv:0.25", halve_every=1).fit(X, y)
    encoder.save(tmp_path)
    np.testing.assert_array_equal(SusanaEncoder.load(tmp_path).transform(X), encoder.transform(X))
    assert np.linalg.norm(encoder.transform(X), axis=1).std() > 1e-3  # not normalised
    slower = SusanaEncoder(**QUICK, net="conv:0.25", halve_every=100).fit(X, y)
    assert slower.fingerprint != encoder.fingerprint
    assert SusanaEncoder(**QUICK, net="conv:0.25", augment=True).fit(X, y).fingerprint != slower.fingerprint


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"terms": ("ce", "fullicn")}, "terms"),
        ({"margin": -1.0}, "margin"),
        ({"n_way": 1}, "n_way"),
        ({"n_shot": 0}, "n_shot"),
        ({"n_query": 0}, "n_query"),
        ({"steps": -1}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"halve_every": 0}, "halve_every"),
    ],
)
def test_wrong_settings_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        SusanaEncoder(**QUICK | options).fit(*features())


def test_the_classifier_is_scikit_learns_nearest_centroid():
    X, y = features()
    model, peer = NearestPrototypeClassifier().fit(X, y), NearestCentroid().fit(X, y)
    assert (model.predict(X) == peer.predict(X)).all()
    np.testing.assert_allclose(model.prototypes_, peer.centroids_)
    shares = model.predict_proba(X)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (shares.argmax(1) == model.transform(X).argmin(1)).all()


def test_temperature_cosine_and_unlabelled_rows():
    X, y = features()
    sharp, soft = (NearestPrototypeClassifier(temperature=value).fit(X, y).predict_proba(X) for value in (1.0, 100.0))
    assert soft.max(1).mean() < sharp.max(1).mean()
    cosine = NearestPrototypeClassifier(metric="cosine").fit(X, y)
    assert (cosine.predict(3 * X) == cosine.predict(X)).all()
    np.testing.assert_allclose(np.linalg.norm(cosine.prototypes_, axis=1), 1)
    hidden = np.where(y == 3, -1, y)
    assert 3 not in NearestPrototypeClassifier().fit(X, hidden).classes_
    with pytest.raises(InputError, match="temperature"):
        NearestPrototypeClassifier(temperature=0.0).fit(X, y)
    with pytest.raises(InputError, match="metric"):
        NearestPrototypeClassifier(metric="manhattan").fit(X, y)
    assert torch.is_grad_enabled()
