"""Hyp-GCD and Hyp-SimGCD: what they learn, where rows are named, and what they refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, partial_labels
from spaceform.clustering.partial import read_partial
from spaceform.clustering.semi_supervised import semi_supervised_kmeans
from spaceform.data.generators.tree import make_tree_classes
from spaceform.errors import InputError, SpaceFormatError
from spaceform.methods.class_discovery.hypcd import PRESETS, HypGCD, HypSimGCD, SemiSupervisedKMeans
from spaceform.metrics.clustering import split_cluster_accuracy
from spaceform.ops.assignment import agreement
from spaceform.workflows.encoders import load_encoder

SMALL = {"embedding_dim": 8, "epochs": 4, "batch_size": 32, "random_state": 0}
CONTRACT_CASES = {
    "HypGCD": EstimatorCase({"n_novel": 2, "head": (16, 4), **SMALL}, partial_labels, tolerance=5e-2),
    "HypSimGCD": EstimatorCase({"n_novel": 2, **SMALL}, partial_labels, tolerance=5e-2),
    "SemiSupervisedKMeans": EstimatorCase({"n_novel": 2, "n_init": 2, "random_state": 0}, partial_labels),
}
assert SemiSupervisedKMeans is not None


def gcd(**changed):
    return HypGCD(**{"n_novel": 3, "head": (16, 4), **SMALL, **changed})


def simgcd(**changed):
    return HypSimGCD(**{"n_novel": 3, **SMALL, **changed})


BOTH = pytest.mark.parametrize("make", [gcd, simgcd])


def corners(seed=0, per=16, width=0.5):
    rng = np.random.default_rng(seed)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    truth = rng.permutation(np.repeat(np.arange(8), per))
    X = places[truth] + rng.normal(scale=width, size=(8 * per, 3))
    return X, truth, np.where((truth < 5) & (rng.random(len(truth)) < 0.5), truth, -1)


class Unlabelled(HypGCD):
    """Feeds a check's rows without labels."""

    def fit(self, X, y=None):
        return super().fit(X, None)

    def fit_predict(self, X, y=None):
        return self.fit(X, None).labels_


class UnlabelledParametric(HypSimGCD):
    """Feeds a check's rows without labels."""

    def fit(self, X, y=None):
        return super().fit(X, None)

    def fit_predict(self, X, y=None):
        return self.fit(X, None).labels_


TINY = {"n_novel": 1, "embedding_dim": 3, "epochs": 1, "batch_size": 64, "random_state": 0}


@parametrize_with_checks(
    [Unlabelled(head=(4, 2), **TINY), UnlabelledParametric(**TINY)],
    expected_failed_checks=lambda _: {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_clustering": "asks for three clusters of an estimator that calls their number n_novel",
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@BOTH
def test_old_and_new_classes_are_found(make):
    X, truth, y = corners()
    model = make(epochs=30, learning_rate=3e-3, embedding_dim=16).fit(X, y)
    found = split_cluster_accuracy(truth[y < 0], model.labels_[y < 0], (truth < 5)[y < 0])
    assert found.all > 0.75
    assert (model.labels_[y >= 0] == y[y >= 0]).all()
    assert set(model.predict(X)) <= set(model.cluster_names_)
    assert agreement(truth, model.predict(X)) > 0.75
    np.testing.assert_array_equal(model.cluster_names_, np.arange(8))
    np.testing.assert_allclose(np.linalg.norm(model.transform(X), axis=1), 1, rtol=1e-5)


@BOTH
def test_points_have_different_radii_within_the_clipped_ball(make):
    X, _, y = corners()
    radii = np.linalg.norm(make(clip_radius=2.0).fit(X, y).points(X), axis=1)
    assert radii.std() > 1e-3
    assert radii.max() <= 1.7705


def test_rows_are_named_by_features_not_by_points_of_the_ball():
    X, _, y = corners()
    model = gcd().fit(X, y)
    assert model.cluster_centers_.shape == (8, 8)
    seed = model.net_.state_dict()["last.centers"]
    np.testing.assert_array_equal(seed.numpy(), model.cluster_centers_)
    again = semi_supervised_kmeans(model.transform(X), read_partial(y, len(X)), 3, random_state=0)
    assert agreement(model.cluster_names_[again.labels], model.labels_) > 0.5
    # nearest centres in the space of the features, by a loop
    features = model.transform(X)
    slow = [int(np.argmin([np.sum((row - center) ** 2) for center in model.cluster_centers_])) for row in features]
    np.testing.assert_array_equal(model.predict(X), model.cluster_names_[slow])


def test_without_distances_the_ball_changes_nothing():
    X, _, y = corners()
    plain = gcd(distance_weight=0.0).fit(X, y)
    curved = gcd(distance_weight=0.0, curvature=1.0, clip_radius=0.5).fit(X, y)
    np.testing.assert_allclose(plain.transform(X), curved.transform(X), atol=2e-2)
    assert np.abs(plain.transform(X) - gcd().fit(X, y).transform(X)).max() > 1e-3


def test_the_weight_of_distances_grows_over_the_epochs():
    X, _, y = corners()
    history = gcd(epochs=4, distance_weight=0.5).fit(X, y).history_
    weights = history.figures["distance weight"]
    assert weights[0] == pytest.approx(0.125)
    assert weights[-1] == pytest.approx(0.5)
    assert weights == sorted(weights)


def test_views_of_the_signal_beat_none():
    made = make_tree_classes(20, branching=(3, 2), scales=(3.0, 2.0), random_state=0)
    y = np.where((made.labels < 3) & (np.arange(len(made)) % 2 == 0), made.labels, -1)
    options = {
        "embedding_dim": 16,
        "head": (32, 8),
        "epochs": 20,
        "learning_rate": 3e-3,
        "angle_temperatures": (0.3, 0.07),
    }
    seen = gcd(**options).fit(made.X, y, views=made.views)
    blind = gcd(**options).fit(made.X, y)
    assert agreement(made.labels, seen.labels_) > agreement(made.labels, blind.labels_) + 0.1


def test_the_number_of_new_classes_can_be_estimated():
    X, _, y = corners(per=20, width=0.3)
    model = gcd(n_novel=None, epochs=10).fit(X, y)
    assert model.sweep_.best == len(model.cluster_names_) - 5
    with pytest.raises(InputError, match="no row is labelled"):
        gcd(n_novel=None).fit(X)


@BOTH
def test_pictures_and_no_labels_at_all(make):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (24, 16, 16, 3), dtype=np.uint8)
    model = make(net="conv:0.25", epochs=1, n_novel=2).fit(pictures)
    assert set(model.labels_) <= {0, 1}
    assert model.transform(pictures).shape == (24, 8)
    with pytest.raises(InputError, match="shape"):
        model.predict(pictures[:, :8, :8])


def test_probabilities_and_the_bias_of_the_released_code():
    X, _, y = corners()
    model = simgcd(bias_curvature=1.0).fit(X, y)
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(X), model.cluster_names_[chances.argmax(1)])
    assert model.net_.last.bias_curvature == 1.0
    assert np.abs(chances - simgcd().fit(X, y).predict_proba(X)).max() > 1e-7


