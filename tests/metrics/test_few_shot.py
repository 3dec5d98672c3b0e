import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import NearestCentroid

from spaceform.errors import InputError
from spaceform.metrics.few_shot import evaluate_episodes, few_shot_accuracy, mean_with_interval
from spaceform.samplers.episodes import EpisodeSampler


def table(seed=0, *, spread=1.0, classes=8, rows=12):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), rows)
    return rng.normal(size=(classes, 6))[y] + spread * rng.normal(size=(len(y), 6)), y


def test_interval_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(size=50)
    low, high = stats.norm.interval(0.95, loc=values.mean(), scale=stats.sem(values))
    mean, half = mean_with_interval(values)
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = rng.random((800, 60))
    covered = [abs(mean - 0.5) <= half for mean, half in map(mean_with_interval, draws)]
    assert 0.92 < np.mean(covered) < 0.97


def test_accuracy_is_that_of_the_nearest_class_mean():
    X, y = table()
    sampler = EpisodeSampler(y, n_way=4, n_shot=3, n_query=5, seed=2)
    result = few_shot_accuracy(X, sampler.episodes(6))
    for episode, accuracy in zip(sampler.episodes(6), result.accuracies, strict=True):
        model = NearestCentroid().fit(X[episode.support.ravel()], np.repeat(np.arange(4), 3))
        assert accuracy == pytest.approx(np.mean(model.predict(X[episode.query.ravel()]) == episode.query_targets))
    assert result.mean == pytest.approx(result.accuracies.mean())
    assert result.to_dict()["episodes"] == 6
    assert "+-" in str(result)


def test_cosine_ignores_lengths():
    X, y = table(1)
    lengths = np.random.default_rng(3).uniform(0.1, 10, size=(len(X), 1))
    sampler = EpisodeSampler(y, n_way=5, n_shot=2, n_query=4)
    plain, scaled = (few_shot_accuracy(rows, sampler.episodes(20), closeness="dot") for rows in (X, lengths * X))
    assert plain.mean == scaled.mean
    assert few_shot_accuracy(lengths * X, sampler.episodes(20)).mean < plain.mean


def test_chance_and_certainty():
    X, y = table(2, spread=0.0)
    sampler = EpisodeSampler(y, n_way=4, n_shot=1, n_query=5)
    assert few_shot_accuracy(X, sampler.episodes(5)).mean == 1
    noise = np.random.default_rng(4).normal(size=X.shape)
    guessed = few_shot_accuracy(noise, sampler.episodes(400))
    assert abs(guessed.mean - 0.25) < 3 * guessed.interval


def test_what_does_not_fit_is_refused():
    X, y = table(3)
    sampler = EpisodeSampler(y, n_way=2, n_shot=1, n_query=1)
    episode = sampler(0)
    with pytest.raises(InputError, match="values"):
        few_shot_accuracy(X, [episode])
    with pytest.raises(InputError, match="closeness"):
        few_shot_accuracy(X, [episode, episode], closeness="cosine")
    X[episode.query[0, 0]] = np.nan
    with pytest.raises(InputError, match="X"):
        few_shot_accuracy(X, [episode, episode])

    class Leaky:
        support = episode.support
        query = episode.support

    with pytest.raises(InputError, match="episodes"):
        few_shot_accuracy(table(4)[0], [Leaky(), Leaky()])


def test_any_answer_is_counted_query_by_query():
    _, y = table()
    sampler = EpisodeSampler(y, n_way=4, n_shot=1, n_query=3)

    def half(episode):
        return np.where(np.arange(12) % 2, episode.query_targets, (episode.query_targets + 1) % 4)

    assert evaluate_episodes(lambda episode: episode.query_targets, sampler.episodes(3)).mean == 1
    assert evaluate_episodes(half, sampler.episodes(3)).accuracies.tolist() == [0.5] * 3


@pytest.mark.parametrize("said", [np.zeros(11, dtype=int), np.zeros(12), np.zeros((4, 3), dtype=int)])
def test_answers_of_another_form_are_refused(said):
    sampler = EpisodeSampler(table()[1], n_way=4, n_shot=1, n_query=3)
    with pytest.raises(InputError, match="answer"):
        evaluate_episodes(lambda episode: said, sampler.episodes(2))
