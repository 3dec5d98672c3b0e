"""Capacity in an audit: whether single vectors can return what judgements ask for, on sets whose answer is known."""

import json

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.report.audit_sections import audit_sections
from spaceform.space import Space
from spaceform.workflows.audit import audit
from spaceform.workflows.auditing.capacity import find_capacity
from spaceform.workflows.auditing.ground import prepare


def space(d, n=40):
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    return Space.create(X, ids=[f"r{i}" for i in range(n)])


def ground(d, n=40):
    return prepare(space(d, n), sample=1000, seed=0)


NEIGHBOURS = {f"q{i}": [f"r{i}", f"r{(i + 1) % 12}"] for i in range(12)}
PAIRS = {f"q{i}-{j}": [f"r{i}", f"r{j}"] for i in range(11) for j in range(i)}


def test_a_circle_of_neighbours_needs_few_dimensions():
    found = find_capacity(ground(8), NEIGHBOURS)
    assert (found.queries, found.documents, found.largest_set) == (12, 12, 2)
    assert found.rank_high == 2
    assert found.needed in {2, 3}
    assert found.constructed_gap > 0
    assert found.returned is None


def test_all_pairs_need_more_than_a_construction_does():
    found = find_capacity(ground(8), PAIRS)
    assert found.rank_high == 4 < found.needed <= 8
    assert found.best_accuracy == 1
    assert [one.d for one in found.tried] == sorted(one.d for one in found.tried)
    narrow = find_capacity(ground(2), PAIRS)
    assert narrow.needed is None
    assert narrow.best_accuracy < 1
    assert narrow.widest_gap < found.widest_gap


def test_given_vectors_are_measured_among_all_rows():
    rows = space(6)
    asked = Space.create(rows.vectors[:12], ids=[f"q{i}" for i in range(12)])
    own = {f"q{i}": [f"r{i}"] for i in range(12)}
    found = find_capacity(ground(6), own, asked)
    assert found.returned == found.recall == 1
    wrong = find_capacity(ground(6), {f"q{i}": [f"r{i + 1}"] for i in range(12)}, asked)
    assert wrong.returned == wrong.recall == 0


def test_queries_are_drawn_from_too_many(monkeypatch):
    from spaceform.workflows.auditing import capacity

    monkeypatch.setattr(capacity, "CELLS", 100)
    found = find_capacity(ground(8), PAIRS)
    assert found.queries == 9
    assert found.judged == len(PAIRS)


def test_the_audit_says_so_and_shows_it(tmp_path):
    lines = [{"query-id": name, "corpus-id": row} for name, rows in PAIRS.items() for row in rows]
    path = tmp_path / "qrels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    asked = Space.create(np.random.default_rng(1).normal(size=(len(PAIRS), 8)).astype(np.float32), ids=list(PAIRS))
    found = audit(space(8), judgements=path, queries=asked)
    assert any(line.startswith("capacity: 55 queries over 11 judged rows, up to 2 relevant") for line in found.conclusions)
    assert any("the encoder is the limit" in line for line in found.warnings)
    plain = json.loads(json.dumps(found.to_dict()))
    assert [s.title for s in audit_sections(plain)][-1] == "Can single vectors return what is asked?"
    narrow = audit(space(2), judgements=tmp_path)
    assert any("even vectors optimised" in line for line in narrow.warnings)
    assert audit(space(2)).capacity is None


@pytest.mark.parametrize(
    ("judgements", "part"),
    [
        ({}, "none"),
        ({"q": []}, "no row"),
        ({"q": ["r0", "x"]}, "unknown row 'x'"),
        ({"q": [f"r{i}" for i in range(40)]}, "every row"),
        ("nowhere.jsonl", "nowhere"),
    ],
)
def test_bad_judgements_are_refused(judgements, part):
    with pytest.raises(InputError, match=part):
        find_capacity(ground(3), judgements)


def test_bad_queries_are_refused():
    with pytest.raises(InputError, match="judgements"):
        audit(space(3), queries=space(3))
    with pytest.raises(InputError, match="no vector for query 'q0'"):
        find_capacity(ground(3), NEIGHBOURS, space(3))
    with pytest.raises(InputError, match="2 dimensions"):
        find_capacity(ground(3), {"r1": ["r1"]}, space(2))
