"""Hiding known classes: what a fold shows to an estimator and what it scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import uniform
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from spaceform.clustering.hidden_classes import HiddenClassSearchCV, HiddenClassSplit
from spaceform.clustering.ncd import NCDKMeans, NCDSpectralClustering
from spaceform.errors import InputError


def corners(per: int = 12, width: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows round the corners of a cube: (X, true classes, labels with classes 6 and 7 unlabelled)."""
    rng = np.random.default_rng(0)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    truth = rng.permutation(np.repeat(np.arange(8), per))
    return places[truth] + rng.normal(scale=width, size=(8 * per, 3)), truth, np.where(truth < 6, truth, -1)


def search_for(estimator: object, candidates: dict, **options: object) -> HiddenClassSearchCV:
    return HiddenClassSearchCV(estimator=estimator, param_distributions=candidates, **options)


class Spy(BaseEstimator):
    """Notes what it is fitted on and puts every row into one cluster."""

    seen: list = []  # noqa: RUF012  # shared by the clones on purpose

    def __init__(self, n_novel: int | None = None, setting: int = 0) -> None:
        self.n_novel = n_novel
        self.setting = setting

    def fit(self, X: np.ndarray, y: np.ndarray) -> Spy:
        self.seen.append((self.n_novel, self.setting, np.array(y)))
        self.labels_ = np.zeros(len(X), int)
        return self


# the splitter


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 5))
def test_folds_hide_whole_classes_and_never_repeat(seed: int, n_hidden: int, n_splits: int) -> None:
    _, truth, y = corners(per=3)
    folds = list(HiddenClassSplit(n_hidden=n_hidden, n_splits=n_splits, random_state=seed).split(y))
    hidden_sets = set()
    for masked, rows in folds:
        hidden = set(truth[rows])
        hidden_sets.add(frozenset(hidden))
        assert len(hidden) == n_hidden
        assert hidden <= set(range(6))
        np.testing.assert_array_equal(np.flatnonzero(np.isin(truth, list(hidden))), rows)
        np.testing.assert_array_equal(masked, np.where(np.isin(truth, list(hidden)), -1, y))
    assert len(hidden_sets) == n_splits


def test_many_classes_are_drawn_without_listing_all_combinations() -> None:
    y = np.repeat(np.arange(200), 2)
    folds = list(HiddenClassSplit(n_hidden=50, n_splits=4, random_state=0).split(y))
    assert len({tuple(rows) for _, rows in folds}) == 4


def test_default_hides_a_quarter_but_at_least_two() -> None:
    for n_classes, expected in ((3, 2), (8, 2), (20, 5)):
        y = np.repeat(np.arange(n_classes), 2)
        _, rows = next(HiddenClassSplit(n_splits=1, random_state=0).split(y))
        assert len(set(y[rows])) == expected


@pytest.mark.parametrize(
    ("y", "options", "argument"),
    [
        ([0, 1, 2, -1], {"n_hidden": 3}, "n_hidden"),
        ([0, 1, 2, -1], {"n_hidden": 0}, "n_hidden"),
        ([0, 1, -1], {}, "n_hidden"),
        ([0, 1, 2, -1], {"n_hidden": 1, "n_splits": 4}, "n_splits"),
        ([0, 1, 2, -1], {"n_splits": 0}, "n_splits"),
        ([-1, -1], {"n_hidden": 1}, "y"),
    ],
)
def test_impossible_folds_are_refused(y: list[int], options: dict, argument: str) -> None:
    with pytest.raises(InputError) as caught:
        list(HiddenClassSplit(**options).split(y))
    assert caught.value.argument == argument


# the search


def test_hidden_and_novel_rows_together_are_unlabelled_and_hidden_ones_alone_are_scored() -> None:
    X, _, y = corners()
    Spy.seen.clear()
    cv = HiddenClassSplit(n_hidden=2, n_splits=2, random_state=1)
    search = search_for(Spy(n_novel=2), {"setting": [5]}, cv=cv, refit=False).fit(X, y)
    for (n_novel, setting, shown), (masked, _) in zip(Spy.seen, cv.split(y), strict=True):
        assert (n_novel, setting) == (4, 5)  # two novel classes and the two hidden ones
        np.testing.assert_array_equal(shown, masked)
        assert (shown[y < 0] == -1).all()
    # all rows in one cluster: half of the rows of two equal hidden classes are right; over all rows it were a quarter
    np.testing.assert_array_equal(search.cv_results_["split_scores"], [[0.5, 0.5]])
    with pytest.raises(AttributeError, match="refit"):
        _ = search.labels_


