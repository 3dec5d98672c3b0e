"""The graph as a plan of the index: answers are complete whatever a walk finds, changes are seen, files are checked."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.filtered.conftest import draw
from spaceform.errors import InputError, SpaceFormatError
from spaceform.search.exact import exact_search
from spaceform.search.filtered.index import FilteredIndex

METRICS = ("cosine", "euclidean", "ip")


@pytest.fixture(scope="module")
def fitted(rows):
    """Indexes that walk wherever they may."""
    return {metric: FilteredIndex(metric=metric, plans="G", graph=True).fit(*rows) for metric in METRICS}


def recall_of(truth, found):
    return np.mean([np.isin(t[t >= 0], f).mean() for t, f in zip(truth, found, strict=True)])


@pytest.mark.parametrize("metric", METRICS)
def test_recall_is_kept_with_zero_positive_and_negative_correlation(metric, fitted, rows):
    X, attributes = rows
    generator = np.random.default_rng(5)
    asked = X[generator.choice(len(X), 60, replace=False)] + generator.normal(size=(60, X.shape[1])).astype("f4") / 4
    for text, mask in [
        ("true", np.ones(len(X), bool)),
        ("price > 0", attributes["price"] > 0),
        ("group < 10", attributes["group"] < 10),  # near some queries, far from others
        ("group = 1", attributes["group"] == 1),
    ]:
        truth = exact_search(asked, X, k=10, metric=metric, mask=mask).rows
        for recall in (0.8, 0.95):
            found = fitted[metric].query(asked, 10, where=text, recall=recall).rows
            assert recall_of(truth, found) >= recall
            assert mask[found].all()
            assert (found >= 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.001, 1.0), k=st.integers(1, 60), metric=st.sampled_from(METRICS))
def test_answers_pass_are_distinct_and_complete_for_any_mask(seed, share, k, metric, fitted, queries):
    mask = np.random.default_rng(seed).random(2_000) < share
    found = fitted[metric].query(queries[:2], k, where=mask)
    width = min(k, int(mask.sum()))
    for ids, closeness in zip(found.rows, found.closeness, strict=True):
        assert mask[ids[:width]].all()
        assert len(np.unique(ids[:width])) == width
        assert (ids[width:] == -1).all()
        assert (np.diff(closeness[:width]) <= 0).all()


def test_few_matches_that_no_link_joins_are_all_found(fitted, queries):
    for ids in ([3], [5, 700, 1_999], np.arange(0, 2_000, 97), np.arange(0, 2_000, 31)):
        found = fitted["euclidean"].query(queries, 60, where=ids)
        width = min(60, len(ids))
        assert all(set(row[:width]) <= set(ids) and len(set(row[:width])) == width for row in found.rows.tolist())
        assert (found.rows[:, width:] == -1).all()


def test_it_is_named_and_falls_back_to_a_scan(fitted, rows, queries):
    plan = fitted["cosine"].explain(queries[0], 10)
    assert plan.name == "G"
    assert plan.predicted_ms["G"] > 0
    assert 10 <= plan.scored <= plan.screened < 2_000
    assert fitted["cosine"].explain(queries[0], 10, recall=1.0).name == "S"
    assert fitted["cosine"].explain(queries[0], 10, where=[4, 9]).name in "SG"
    assert FilteredIndex(plans="G").fit(*rows).explain(queries[0], 10).name == "S"
    assert FilteredIndex(plans="G", graph=True).fit(rows[0][:200]).explain(queries[0], 10).name == "S"
    assert FilteredIndex(graph=True, recall=1.0).fit(rows[0]).stats_["links"] == 0


def test_it_is_weighed_against_other_plans_where_many_rows_pass(rows, queries):
    index = FilteredIndex(graph=True).fit(*rows)
    many, few = index.explain(queries[0], 10), index.explain(queries[0], 10, where="group < 3")
    assert "G" in many.predicted_ms
    assert "G" not in few.predicted_ms
    assert index.stats_["links"] > 5 * len(index)
    costs = index._state.segment.costs
    assert costs.beam(1.0) == 0
    assert 10 <= costs.beam(0.5) <= costs.beam(0.95)


def test_what_a_walk_or_the_cells_give_up_others_answer(rows, queries):
    """Whatever order plans give up in, the answer is complete."""
    index = FilteredIndex(graph=True).fit(*rows)
    costs = index._state.segment.costs
    for name in ("S", "B", "I"):  # so that the cells are looked at, and the graph is best
        costs.seconds[name] = [1.0] * len(costs.matches)
    costs.seconds["I"] = [1e-9] * len(costs.matches)
    costs._curves.clear()
    for mask in (rows[1]["group"] < 9, np.arange(2_000) % 2 == 0):
        found = index.query(queries, 30, where=mask)
        assert mask[found.rows].all()
        assert recall_of(exact_search(queries, rows[0], k=30, mask=mask).rows, found.rows) > 0.9


def test_the_same_seed_gives_the_same_answers_and_numpy_too(rows, queries):
    X = rows[0][:700]
    mask = np.arange(700) % 3 > 0
    one = FilteredIndex(plans="G", graph=True).fit(X).query(queries, 10, where=mask)
    for options in ({}, {"threads": 2}):
        other = FilteredIndex(plans="G", graph=True, **options).fit(X).query(queries, 10, where=mask)
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.closeness, other.closeness)


def test_changes_are_seen_at_once_and_compaction_links_anew(queries):
    X, attributes = draw(900)
    index = FilteredIndex(metric="euclidean", plans="G", graph=True).fit(X, attributes)
    nearest = index.query(queries, 5).rows
    gone = np.unique(nearest[:, :3])
    index.delete(gone)
    found = index.query(queries, 20).rows
    assert not np.isin(found, gone).any()
    index.add(queries, {name: column[: len(queries)] for name, column in attributes.items()})
    assert index.query(queries, 1).rows[:, 0].tolist() == list(range(900, 900 + len(queries)))
    before = index.query(queries, 10, where="group < 12")
    index.compact()
    assert index._state.segment.graph.links.shape[0] == len(index) == 900 - len(gone) + len(queries)
    after = index.query(queries, 10, where="group < 12")
    assert recall_of(before.rows, after.rows) > 0.9
    assert index.explain(queries[0], 10).name == "G"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph") / "index"
    index = FilteredIndex(plans="G", graph=True).fit(*draw(600)).save(folder)
    index.close()
    return folder, index


def test_links_are_saved_and_mapped(saved, queries):
    index = FilteredIndex.load(saved[0])
    a, b = (one.query(queries, 10, where="price > -1") for one in (index, saved[1]))
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.closeness, b.closeness)
    links = index._state.segment.graph.links
    assert not links.flags.writeable
    np.testing.assert_array_equal(links, saved[1]._state.segment.graph.links)
    assert index.explain(queries[0], 10).name == "G"
    assert index.graph is True


def test_an_index_without_links_has_no_files_of_them(tmp_path, queries):
    index = FilteredIndex(plans="G").fit(*draw(600)).save(tmp_path / "index")
    index.close()
    assert not list((tmp_path / "index").rglob("graph-*"))
    assert FilteredIndex.load(tmp_path / "index").explain(queries[0], 3).name == "S"


def test_damaged_links_are_refused_and_read_without_harm_if_nobody_looks(saved, tmp_path, queries):
    copy = shutil.copytree(saved[0], tmp_path / "index")
    path = next(copy.rglob("graph-links.npy"))
    data = path.read_bytes()
    changed = bytearray(data)
    changed[len(data) // 2 :] = b"\x7f" * (len(data) - len(data) // 2)
    for damaged in (bytes(changed), data[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(SpaceFormatError, match="graph-links"):
            FilteredIndex.load(copy)
    path.write_bytes(changed)
    found = FilteredIndex.load(copy, verify=False).query(queries, 10).rows
    assert (found >= 0).all()
    path.unlink()
    with pytest.raises(SpaceFormatError, match="graph-links"):
        FilteredIndex.load(copy, verify=False)


@pytest.mark.parametrize("graph", ["yes", 2, None])
def test_other_words_for_a_graph_are_refused(graph):
    with pytest.raises(InputError, match="graph"):
        FilteredIndex(graph=graph).fit(np.eye(3))
