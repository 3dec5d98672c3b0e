"""The claim of LIMIT: its mechanism at smoke scale, and the published layout as a tiny folder."""

import numpy as np
import pytest

from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.context import Context
from spaceform.claims.vector_search import limit as claim
from spaceform.claims.vector_search import limit_texts
from spaceform.data.judged.jsonl import write_judged
from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.words import PLAIN_NOUNS
from spaceform.errors import InputError


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
    settings = claim.SETTINGS["smoke"]
    made = {
        pattern: limit_texts.pattern_set(pattern, 0, settings) for pattern in ("dense", "cycle", "random", "disjoint")
    }
    assert len({tuple(one.queries) for one in made.values()}) == 1
    assert len({tuple(one.document_ids) for one in made.values()}) == 1
    assert {len(text.split(",")) for one in made.values() for text in one.documents} == {
        settings["patterns"]["min_items"] - 1
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
    settings = claim.SETTINGS["paper"] | small
    context = Context(scale="paper", root=tmp_path)
    assert claim.run("bm25", 0, settings, context)["recall_at_2"] == 1
    assert claim.run("lsa", 0, settings, context)["recall_at_2"] > 0.9
    with pytest.raises(InputError, match="transformers model"):
        claim.run("single_vector", 0, settings, context)
    monkeypatch.setattr(limit_texts, "TextEncoder", lambda folder, max_tokens: limit_texts.RandomWords(8))
    for arm in ("single_vector", "multi_vector", "overfit"):
        assert 0 <= claim.run(arm, 0, settings, context)["recall_at_2"] <= 1
    with pytest.raises(InputError, match="limit-small"):
        claim.run("bm25", 0, settings, Context(scale="paper"))