def test_number_unknown_stays_unknown_to_the_estimator() -> None:
    X, _, y = corners()
    Spy.seen.clear()
    search_for(Spy(n_novel=2), {"setting": [0]}, estimate_n=True, refit=False, random_state=0).fit(X, y)
    search_for(Spy(), {"setting": [0]}, refit=False, random_state=0).fit(X, y)
    assert {n_novel for n_novel, *_ in Spy.seen} == {None}


@pytest.mark.parametrize("estimate_n", [False, True])
def test_the_better_setting_wins_and_is_refitted(estimate_n: bool) -> None:
    X, truth, y = corners()
    noisy = np.concatenate([X, np.random.default_rng(1).normal(scale=30, size=(len(X), 1))], 1)
    cv = HiddenClassSplit(n_hidden=3, random_state=0)
    search = search_for(_Columns(), {"columns": [4, 3]}, cv=cv, estimate_n=estimate_n, random_state=0)
    search.fit(noisy, y)
    assert search.best_params_ == {"columns": 3}
    assert search.best_score_ == 1
    assert len(set(zip(truth[y < 0], search.labels_[y < 0], strict=True))) == 2
    np.testing.assert_array_equal(search.predict(noisy), search.best_estimator_.predict(noisy))
    assert not hasattr(search, "transform")
    assert search.cv_results_["n_found"].shape == (2, 3)


class _Columns(BaseEstimator):
    """NCD k-means on the first columns."""

    def __init__(self, n_novel: int = 2, columns: int = 3) -> None:
        self.n_novel = n_novel
        self.columns = columns

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Columns:
        self.inner_ = NCDKMeans(n_novel=self.n_novel, k_range=(2, 5), random_state=0).fit(X[:, : self.columns], y)
        self.labels_ = self.inner_.labels_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.inner_.predict(X[:, : self.columns])

    def discover(self, X: np.ndarray, n_novel: int) -> np.ndarray:
        return self.inner_.discover(X[:, : self.columns], n_novel)

    def estimate_n_novel(self, X: np.ndarray) -> object:
        return self.inner_.estimate_n_novel(X[:, : self.columns])


def test_transductive_estimators_are_searched_too() -> None:
    X, _, y = corners()
    search = search_for(
        NCDSpectralClustering(n_novel=2, random_state=0),
        {"min_dist": uniform(0.1, 0.8)},
        n_iter=2,
        cv=HiddenClassSplit(n_hidden=2, n_splits=2, random_state=0),
        random_state=0,
    ).fit(X, y)
    assert search.best_score_ == 1
    assert search.best_estimator_.n_novel == 2
    assert not hasattr(search, "predict")


def test_the_true_classes_of_novel_rows_can_not_matter() -> None:
    X, truth, _ = corners(width=2.0)
    chosen = []
    for seed in range(3):
        novel = truth >= 6
        shuffled = truth.copy()
        shuffled[novel] = np.random.default_rng(seed).permutation(truth[novel])
        y = np.where(shuffled < 6, shuffled, -1)
        search = search_for(
            NCDKMeans(n_novel=2, random_state=0),
            {"init_power": uniform(0.5, 3)},
            n_iter=4,
            random_state=0,
        ).fit(X, y)
        chosen.append((search.best_params_, search.best_score_))
    assert chosen[0] == chosen[1] == chosen[2]


def test_lists_shorter_than_the_budget_are_searched_once_and_progress_is_told() -> None:
    X, _, y = corners(per=4)
    seen: list[tuple[int, int]] = []
    search = search_for(NCDKMeans(n_novel=2, random_state=0), {"init_power": [1.0, 2.0]}, random_state=0)
    search.fit(X, y, progress=lambda *told: seen.append(told[1:3]))
    assert seen == [(step, 6) for step in range(1, 7)]
    assert sorted(params["init_power"] for params in search.cv_results_["params"]) == [1.0, 2.0]


def test_an_empty_search_is_refused_and_an_unfitted_one_says_so() -> None:
    X, _, y = corners(per=4)
    with pytest.raises(InputError, match="param_distributions"):
        search_for(NCDKMeans(n_novel=2), {}).fit(X, y)
    with pytest.raises(InputError, match="n_iter"):
        search_for(NCDKMeans(n_novel=2), {"tol": [0]}, n_iter=0).fit(X, y)
    with pytest.raises(NotFittedError):
        search_for(NCDKMeans(n_novel=2), {"tol": [0]}).predict(X)
