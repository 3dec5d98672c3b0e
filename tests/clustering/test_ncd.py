"""NCD k-means and NCD spectral clustering: what known classes may and may not do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.utils.estimator_checks import parametrize_with_checks

from spaceform.clustering.ncd import UPDATES, NCDKMeans, NCDSpectralClustering
from spaceform.clustering.spectral import spectral_embedding
from spaceform.errors import InputError
from spaceform.ops.assignment import agreement


def corners(per: int = 20, width: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows round eight corners of a cube: (X, true classes, labels with classes 5, 6, 7 unlabelled)."""
    rng = np.random.default_rng(seed)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    truth = rng.permutation(np.repeat(np.arange(8), per))
    X = places[truth] + rng.normal(scale=width, size=(8 * per, 3))
    return X, truth, np.where(truth < 5, truth, -1)


class _Unlabelled:
    """Feeds an estimator the rows of a check without labels: with labels on all rows there is nothing to discover."""

    def fit(self, X: object, y: object = None) -> object:
        return super().fit(X, None)

    def fit_predict(self, X: object, y: object = None) -> object:
        return super().fit_predict(X, None)


class _PartlyKnown:
    """Feeds an estimator the labels of a check with the last class unlabelled."""

    def fit(self, X: object, y: object = None) -> object:
        return super().fit(X, None if y is None else _hide_last(y))

    def fit_predict(self, X: object, y: object = None) -> object:
        return super().fit_predict(X, None if y is None else _hide_last(y))


def _hide_last(y: object) -> np.ndarray:
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    return np.where(codes < codes.max(), codes, -1)


class KMeansOfUnlabelled(_Unlabelled, NCDKMeans):
    """The classes are final; these stand outside only so that the checks can pickle them."""


class KMeansOfPartlyKnown(_PartlyKnown, NCDKMeans):
    """With known classes."""


class SpectralOfUnlabelled(_Unlabelled, NCDSpectralClustering):
    """Without known classes."""


class SpectralOfPartlyKnown(_PartlyKnown, NCDSpectralClustering):
    """With known classes."""


NOT_TYPE_ERRORS = {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


def _expected(estimator: object) -> dict[str, str]:
    return NOT_TYPE_ERRORS


@parametrize_with_checks(
    [
        kind(n_novel=3, n_init=2, random_state=0)
        for kind in (KMeansOfUnlabelled, KMeansOfPartlyKnown, SpectralOfUnlabelled, SpectralOfPartlyKnown)
    ],
    expected_failed_checks=_expected,
)
def test_scikit_learn_checks(estimator: object, check: object) -> None:
    check(estimator)


# known classes in NCD k-means


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_known_centres_stay_to_the_bit_and_take_no_rows(seed: int, n_novel: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 3))
    y = np.where(np.arange(30) < 12, np.arange(30) % 3, -1)
    model = NCDKMeans(n_novel=n_novel, n_init=2, random_state=seed).fit(X, y)
    expected = np.stack([X[y == label].mean(0) for label in range(3)])
    np.testing.assert_array_equal(model.known_centers_, expected)
    assert set(model.labels_[y >= 0]) == {-1}
    assert set(model.labels_[y < 0]) <= set(range(n_novel))
    assert model.cluster_centers_.shape == (n_novel, 3)
    # only unlabelled rows make a novel centre
    for index in set(model.labels_[y < 0]):
        np.testing.assert_allclose(model.cluster_centers_[index], X[model.labels_ == index].mean(0))


def test_without_known_classes_it_is_ordinary_k_means_from_the_same_centres() -> None:
    X, _, _ = corners(width=1.5)
    ours = NCDKMeans(n_novel=4, tol=0, random_state=3).fit(X)
    theirs = KMeans(4, init=ours.cluster_centers_, n_init=1, tol=0).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_)
    with pytest.raises(InputError, match="no labelled row"):
        ours.predict_known(X)


@given(st.integers(0, 10_000))
def test_rows_on_a_known_centre_are_never_seeds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = np.array([[0.0, 0.0], [0.0, 0.0]])
    away = rng.normal(size=(3, 2)) + 50
    X = np.concatenate([known, np.zeros((40, 2)), away])
    y = np.array([0, 0] + [-1] * 43)
    # update="known" leaves the novel centres where they were seeded
    seeds = NCDKMeans(n_novel=3, n_init=1, update="known", random_state=seed).fit(X, y).cluster_centers_
    np.testing.assert_allclose(np.sort(seeds, axis=0), np.sort(away, axis=0))


def test_seeding_away_from_known_classes_finds_novel_ones() -> None:
    X, truth, y = corners()
    model = NCDKMeans(n_novel=3, n_init=1, random_state=0).fit(X, y)
    assert agreement(truth[y < 0], model.labels_[y < 0]) == 1
    assert agreement(truth[y < 0], model.predict(X[y < 0])) == 1
    np.testing.assert_array_equal(model.predict_known(X[y >= 0]), y[y >= 0])


