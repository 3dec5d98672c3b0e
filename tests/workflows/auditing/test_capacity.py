"""Capacity in an audit: whether single vectors can return what judgements ask for, on sets whose answer is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard

from spaceform.cli.main import main
from spaceform.errors import InputError
from spaceform.metrics.relevance.sets import relevance_recall
from spaceform.ops.capacity.bounds import sign_rank_bounds
from spaceform.report.audit_sections import audit_sections
from spaceform.report.space_page import write_space_report
from spaceform.space import Space
from spaceform.workflows.audit import audit
from spaceform.workflows.auditing import capacity
from spaceform.workflows.auditing.capacity import find_capacity, read_questions
from spaceform.workflows.auditing.ground import prepare


def space(d, n=40):
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    return Space.create(X, ids=[f"r{i}" for i in range(n)])


def capacity_of(rows, judgements, queries=None):
    questions = read_questions(rows, judgements, queries)
    assert questions is not None
    return find_capacity(prepare(rows, sample=1000, seed=0), questions)


NEIGHBOURS = {f"q{i}": [f"r{i}", f"r{(i + 1) % 12}"] for i in range(12)}
PAIRS = {f"q{i}-{j}": [f"r{i}", f"r{j}"] for i in range(11) for j in range(i)}


def test_a_circle_of_neighbours_needs_few_dimensions():
    found = capacity_of(space(8), NEIGHBOURS)
    assert (found.queries, found.documents, found.largest_set) == (12, 12, 2)
    assert found.needed in {2, 3}
    assert found.rank_high == found.needed
    assert found.tried[-1].d == 8
    assert 0.4 < found.tried[-1].gap <= found.widest_gap
    assert found.constructed_gap > 0
    assert found.returned is None


def test_all_pairs_need_more_than_a_construction_does():
    found = capacity_of(space(8), PAIRS)
    assert found.rank_high == 4 < found.needed <= 8
    assert found.best_accuracy == 1
    assert [one.d for one in found.tried] == sorted(one.d for one in found.tried)
    narrow = capacity_of(space(2), PAIRS)
    assert narrow.needed is None
    assert narrow.best_accuracy < 1
    assert narrow.widest_gap < found.widest_gap


def test_given_vectors_are_measured_among_all_rows():
    rows = space(6)
    asked = Space.create(rows.vectors[:12], ids=[f"q{i}" for i in range(12)])
    own = {f"q{i}": [f"r{i}"] for i in range(12)}
    found = capacity_of(rows, own, asked)
    assert found.returned == found.recall == 1
    wrong = capacity_of(rows, {f"q{i}": [f"r{i + 1}"] for i in range(12)}, asked)
    assert wrong.returned == wrong.recall == 0


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_what_is_returned_is_recall_with_ties_against(seed, n):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, n).astype(float)
    wanted = np.sort(generator.choice(n, generator.integers(1, n), replace=False))
    table = np.isin(np.arange(n), wanted)[None]
    expected = relevance_recall(scores[None], table, (len(wanted),))[len(wanted)]
    assert capacity.share_returned(scores, wanted) == pytest.approx(expected)


def test_queries_are_drawn_from_too_many(monkeypatch):
    monkeypatch.setattr(capacity, "CELLS", 100)
    found = capacity_of(space(8), PAIRS)
    assert found.queries == 9
    assert found.judged == len(PAIRS)


def test_the_audit_says_so_and_shows_it(tmp_path):
    lines = [{"query-id": name, "corpus-id": row} for name, rows in PAIRS.items() for row in rows]
    path = tmp_path / "qrels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    asked = Space.create(np.random.default_rng(1).normal(size=(len(PAIRS), 8)).astype(np.float32), ids=list(PAIRS))
    found = audit(space(8), judgements=path, queries=asked.save(tmp_path / "asked"))
    assert any(
        line.startswith("capacity: 55 queries over 11 judged rows, up to 2 relevant") for line in found.conclusions
    )
    assert any("the encoder is the limit" in line for line in found.warnings)
    plain = json.loads(json.dumps(found.to_dict()))
    assert [s.title for s in audit_sections(plain)][-1] == "Can single vectors return what is asked?"
    narrow = audit(space(2), judgements=tmp_path)
    assert any("even vectors optimised" in line for line in narrow.warnings)
    assert audit(space(2)).capacity is None


def test_few_queries_of_many_rows_are_still_many(monkeypatch):
    """The table of the drawn queries counts, not that of all judged rows."""
    monkeypatch.setattr(capacity, "CELLS", 400)
    found = capacity_of(space(8, n=900), {f"q{i}": [f"r{i}"] for i in range(800)})
    assert (found.judged, found.queries, found.documents) == (800, 20, 20)


def test_distances_serve_as_much_as_cosines_of_one_dimension_more():
    """Points on a line tell three intervals apart that cosines in one dimension can't."""
    flat = Space.create(np.arange(1.0, 17)[:, None], ids=[f"r{i}" for i in range(16)])
    ball = Space.create(np.tile([1.0, 0], (16, 1)), ids=flat.ids, geometry="sphere")
    hard = {f"q{i}": [f"r{j}" for j in np.flatnonzero(row > 0)] for i, row in enumerate(hadamard(16)[1:])}
    low = sign_rank_bounds(hadamard(16)[1:] > 0).lower
    assert low > 1
    assert [capacity_of(one, hard).rank_low for one in (ball, flat)] == [low, low - 1]


def test_a_report_shows_it(tmp_path, capsys):
    place = space(8).save(tmp_path / "space")
    lines = [{"query-id": name, "corpus-id": row} for name, rows in NEIGHBOURS.items() for row in rows]
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.jsonl").write_text("\n".join(map(json.dumps, lines)))
    made = write_space_report(place, judgements=tmp_path)
    assert "Can single vectors return what is asked?" in made.path.read_text()
    assert main(["audit", str(place), "--judgements", str(tmp_path)]) == 0
    assert "sets returned, optimised" in capsys.readouterr().out
    assert main(["audit", str(place), "--judgements", str(tmp_path / "none.jsonl")]) != 0
    assert "none.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("judgements", "part"),
    [
        ({}, "none"),
        ({"q": []}, "no row"),
        ({"q": "r0"}, "a list of ids"),
        ({"q": ["r0", "x"]}, "unknown row 'x'"),
        ({"q": [f"r{i}" for i in range(40)]}, "every row"),
        ("nowhere.jsonl", "nowhere"),
    ],
)
def test_bad_judgements_are_refused(judgements, part):
    """At the door of the audit, not as a part that is missing in the end."""
    with pytest.raises(InputError, match=part):
        audit(space(3), judgements=judgements)


def test_bad_queries_are_refused():
    with pytest.raises(InputError, match="judgements"):
        audit(space(3), queries=space(3))
    with pytest.raises(InputError, match="no vector for query 'q0'"):
        read_questions(space(3), NEIGHBOURS, space(3))
    with pytest.raises(InputError, match="2 dimensions"):
        read_questions(space(3), {"r1": ["r1"]}, space(2))
