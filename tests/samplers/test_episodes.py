import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.samplers.episodes import EpisodeSampler

LABELS = np.repeat([7, 3, 9, 4, 11, 2], [6, 5, 4, 9, 2, 7])


@given(
    ways=st.integers(2, 3),
    shots=st.integers(1, 2),
    queries=st.integers(1, 2),
    unknown=st.integers(0, 2),
    step=st.integers(0, 500),
)
@settings(max_examples=80)
def test_rows_are_of_their_class_and_never_shared(ways, shots, queries, unknown, step):
    sampler = EpisodeSampler(LABELS, n_way=ways, n_shot=shots, n_query=queries, n_unknown=unknown, seed=1)
    episode = sampler(step)
    assert episode.support.shape == (ways, shots)
    assert episode.query.shape == (ways, queries)
    assert episode.unknown.shape == (unknown, queries)
    assert (LABELS[episode.support] == episode.classes[:, None]).all()
    assert (LABELS[episode.query] == episode.classes[:, None]).all()
    assert (LABELS[episode.unknown] == episode.unknown_classes[:, None]).all()
    drawn = np.concatenate([episode.support.ravel(), episode.query.ravel(), episode.unknown.ravel()])
    assert len(np.unique(drawn)) == len(drawn)
    assert len(np.unique([*episode.classes, *episode.unknown_classes])) == ways + unknown
    assert episode.query_targets.tolist() == np.repeat(np.arange(ways), queries).tolist()


def test_small_classes_and_unlabelled_rows_are_never_drawn():
    labels = LABELS.copy()
    labels[LABELS == 9] = -1
    sampler = EpisodeSampler(labels, n_way=4, n_shot=2, n_query=3)
    for episode in sampler.episodes(30):
        assert set(episode.classes) == {7, 3, 4, 2}


def test_every_row_comes_up():
    sampler = EpisodeSampler(LABELS, n_way=3, n_shot=1, n_query=1)
    seen = {row for episode in sampler.episodes(200) for row in [*episode.support.ravel(), *episode.query.ravel()]}
    assert seen == set(range(len(LABELS)))


def test_an_episode_depends_on_seed_and_step_alone():
    one, same, other = (EpisodeSampler(LABELS, n_way=2, n_query=2, seed=seed) for seed in (0, 0, 1))
    one(3)
    assert (one(5).support == same(5).support).all()
    assert any((one(s).query != other(s).query).any() for s in range(5))
    assert any((one(s).query != one(s + 1).query).any() for s in range(5))


def test_ranks_share_the_plan_of_one_process():
    whole = EpisodeSampler(LABELS, n_way=2, n_query=2, seed=4)
    ranks = [EpisodeSampler(LABELS, n_way=2, n_query=2, seed=4, rank=r, world_size=3) for r in range(3)]
    for step in range(4):
        for r, rank in enumerate(ranks):
            assert (rank(step).query == whole(3 * step + r).query).all()


@pytest.mark.parametrize(
    "options",
    [
        {"n_way": 7},
        {"n_way": 5, "n_unknown": 2},
        {"n_query": 9},
        {"n_way": 1},
        {"n_shot": 0},
        {"rank": 1},
        {"seed": -1},
    ],
)
def test_what_does_not_fit_is_refused(options):
    with pytest.raises(InputError):
        EpisodeSampler(LABELS, **{"n_way": 2, "n_query": 1, **options})
