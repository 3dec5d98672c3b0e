"""Beams keep the nearest, pruning follows the rule of relative neighbourhoods, with labels and without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.search.graphs.beams import fused, gap, new_beam, offer, take
from spaceform.search.graphs.pruning import compress, connect, meets, prune, sort
from spaceform.search.graphs.vamana import Data

NONE = np.empty((0, 0), np.uint64)


@settings(max_examples=40, deadline=None)
@given(offers=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=30), length=st.integers(1, 8))
def test_a_beam_holds_the_nearest_in_order_and_gives_each_once(offers, length):
    beam = new_beam(length)
    distinct = list(dict.fromkeys((float(far), node) for far, node in offers))
    for far, node in distinct:
        offer(beam, node, far)
    kept = sorted(distinct)[:length]
    assert list(zip(beam[0][: beam[3][0]].tolist(), beam[1][: beam[3][0]].tolist(), strict=True)) == kept
    taken = []
    while (place := take(beam)) >= 0:
        taken.append(int(beam[1][place]))
    assert taken == [node for _, node in kept]


def test_a_nearer_node_found_later_is_taken_next():
    beam = new_beam(4)
    offer(beam, 7, 3.0)
    assert beam[1][take(beam)] == 7
    offer(beam, 5, 1.0)
    offer(beam, 6, 5.0)
    assert [int(beam[1][take(beam)]) for _ in range(2)] == [5, 6]
    assert take(beam) == -1


def slow_prune(rows, node, order, alpha, most, sets):
    """The rule, as the paper says it."""
    kept = []
    for candidate in order:
        if candidate == node or candidate in kept or len(kept) == most:
            continue
        near = float(((rows[node] - rows[candidate]) ** 2).sum())
        if not any(
            alpha**2 * float(((rows[link] - rows[candidate]) ** 2).sum()) < near
            and sets[node] & sets[candidate] <= sets[link]
            for link in kept
        ):
            kept.append(candidate)
    return kept


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([1.0, 1.2]), labelled=st.booleans())
def test_pruning_is_the_rule(seed, alpha, labelled):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(20, 4)).astype(np.float32)
    sets = [{int(label) for label in np.flatnonzero(random.random(3) < 0.6)} if labelled else set() for _ in rows]
    bits = np.array([[sum(1 << label for label in some)] for some in sets], np.uint64)
    data = tuple(Data.of(rows, bits if labelled else None))
    nodes = random.permutation(20)[:12].astype(np.int32)
    gaps = np.array([gap(rows, 0, rows, node) for node in nodes])
    sort(nodes, gaps, len(nodes))
    assert (np.diff(gaps) >= 0).all()
    out = np.empty(5, np.int32)
    kept = prune(data, 0, (nodes, gaps, len(nodes)), alpha, 5, out)
    assert out[:kept].tolist() == slow_prune(rows, 0, nodes.tolist(), alpha, 5, sets)


def test_a_link_covers_only_what_leads_to_its_own_labels():
    rows = np.array([[0.0], [1.0], [2.0]], np.float32)
    pool = (np.array([1, 2], np.int32), np.array([1.0, 4.0]), 2)
    out = np.empty(2, np.int32)
    for middle, links in ((0b01, 2), (0b11, 1)):  # the row between has one of the labels that the ends share, or both
        data = tuple(Data.of(rows, np.array([[0b11], [middle], [0b11]], np.uint64)))
        assert prune(data, 0, pool, 1.0, 2, out) == links


def test_acorn_drops_what_a_further_link_leads_to():
    links = np.full((5, 4), -1, np.int32)
    links[2, 0] = 3
    graph = (links, np.array([0, 0, 1, 0, 0], np.int32))
    pool = (np.array([1, 2, 3, 4], np.int32), np.arange(4.0), 4)
    out, marks = np.empty(4, np.int32), np.zeros(6, np.int64)
    kept = compress(graph, 0, pool, 1, 4, marks, out)
    assert out[:kept].tolist() == [1, 2, 4]
    kept = compress(graph, 0, pool, 2, 4, marks, out)  # the two nearest are kept as they are, and cover nothing
    assert out[:kept].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_lists_never_outgrow_their_width_nor_repeat(alpha):
    random = np.random.default_rng(0)
    rows = random.normal(size=(30, 3)).astype(np.float32)
    data, graph = tuple(Data.of(rows)), (np.full((30, 4), -1, np.int32), np.zeros(30, np.int32))
    room = (np.empty(5, np.int32), np.empty(5), np.empty(5, np.int32))
    rule = (alpha, 4, 4, np.zeros(31, np.int64))
    for other in [*range(1, 30), *range(1, 30)]:
        connect(data, graph, 0, 0, other, rule, room)
    found = graph[0][0, : graph[1][0]]
    assert len(set(found.tolist())) == len(found) <= 4
    gaps = ((rows[1:] - rows[0]) ** 2).sum(axis=1)
    assert 1 + int(gaps.argmin()) in found
    if alpha == 0:
        assert found.tolist() == (1 + np.argsort(gaps)[:4]).tolist()


def test_fused_distances_count_the_columns_that_differ_and_minus_one_fits_all():
    rows = np.array([[0.0], [2.0]], np.float32)
    codes, asked = np.array([[1, 5], [2, 5]], np.int32), np.array([[1, 5], [-1, 4], [-1, -1]], np.int32)
    assert [fused(rows, 1, rows, 0, codes, asked[i : i + 1], 100.0) for i in range(3)] == [104.0, 104.0, 4.0]
    assert meets(NONE, 0, NONE, 0)
