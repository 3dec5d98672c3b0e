"""The estimator: follows Fisher's ratio, refuses unlike comparisons, has an error bar, survives outliers."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import spaceform
from spaceform.errors import InputError
from spaceform.methods.diagnostics.class_separability import ClassSeparability, SeparabilityMonitor, SeparabilityScore
from spaceform.metrics.separability import fisher_ratio


def blobs(gap, seed=0, n=300, d=32, n_classes=5):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return gap * rng.normal(size=(n_classes, d))[y] + rng.normal(size=(n, d)), y


@parametrize_with_checks([ClassSeparability(n_subsample=10, n_repeats=2, normalize="none")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_parts_of_the_result_agree():
    X, _ = blobs(1.0)
    model = ClassSeparability(n_subsample=200, n_repeats=4, random_state=0).fit(X)
    assert model.persistence_.shape == (4, 199)
    assert model.score_ == pytest.approx(model.scores_.mean())
    assert model.score_std_ == pytest.approx(model.scores_.std(ddof=1))
    assert model.result_.separability == 1 - model.score_
    assert model.score(X) == pytest.approx(1 - model.score_)  # the same rows and subsamples
    assert json.loads(json.dumps(model.result_.to_dict()))["sample_size"] == 200


def test_follows_fishers_ratio_without_labels():
    gaps = [0, 0.3, 0.6, 1, 2, 4]
    scores = [ClassSeparability(n_subsample=200, random_state=0).fit(blobs(gap)[0]).score_ for gap in gaps]
    assert spearmanr(scores, [fisher_ratio(*blobs(gap)) for gap in gaps]).statistic < -0.8


def test_two_dimensions_do_not_follow_fishers_ratio():
    """The method's limit, kept in sight: overlapping classes merge early in single linkage."""
    gaps = [0, 0.5, 1, 2, 4]
    parts = [blobs(gap, seed=seed, d=2) for seed in range(6) for gap in gaps]
    model = ClassSeparability(normalize="none", n_subsample=200, n_repeats=2, random_state=0)
    scores = [model.fit(X).score_ for X, _ in parts]
    assert abs(spearmanr(scores, [fisher_ratio(X, y) for X, y in parts]).statistic) < 0.6


def test_finds_the_number_of_far_components():
    assert ClassSeparability(n_subsample=200, random_state=0).fit(blobs(5.0)[0]).n_components_ == 5


def test_the_error_bar_covers_other_subsamples():
    X, _ = blobs(1.0, n=2000)
    fits = [ClassSeparability(n_subsample=300, n_repeats=5, random_state=seed).fit(X) for seed in range(8)]
    values = np.array([fit.score_ for fit in fits])
    assert values.std() < 2 * np.mean([fit.score_std_ for fit in fits])


def test_same_seed_same_score():
    X, _ = blobs(1.0)
    scores = [ClassSeparability(n_subsample=100, random_state=seed).fit(X).score_ for seed in (3, 3, 4)]
    assert scores[0] == scores[1] != scores[2]


def test_all_rows_in_one_subsample_have_no_error_bar():
    X, _ = blobs(1.0)
    model = ClassSeparability(n_subsample=300).fit(X)
    assert model.persistence_.shape == (1, 299)
    assert model.score_std_ is None
    assert model.result_.difference(model.result_) == (0, None)


def test_scores_at_different_sizes_are_not_compared():
    X, _ = blobs(0.0, n=2000, d=8)
    few, many = (ClassSeparability(n_subsample=n, normalize="none", random_state=0).fit(X).result_ for n in (200, 2000))
    assert abs(few.value - many.value) > 0.05
    with pytest.raises(InputError, match=r"sample_size: got 200 and 2000.*one subsample size"):
        few.difference(many)


@pytest.mark.parametrize("other", [{"statistic": "median"}, {"normalize": "none"}, {"min_component_size": 2}])
def test_scores_made_otherwise_are_not_compared(other):
    X, _ = blobs(1.0)
    ours, theirs = (ClassSeparability(n_subsample=100, **options).fit(X).result_ for options in ({}, other))
    with pytest.raises(InputError, match=next(iter(other))):
        ours.difference(theirs)


def test_separated_rows_are_more_separable_by_more_than_the_error():
    ours, theirs = (ClassSeparability(n_subsample=200, random_state=0).fit(blobs(gap)[0]).result_ for gap in (3, 0))
    gain, spread = ours.difference(theirs)
    assert gain > 5 * spread > 0


def test_a_larger_gap_is_more_separable():
    ours, theirs = (
        ClassSeparability(statistic="gap", n_subsample=200, random_state=0).fit(blobs(gap)[0]).result_ for gap in (3, 0)
    )
    assert ours.difference(theirs)[0] > 0


def test_one_far_row_does_not_look_like_classes():
    X, _ = blobs(0.0, n=400)
    far = np.vstack([X, 1e4 * np.ones((1, 32))])
    plain, guarded = (
        [
            ClassSeparability(n_subsample=len(Z), normalize="none", min_component_size=size).fit(Z).score_
            for Z in (X, far)
        ]
        for size in (1, 5)
    )
    assert plain[1] < 0.1 * plain[0]
    assert guarded[1] == pytest.approx(guarded[0], abs=0.02)


@pytest.mark.parametrize("scale", [1e-3, 7.0])
@pytest.mark.parametrize("normalize", ["l2", "layer", "none"])
def test_scale_does_not_matter(normalize, scale):
    X, _ = blobs(1.0)
    options = {"n_subsample": 150, "normalize": normalize, "random_state": 0}
    assert ClassSeparability(**options).fit(scale * X).score_ == pytest.approx(
        ClassSeparability(**options).fit(X).score_, rel=1e-9
    )


def test_clone_and_parameters():
    model = clone(ClassSeparability(n_subsample=77))
    assert model.get_params()["n_subsample"] == 77


def test_offered_by_the_package():
    assert spaceform.ClassSeparability is ClassSeparability
    assert spaceform.SeparabilityMonitor is SeparabilityMonitor
    assert SeparabilityScore.__module__ == ClassSeparability.__module__


@pytest.mark.parametrize(
    ("options", "X", "part"),
    [
        ({}, blobs(1.0)[0], "n_subsample: got 500, expected at most the 300 rows"),
        ({"n_subsample": 2}, blobs(1.0)[0], "n_subsample"),
        ({"n_subsample": 50, "n_repeats": 0}, blobs(1.0)[0], "n_repeats"),
        ({"n_subsample": 50, "statistic": "n_long"}, blobs(1.0)[0], "one of 'mean'"),
        ({"n_subsample": 50, "normalize": "max"}, blobs(1.0)[0], "one of 'l2'"),
        ({"n_subsample": 50, "k_max": 0}, blobs(1.0)[0], "k_max"),
        ({"n_subsample": 50, "min_component_size": 26}, blobs(1.0)[0], "from 1 to 25"),
        ({"n_subsample": 50}, np.vstack([np.zeros(32), blobs(1.0)[0]]), "zero vector"),
        ({"n_subsample": 50, "normalize": "layer"}, np.vstack([np.ones(32), blobs(1.0)[0]]), "equal values"),
        ({"n_subsample": 50}, np.ones((60, 3)), "identical"),
        ({"n_subsample": 50}, np.full((60, 3), np.nan), "NaN"),
    ],
)
def test_bad_input_is_refused(options, X, part):
    with pytest.raises(ValueError, match=part):
        ClassSeparability(**options).fit(X)