def test_discover_clusters_other_rows_afresh() -> None:
    X, truth, y = corners()
    model = NCDKMeans(n_novel=3, n_init=5, random_state=0).fit(X, y)
    some = (truth == 5) | (truth == 7)
    before = model.cluster_centers_.copy()
    assert agreement(truth[some], model.discover(X[some], 2)) == 1
    np.testing.assert_array_equal(model.cluster_centers_, before)


def test_which_centres_move() -> None:
    X, _, y = corners(width=1.0)
    models = {update: NCDKMeans(n_novel=3, update=update, random_state=0).fit(X, y) for update in UPDATES}
    means = np.stack([X[y == label].mean(0) for label in range(5)])
    np.testing.assert_array_equal(models["novel"].known_centers_, means)
    for update in ("known", "both"):
        assert np.abs(models[update].known_centers_ - means).max() > 0.1
    rows = X[y < 0]
    seeds = models["known"].cluster_centers_
    assert np.isclose(np.linalg.norm(rows[:, None] - seeds[None], axis=2).min(0), 0, atol=1e-9).all()


def test_labels_need_not_be_consecutive() -> None:
    X, _, y = corners()
    renamed = np.where(y >= 0, y * 10 + 3, -1)
    model = NCDKMeans(n_novel=3, random_state=0).fit(X, renamed)
    assert model.classes_.tolist() == [3, 13, 23, 33, 43]
    np.testing.assert_array_equal(model.predict_known(X[y >= 0]), renamed[y >= 0])


@pytest.mark.parametrize("estimator", [NCDKMeans, NCDSpectralClustering])
def test_number_of_novel_classes_is_estimated(estimator: type) -> None:
    X, truth, y = corners()
    model = estimator(k_range=(2, 6), random_state=0).fit(X, y)
    assert model.n_novel_ == 3
    assert agreement(truth[y < 0], model.labels_[y < 0]) == 1


# spectral


def test_spectral_finds_novel_classes_that_are_no_balls() -> None:
    moons, truth = make_moons(200, noise=0.03, random_state=0)
    X = np.concatenate([moons, moons[truth == 0] + [2, 0]])
    truth = np.concatenate([truth, np.full(100, 2)])
    y = np.where(truth == 2, 2, -1)
    model = NCDSpectralClustering(n_novel=2, n_components=2, min_dist=1e-3, random_state=0).fit(X, y)
    assert agreement(truth[y < 0], model.labels_[y < 0]) == 1
    assert agreement(truth[y < 0], NCDKMeans(n_novel=2, random_state=0).fit(X, y).labels_[y < 0]) < 0.9
    assert model.embedding_.shape == (300, 2)
    assert set(model.labels_[y >= 0]) == {-1}


def test_spectral_is_ncd_k_means_of_the_joint_embedding() -> None:
    X, _, y = corners(width=1.0)
    model = NCDSpectralClustering(n_novel=3, n_components=6, min_dist=0.3, random_state=1).fit(X, y)
    embedding = spectral_embedding(X, 6, 0.3)
    inner = NCDKMeans(n_novel=3, max_iter=1000, tol=1e-10, random_state=1).fit(embedding, y)
    np.testing.assert_array_equal(model.labels_, inner.labels_)
    np.testing.assert_allclose(model.known_centers_, [embedding[y == label].mean(0) for label in range(5)])


def test_spectral_between_neighbours() -> None:
    X, truth, y = corners()
    model = NCDSpectralClustering(n_novel=3, max_dense=50, k=8, random_state=0).fit(X, y)
    assert agreement(truth[y < 0], model.labels_[y < 0]) == 1


@pytest.mark.parametrize(
    ("argument", "model"),
    [
        ("n_novel", NCDKMeans(n_novel=0)),
        ("n_novel", NCDKMeans(n_novel=61)),
        ("update", NCDKMeans(n_novel=2, update="none")),
        ("n_init", NCDKMeans(n_novel=2, n_init=0)),
        ("init_power", NCDKMeans(n_novel=2, init_power=-1)),
        ("n_novel", NCDSpectralClustering(n_novel=61)),
        ("min_dist", NCDSpectralClustering(n_novel=2, min_dist=1.0)),
        ("min_dist", NCDSpectralClustering(n_novel=2, min_dist=0.0)),
        ("n_components", NCDSpectralClustering(n_novel=2, n_components=160)),
    ],
)
def test_bad_parameters_are_refused(argument: str, model: object) -> None:
    X, _, y = corners()
    with pytest.raises(InputError) as caught:
        model.fit(X, y)
    assert caught.value.argument == argument


def test_known_centres_can_only_move_where_there_are_some() -> None:
    with pytest.raises(InputError, match="no labelled row"):
        NCDKMeans(n_novel=2, update="known").fit(np.eye(4))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_must_be_finite(bad: float) -> None:
    X, _, y = corners()
    X[3, 1] = bad
    for model in (NCDKMeans(n_novel=2), NCDSpectralClustering(n_novel=2)):
        with pytest.raises(InputError, match="row 3"):
            model.fit(X, y)
