"""Folders of JSON lines: read as written, and what is broken is named."""

import json

import numpy as np
import pytest

from spaceform.data.judged.jsonl import read_judged, read_pairs, write_judged
from spaceform.data.judged.limit import make_limit
from spaceform.data.judged.texts import JudgedTexts
from spaceform.data.judged.words import PLAIN_NOUNS
from spaceform.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """The published layout: two documents, two queries, and a judgement of score 0."""
    corpus = [{"_id": "Ann Abel", "title": "", "text": "Ann Abel likes figs."}, {"_id": "7", "title": "T", "text": "x"}]
    queries = [{"_id": "query_0", "text": "Who likes figs?"}, {"_id": "query_1", "text": "Who?"}]
    qrels = [("query_0", "Ann Abel", 1), ("query_1", "7", 1), ("query_1", "Ann Abel", 0)]
    lines = {"corpus": corpus, "queries": queries}
    lines["qrels"] = [{"query-id": query, "corpus-id": document, "score": score} for query, document, score in qrels]
    for name, rows in lines.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path


def test_the_published_layout(folder):
    found = read_judged(folder)
    assert found.documents == ["Ann Abel likes figs.", "T x"]
    assert found.query_ids == ["query_0", "query_1"]
    np.testing.assert_array_equal(found.relevance(), [[True, False], [False, True]])


def test_written_and_read_again(tmp_path):
    made = make_limit(PLAIN_NOUNS, n_documents=8, n_queries=20, min_items=8)
    write_judged(made, tmp_path / "limit")
    again = read_judged(tmp_path / "limit")
    assert again.documents == made.documents
    np.testing.assert_array_equal(again.relevance(), made.relevance())


def test_judgements_of_mteb_lie_in_a_folder(folder):
    (folder / "qrels").mkdir()
    (folder / "qrels.jsonl").rename(folder / "qrels" / "test.jsonl")
    assert len(read_judged(folder).pairs) == 2


def test_judgements_alone_name_their_queries(folder):
    names, pairs = read_pairs(folder / "qrels.jsonl", None, ["7", "Ann Abel"])
    assert names == ["query_0", "query_1"]
    assert pairs.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("name", "line", "part"),
    [
        ("qrels", '{"query-id": "query_0", "corpus-id": "nobody"}', "line 4.*unknown document 'nobody'"),
        ("qrels", '{"query-id": "query_9", "corpus-id": "7"}', "line 4.*unknown query 'query_9'"),
        ("qrels", '{"query-id": "query_0", "corpus-id": "7", "score": "much"}', "number as score"),
        ("qrels", '{"query-id": "query_0"}', "corpus-id"),
        ("corpus", '{"_id": "7", "text": "again"}', "id '7' again"),
        ("corpus", "{", "line 3.*JSON object"),
        ("queries", "[]", "JSON object"),
        ("queries", '{"_id": "query_2", "text": "Who?"}', "no relevant document for query 'query_2'"),
    ],
)
def test_broken_files_are_named(folder, name, line, part):
    with (folder / f"{name}.jsonl").open("a") as handle:
        handle.write(line + "\n")
    with pytest.raises(InputError, match=part):
        read_judged(folder)


def test_missing_and_empty_files(folder):
    (folder / "qrels.jsonl").write_text("")
    with pytest.raises(InputError, match="no judgement"):
        read_judged(folder)
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(InputError, match=r"corpus\.jsonl"):
        read_judged(folder)


TEXTS = {"name": "t", "documents": ["a", "b"], "document_ids": ["1", "2"], "queries": ["q"], "query_ids": ["0"]}


@pytest.mark.parametrize(
    ("changes", "pairs"),
    [
        ({}, [[0, 2]]),
        ({}, [[0, -1]]),
        ({}, [[0, 1], [0, 1]]),
        ({}, [[0.0, 1.0]]),
        ({"document_ids": ["1", "1"]}, [[0, 1]]),
        ({"queries": ["q", "r"], "query_ids": ["0", "1"]}, [[0, 1]]),
    ],
)
def test_texts_that_do_not_fit_together_are_refused(changes, pairs):
    with pytest.raises(InputError):
        JudgedTexts(**{**TEXTS, **changes}, pairs=np.array(pairs))
