"""FaceNet as an estimator: the contract on vectors, networks by name, pictures as floats, both optimisers, averages."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, full_labels
from spaceform.errors import InputError, InterruptedRunError
from spaceform.methods.metric_learning.facenet import FaceNet
from spaceform.metrics.retrieval import recall_at_k

QUICK = {"embedding_dim": 6, "classes_per_batch": 4, "samples_per_class": 4, "steps": 3}
CONTRACT_CASES = {"FaceNet": EstimatorCase(QUICK, full_labels)}


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_methods_subset_invariance": "products in float32 differ in the last bit with the size of the batch",
    }


@parametrize_with_checks([FaceNet(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def stripes(n=60, size=16, channels=3):
    """Ten classes: the column of a bright stripe."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 10
    X = rng.integers(0, 120, size=(n, size, size, channels))
    for row, code in zip(X, y, strict=True):
        row[:, code + 3] += 110
    return X.astype(np.uint8), y


def test_vectors_of_unseen_classes_come_together():
    rng = np.random.default_rng(0)
    centres, mix = rng.normal(size=(40, 6)), rng.normal(size=(12, 12))
    y = np.arange(800) % 40
    noise = 4 * rng.normal(size=(800, 6))
    X = np.hstack([centres[y] + 0.3 * rng.normal(size=(800, 6)), noise]) @ mix
    seen = y < 25
    settings = {"embedding_dim": 16, "classes_per_batch": 12, "samples_per_class": 8}
    scores = [
        recall_at_k(FaceNet(**settings, steps=steps).fit(X[seen], y[seen]).transform(X[~seen]), y[~seen], ks=(1,))[1]
        for steps in (0, 80)
    ]
    assert scores[1] > scores[0] + 0.15


def test_floats_are_pictures_as_bytes_are():
    X, y = stripes()
    encoder = FaceNet(**QUICK, augment=False).fit(X, y)
    np.testing.assert_allclose(encoder.transform(X / 255.0), encoder.transform(X), atol=1e-5)
    grey = FaceNet(**QUICK).fit(X[..., 0], y)
    assert grey.input_shape_ == (16, 16, 1)
    assert np.array_equal(grey.transform(X[..., 0]), grey.transform(X[..., :1]))


@pytest.mark.parametrize("bad", [255.0, -1.0, np.nan])
def test_floats_outside_the_range_are_refused(bad):
    X, y = stripes()
    pictures = X / 255.0
    pictures[3, 2, 1, 0] = bad
    with pytest.raises(InputError, match="floats in"):
        FaceNet(**QUICK).fit(pictures, y)


def test_networks_by_name_and_by_function(tmp_path):
    X, y = stripes(20, 32)
    small = {**QUICK, "steps": 1, "classes_per_batch": 2, "samples_per_class": 2}
    assert FaceNet(**small, net="nn4").fit(X, y).transform(X[:2]).shape == (2, 6)
    half = FaceNet(**QUICK, net="conv:0.5").fit(X, y)
    assert half.net_.trunk[0].out_channels == 16

    def flat(shape, dim):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), dim))

    own = FaceNet(**QUICK, net=flat).fit(X, y)
    own.save(tmp_path)
    with pytest.raises(InputError, match="function that made"):
        FaceNet.load(tmp_path)
    assert np.array_equal(FaceNet.load(tmp_path, net=flat).transform(X), own.transform(X))
    with pytest.raises(InputError, match="net"):
        FaceNet(**QUICK, net="resnet").fit(X, y)


def test_vectors_are_saved_too(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), np.arange(40) % 4
    encoder = FaceNet(**QUICK).fit(X, y)
    encoder.save(tmp_path)
    assert np.array_equal(FaceNet.load(tmp_path).transform(X), encoder.transform(X))


def test_adagrad_takes_the_papers_rate_and_lowers_it():
    X, y = stripes()
    encoder = FaceNet(**{**QUICK, "steps": 10}, optimizer="adagrad", mining="semi_hard:vgg:hardest").fit(X, y)
    assert len(encoder.history_.steps) == 10
    assert encoder.fingerprint != FaceNet(**{**QUICK, "steps": 10}).fit(X, y).fingerprint


def test_the_average_of_the_weights_is_kept():
    X, y = stripes()
    last, averaged = (FaceNet(**QUICK, decay=decay).fit(X, y) for decay in (None, 0.9))
    assert last.fingerprint != averaged.fingerprint


def test_extra_negatives_join_every_batch_and_belong_to_the_run(tmp_path):
    X, y = stripes()
    plain = FaceNet(**QUICK).fit(X, y)
    more = FaceNet(**QUICK).fit(X, y, extra_negatives=8, checkpoint=tmp_path)
    assert plain.fingerprint != more.fingerprint
    with pytest.raises(InterruptedRunError, match="extra_negatives"):
        FaceNet(**QUICK).fit(X, y, extra_negatives=9, checkpoint=tmp_path)


def test_collapse_is_seen_in_the_history():
    X, y = stripes()
    history = FaceNet(**{**QUICK, "steps": 5}).fit(X, y).history_
    assert {"loss", "frac_active", "mean_d_ap", "mean_d_an"} <= set(history.figures)


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"mining": "softest"}, "mining"), ({"embedding_dim": 0}, "embedding_dim"), ({"classes_per_batch": 1}, "classes")],
)
def test_settings_are_checked(settings, name):
    with pytest.raises(InputError, match=name):
        FaceNet(**{**QUICK, **settings}).fit(*stripes())
