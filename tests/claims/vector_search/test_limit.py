"""The claim of LIMIT: its mechanism at smoke scale, and the published layout as a tiny folder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.context import Context
from spaceform.claims.vector_search import limit as claim
from spaceform.claims.vector_search import limit_texts
from spaceform.data.judged.jsonl import write_judged
from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.words import PLAIN_NOUNS
from spaceform.errors import InputError
from spaceform.metrics.relevance.sets import relevance_recall
from spaceform.search.scorers.bm25 import words_of


@pytest.fixture(scope="module")
def record():
    return runner.reproduce("limit", scale="smoke")


def test_the_mechanism_holds_at_smoke_scale(record):
    claim.mechanism(record)
    assert set(record.figures()) == set(claim.ARMS)
    assert len(record.comparisons) == len(papers.load(claim.SLUG).claim.comparisons)


@pytest.mark.parametrize(
    ("arm", "changes", "part"),
    [
        ("free", {"n_d5": 1.0}, "critical n"),
        ("moment_curve", {"exact_n": 10.0}, "construction"),
        ("dense", {"needed_d": 1.0}, "dimensions"),
        ("single_vector", {"recall_at_2": 0.99}, "single vector"),
    ],
)
def test_the_mechanism_fails_when_its_figures_do(record, arm, changes, part):
    runs = [dict(run) for run in record.runs]
    for run in runs:
        if run["arm"] == arm:
            run["figures"] = run["figures"] | changes
    with pytest.raises(AssertionError, match=part):
        claim.mechanism(type(record)(**(record.to_dict() | {"runs": runs})))


def test_only_the_pattern_differs_between_the_pattern_arms():
    smoke = claim.SETTINGS["smoke"]
    made = {pattern: limit_texts.pattern_set(pattern, 0, smoke) for pattern in ("dense", "cycle", "random", "disjoint")}
    assert len({tuple(one.queries) for one in made.values()}) == 1
    assert len({tuple(one.document_ids) for one in made.values()}) == 1
    assert {len(text.split(",")) for one in made.values() for text in one.documents} == {
        smoke["patterns"]["min_items"] - 1
    }


def test_words_score_by_maxsim_what_their_mean_does_not_tell():
    encoder = limit_texts.RandomWords(24)
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(["a red fox", "a"]), axis=1), 1)
    np.testing.assert_array_equal(encoder.encode_tokens(["fox fox"])[0][0], encoder.encode_tokens(["A FOX"])[0][1])


def test_the_published_layout_runs_as_a_tiny_folder(tmp_path, monkeypatch):
    small_set = make_limit(PLAIN_NOUNS, n_documents=12, n_queries=20, min_items=12)
    write_judged(small_set, tmp_path / "limit-small")
    write_judged(make_limit(PLAIN_NOUNS, n_documents=40, n_queries=20, min_items=12), tmp_path / "limit")
    small = {
        "full_ranks": [2, 10],
        "people": [12, 40],
        "ranks": [2, 5],
        "truncations": [4],
        "lsa_dims": [2, 12],
        "overfit_steps": 5,
        "overfit_dim": 4,
    }
    paper = claim.SETTINGS["paper"] | small
    context = Context(scale="paper", root=tmp_path)
    assert claim.run("bm25", 0, paper, context)["recall_at_2"] == 1
    assert claim.run("lsa", 0, paper, context)["recall_at_2"] > 0.9
    with pytest.raises(InputError, match="transformers model"):
        claim.run("single_vector", 0, paper, context)
    monkeypatch.setattr(limit_texts, "TextEncoder", lambda folder, max_tokens: limit_texts.RandomWords(8))
    for arm in ("single_vector", "multi_vector", "overfit"):
        assert 0 <= claim.run(arm, 0, paper, context)["recall_at_2"] <= 1
    with pytest.raises(InputError, match="limit-small"):
        claim.run("bm25", 0, paper, Context(scale="paper"))


def test_curves_of_capacity_carry_the_construction_the_margin_bound_and_the_sweep(record):
    free, smoke = record.curves, claim.SETTINGS["smoke"]
    for arm in ("free", "free_warm"):
        for name in ("critical n", "published fit", "margin bound", "construction, at least", "accuracy by n at d = 4"):
            assert len(free[name][arm]) == len(record.seeds), name
        for seed in free["critical n"][arm]:
            found, bound = (free[name][arm][seed] for name in ("critical n", "margin bound"))
            assert found["x"] == bound["x"] == smoke["dims"]
            assert set(free["construction, at least"][arm][seed]["y"]) == {100.0}
            swept = free["accuracy by n at d = 4"][arm][seed]
            assert swept["y"][swept["x"].index(found["y"][1])] == 1


def test_recall_falls_with_the_number_of_people_and_words_hold_at_full_size(record):
    for figures in record.figures()["single_vector"].values():
        assert figures["recall_at_2_of_17"] == pytest.approx(figures["recall_at_2"])
        assert figures["recall_at_2_of_60"] <= figures["recall_at_2_of_17"]
    for figures in record.figures()["bm25"].values():
        assert figures["full_documents"] == 500
        assert figures["full_recall_at_2"] > 0.95


@pytest.mark.parametrize("seed", [0, 1])
def test_no_attribute_of_the_test_is_trained_on(seed):
    smoke = claim.SETTINGS["smoke"]
    test = limit_texts.stress_test(seed, smoke, Context(scale="smoke"))
    train = limit_texts.train_set(seed, smoke, test)
    asked = {query.removeprefix("Who likes ").removesuffix("?") for query in test.queries}
    words = {word for text in [*train.queries, *train.documents] for word in words_of(text)}
    assert len(asked) == 120
    assert not asked & words
    assert not set(limit_texts.attributes_of(smoke, seed)) & words


def test_the_small_set_is_the_first_people_of_a_larger_one():
    smoke, context = claim.SETTINGS["smoke"], Context(scale="smoke")
    small = limit_texts.stress_test(0, smoke, context)
    large = limit_texts.many_people(0, smoke, context)
    assert large.documents[:17] == small.documents
    assert large.queries == small.queries
    sets = limit_texts.nested(large, [5, 17, 40, 60, 100])
    assert [len(rows) for rows in sets] == [17, 40, 60]
    assert all(np.isin(large.pairs[:, 1], rows).all() for rows in sets)


@given(st.integers(1, 7))
@settings(max_examples=7, deadline=None)
def test_recall_in_blocks_is_recall(rows):
    texts = make_limit(PLAIN_NOUNS, n_documents=30, n_queries=20, min_items=12)
    scores = np.random.default_rng(0).normal(size=(20, 30))
    found = limit_texts.blockwise_recall(lambda block: scores[block], texts, [2, 5], rows=rows)
    assert found == pytest.approx(relevance_recall(scores, texts.relevance(), [2, 5]))
