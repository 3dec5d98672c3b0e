"""Both graphs find the nearest rows, are the same at every build, and hold no link out of range."""

import numpy as np
import pytest

from spaceform.search.exact import exact_search
from spaceform.search.graphs.hnsw import build_hnsw, search_hnsw
from spaceform.search.graphs.vamana import Data, build_vamana, complete, medoid, search

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(1_500, 16)).astype(np.float32)
ASKED = RANDOM.normal(size=(40, 16)).astype(np.float32)


def flat():
    return build_vamana(
        Data.of(ROWS), degree=24, build_list=50, alpha=1.2, starts=np.array([medoid(ROWS)]),
        generator=np.random.default_rng(1),
    )  # fmt: skip


def tall(**settings):
    return build_hnsw(Data.of(ROWS), links=12, build_list=60, generator=np.random.default_rng(1), **settings)


def recall(found):
    true = exact_search(ASKED, ROWS, k=10, metric="euclidean").rows
    return np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)])


def test_vamana_finds_the_nearest_and_more_with_a_longer_list():
    starts = np.full((len(ASKED), 1), medoid(ROWS))
    reached = [recall(search(Data.of(ROWS), flat(), ASKED, 10, length=length, starts=starts)[0]) for length in (10, 80)]
    assert reached[0] < reached[1]
    assert reached[1] > 0.97


@pytest.mark.parametrize("settings", [{}, {"dense": 24, "candidates": 24}, {"dense": 9, "candidates": 48}])
def test_hnsw_finds_the_nearest(settings):
    found, scored = search_hnsw(Data.of(ROWS), tall(**settings), ASKED, 10, length=100)
    assert recall(found) > 0.95
    assert (scored < len(ROWS)).all()


def test_builds_repeat_bit_by_bit_and_links_are_sound():
    first, second = flat(), flat()
    np.testing.assert_array_equal(first.links, second.links)
    one, two = tall(), tall()
    np.testing.assert_array_equal(one.base.links, two.base.links)
    for graph, most in ((first, 24), (one.base, 24)):
        for row in range(0, len(ROWS), 37):
            links = graph.links[row, : graph.degree[row]]
            assert 1 <= len(links) <= most
            assert row not in links
            assert len(np.unique(links)) == len(links)
            assert (links >= 0).all()
            assert (links < len(ROWS)).all()


def test_one_row_and_two_rows_are_graphs_too():
    for n in (1, 2):
        data = Data.of(ROWS[:n])
        graph = build_vamana(
            data, degree=4, build_list=4, alpha=1.0, starts=np.zeros(1, int), generator=np.random.default_rng(0)
        )
        expected = sorted(range(n))
        assert sorted(search(data, graph, ROWS[:1], n, length=4, starts=np.zeros((1, 1)))[0][0].tolist()) == expected
        tower = build_hnsw(data, links=4, build_list=4, generator=np.random.default_rng(0))
        assert sorted(search_hnsw(data, tower, ROWS[:1], n, length=4)[0][0].tolist()) == expected
    assert complete(1).degree.tolist() == [0]
    assert complete(3).links.tolist() == [[1, 2], [0, 2], [0, 1]]