def test_the_state_of_the_network_is_all_that_was_learned():
    X, _, y = corners()
    model = gcd().fit(X, y)
    state = copy.deepcopy(model.net_.state_dict())
    with torch.no_grad():
        for value in model.net_.parameters():
            value.zero_()
    model.net_.load_state_dict(state)
    np.testing.assert_array_equal(model.predict(X), gcd().fit(X, y).predict(X))


@BOTH
def test_files_give_the_same_answers_and_are_found_by_their_kind(make, tmp_path):
    X, _, y = corners()
    model = make().fit(X, y)
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    for again in (type(model).load(tmp_path), load_encoder(tmp_path)):
        assert type(again) is type(model)
        np.testing.assert_array_equal(again.cluster_names_, model.cluster_names_)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        np.testing.assert_array_equal(again.points(X), model.points(X))
    with pytest.raises(SpaceFormatError):
        (HypGCD if make is simgcd else HypSimGCD).load(tmp_path)


@BOTH
def test_a_killed_run_goes_on_to_the_same_end(make, tmp_path):
    X, _, y = corners()

    def killed(step, figures):
        if step == 7:
            raise KeyboardInterrupt
        return ""

    whole = make().fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, y, checkpoint=tmp_path, every=3, callbacks=[killed])
    resumed = make().fit(X, y, checkpoint=tmp_path, every=3)
    np.testing.assert_array_equal(resumed.encode(X), whole.encode(X))
    np.testing.assert_array_equal(resumed.labels_, whole.labels_)
    assert make().fit(X, y, callbacks=[lambda step, figures: "enough" * (step == 5)]).history_.steps[-1] == 5


def test_one_matching_serves_old_and_new_rows():
    truth, found = np.array([0, 0, 1, 1]), np.array([5, 5, 5, 5])
    score = split_cluster_accuracy(truth, found, truth == 0)
    assert (score.all, score.old + score.new) == (0.5, 1.0)  # two matchings would give 1 and 1


@BOTH
def test_refusals(make):
    X, _, y = corners()
    for name, values in {
        "n_novel": (-1, 1000, 1.5),
        "curvature": (0.0, -1.0),
        "clip_radius": (0.0, -2.0),
        "distance_weight": (1.5,),
        "epochs": (0,),
        "batch_size": (1,),
        "learning_rate": (0.0,),
    }.items():
        for value in values:
            with pytest.raises(InputError, match=name):
                make(**{name: value}).fit(X, y)
    with pytest.raises(InputError, match="NaN"):
        make().fit(np.where(X > 4, np.nan, X), y)
    with pytest.raises(InputError, match="all rows"):
        make().fit(X, np.zeros(len(X), int))
    with pytest.raises(InputError, match="sample"):
        make(n_novel=1).fit(X[:1])
    with pytest.raises(InputError, match="views"):
        make().fit(X, y, views=lambda rows, _: X[rows, :2])


def test_flat_space_is_for_hyp_gcd_only():
    X, _, y = corners()
    assert np.linalg.norm(gcd(curvature=None, clip_radius=0.5).fit(X, y).points(X), axis=1).max() <= 0.5 + 1e-6
    with pytest.raises(InputError, match="curvature"):
        simgcd(curvature=None).fit(X, y)
    with pytest.raises(InputError, match="n_novel"):
        simgcd(n_novel=None).fit(X, y)


def test_both_sets_of_constants_are_kept():
    assert PRESETS["paper, fine-grained"]["curvature"] != PRESETS["released, Hyp-SimGCD on CUB"]["curvature"]
    for options in PRESETS.values():
        HypGCD(**options)
