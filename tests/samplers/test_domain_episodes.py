import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.samplers.domain_episodes import OpenSetEpisodeSampler


def rows(source, target, each=6, seed=0):
    """Return shuffled labels and domains: ``each`` rows of the classes in ``source`` and in ``target``."""
    labels = np.repeat([*source, *target], each)
    domains = np.repeat([0, 1], [each * len(source), each * len(target)])
    order = np.random.default_rng(seed).permutation(len(labels))
    return labels[order], domains[order]


def check(sampler, step, labels, domains):
    """Assert all that an episode promises: rows of their class and domain, nothing shared, no class twice."""
    tasks = sampler(step)
    drawn, classes = [], []
    for domain, task in enumerate(tasks):
        for part, names in (
            (task.support, task.classes),
            (task.query, task.classes),
            (task.unknown, task.unknown_classes),
        ):
            assert (labels[part] == names[:, None]).all()
            assert (domains[part] == domain).all()
            drawn += part.ravel().tolist()
        classes += [*task.classes, *task.unknown_classes]
    assert len(set(drawn)) == len(drawn)
    assert len(set(classes)) == len(classes) == 2 * (sampler.n_way + sampler.n_unknown)


def test_a_thousand_episodes_keep_classes_and_rows_apart():
    labels, domains = rows(range(9), range(6, 14))
    sampler = OpenSetEpisodeSampler(labels, domains, n_way=3, n_unknown=2, shots=(3, 1), queries=2, seed=5)
    for step in range(1000):
        check(sampler, step, labels, domains)


@given(shared=st.integers(0, 8), source=st.integers(0, 8), target=st.integers(0, 8), step=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_it_draws_whenever_there_are_classes_enough_and_only_then(shared, source, target, step):
    labels, domains = rows(range(shared + source), [*range(shared), *range(100, 100 + target)])
    each, enough = 4, min(shared + source, shared + target) >= 4 and shared + source + target >= 8
    if not enough:
        with pytest.raises(InputError, match="labels"):
            OpenSetEpisodeSampler(labels, domains, n_way=2, n_unknown=2, shots=1, queries=2)
        return
    sampler = OpenSetEpisodeSampler(labels, domains, n_way=2, n_unknown=2, shots=1, queries=2)
    check(sampler, step, labels, domains)
    assert each == sampler.n_way + sampler.n_unknown


def test_every_class_comes_up_as_known_and_as_unknown():
    labels, domains = rows(range(6), range(6, 12))
    sampler = OpenSetEpisodeSampler(labels, domains, n_way=2, n_unknown=2, shots=1, queries=1)
    seen = [task for step in range(80) for task in sampler(step)]
    assert {c for task in seen for c in task.classes} == set(range(12))
    assert {c for task in seen for c in task.unknown_classes} == set(range(12))


def test_an_episode_depends_on_seed_and_step_alone():
    labels, domains = rows(range(6), range(6, 12))
    one, same, other = (
        OpenSetEpisodeSampler(labels, domains, n_way=2, n_unknown=1, shots=1, queries=1, seed=seed)
        for seed in (0, 0, 1)
    )
    one(3)
    assert (one(5)[1].support == same(5)[1].support).all()
    assert any((one(step)[0].classes != other(step)[0].classes).any() for step in range(5))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("domains", {"domains": [0, 2]}),
        ("n_way", {"n_way": 1}),
        ("n_unknown", {"n_unknown": 0}),
        ("shots", {"shots": (1, 2, 3)}),
        ("queries", {"queries": 0}),
        ("labels", {"shots": 6}),
        ("labels", {"n_way": 5}),
    ],
)
def test_what_does_not_fit_is_refused(name, settings):
    labels, domains = rows(range(6), range(6, 12))
    domains = np.resize(settings.pop("domains"), len(labels)) if "domains" in settings else domains
    given_settings = {"n_way": 2, "n_unknown": 2, "shots": 1, "queries": 1, **settings}
    with pytest.raises(InputError, match=name):
        OpenSetEpisodeSampler(labels, domains, **given_settings)
