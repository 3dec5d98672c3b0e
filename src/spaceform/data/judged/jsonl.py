"""Folders with corpus.jsonl, queries.jsonl and qrels.jsonl: LIMIT as it is published, and MTEB's tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.data.judged.texts import JudgedTexts
from spaceform.data.layouts.benchmarks.text_files import bad_line, benchmark_file, text_lines
from spaceform.data.layouts.source import shown
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike

QRELS = ("qrels.jsonl", "qrels/test.jsonl")


def read_judged(folder: PathLike) -> JudgedTexts:
    """Read documents, queries and judgements from a folder of JSON lines.

    ``corpus.jsonl`` has ``_id``, ``text`` and perhaps a ``title``, put in front; ``queries.jsonl`` ``_id`` and
    ``text``; ``qrels.jsonl`` (or ``qrels/test.jsonl``) ``query-id``, ``corpus-id`` and perhaps ``score``: 0 is no
    relevance.

    Raises ``InputError`` naming the file and line of what can't be read, of an id that stands twice or of a judgement
    about unknown ids, and for queries without a relevant document. O(size of the files).
    """
    corpus = _texts(benchmark_file(folder, "corpus.jsonl"))
    queries = _texts(benchmark_file(folder, "queries.jsonl"))
    _, pairs = read_pairs(benchmark_file(folder, *QRELS), list(queries), list(corpus))
    return JudgedTexts(
        name=Path(folder).resolve().name,
        documents=list(corpus.values()),
        document_ids=list(corpus),
        queries=list(queries.values()),
        query_ids=list(queries),
        pairs=pairs,
    )


def read_pairs(path: Path, query_ids: Sequence[str] | None, document_ids: Sequence[str]) -> tuple[list[str], IntArray]:
    """Return the queries' ids, and the judgements of a file as ``(p, 2)`` rows (query, document), but those of score 0.

    ``query_ids`` None: queries are those of the file, in its order. Raises ``InputError`` as `read_judged`.
    """
    rows = {} if query_ids is None else {name: row for row, name in enumerate(query_ids)}
    columns = {name: column for column, name in enumerate(document_ids)}
    found: dict[tuple[int, int], None] = {}
    for number, line in text_lines(path):
        record = _record(path, number, line, ("query-id", "corpus-id"))
        query, document = str(record["query-id"]), str(record["corpus-id"])
        if (query_ids is not None and query not in rows) or document not in columns:
            unknown = f"document {document!r}" if document not in columns else f"query {query!r}"
            raise InputError(f"{shown(path)}, line {number}", got=f"unknown {unknown}", expected="ids of the texts")
        try:
            relevant = float(record.get("score", 1)) > 0
        except (TypeError, ValueError) as error:
            raise bad_line(path, number, line, expected="a number as score") from error
        if relevant:
            found[rows.setdefault(query, len(rows)), columns[document]] = None
    if not found:
        raise InputError(shown(path), got="no judgement above 0", expected="one or more")
    return list(rows), np.array(list(found), dtype=np.int64)


def write_judged(texts: JudgedTexts, folder: PathLike) -> None:
    """Write the three files that `read_judged` reads, over those that are there."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    corpus = zip(texts.document_ids, texts.documents, strict=True)
    queries = zip(texts.query_ids, texts.queries, strict=True)
    judged = [(texts.query_ids[query], texts.document_ids[document]) for query, document in texts.pairs.tolist()]
    records: dict[str, list[dict[str, Any]]] = {
        "corpus.jsonl": [{"_id": name, "title": "", "text": text} for name, text in corpus],
        "queries.jsonl": [{"_id": name, "text": text} for name, text in queries],
        "qrels.jsonl": [{"query-id": query, "corpus-id": document, "score": 1} for query, document in judged],
    }
    for name, lines in records.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (place / name).write_text(text, encoding="utf-8")


def _texts(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in text_lines(path):
        record = _record(path, number, line, ("_id", "text"))
        name, title = str(record["_id"]), record.get("title") or ""
        if name in found:
            raise InputError(f"{shown(path)}, line {number}", got=f"id {name!r} again", expected="each id once")
        found[name] = f"{title} {record['text']}".strip()
    if not found:
        raise InputError(shown(path), got="no text", expected="one or more lines")
    return found


def _record(path: Path, number: int, line: str, keys: tuple[str, ...]) -> dict[str, Any]:
    expected = "a JSON object with " + " and ".join(map(repr, keys))
    try:
        record = json.loads(line)
    except ValueError as error:
        raise bad_line(path, number, line, expected=expected) from error
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str | int) for key in keys):
        raise bad_line(path, number, line, expected=expected)
    return record
