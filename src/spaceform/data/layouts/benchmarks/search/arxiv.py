"""arxiv-for-fanns: abstracts as 4096-d vectors with eleven attributes, and queries of three kinds of filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_choice
from spaceform.data.layouts.benchmarks.search.files import read_lists, read_vecs
from spaceform.data.layouts.benchmarks.search.task import SearchTask
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

KINDS = {"em": "number_of_sub_categories", "r": "update_date", "emis": "main_categories"}
"""Kinds of filters with the attribute that each asks about: equal, within a range, in the set."""


def load_arxiv_fanns(root: PathLike, *, kind: str = "em", progress: Progress = no_progress) -> SearchTask:
    """Read a folder of arxiv-for-fanns (small, medium or large) with the queries of one ``kind``: em, r or emis.

    Files: ``database_vectors.fvecs``, ``query_vectors.fvecs``, ``database_attributes.jsonl``, and of each kind
    ``em_query_attributes.jsonl`` and ``ground_truth_em.ivecs``. Dates are days, sets tuples of texts, truth values
    texts. Ranges include both ends. Vectors stay in their files, mapped; O(n) memory for the attributes.
    Raises ``InputError`` that names a file, or a line, that is missing or no good.
    """
    check_choice(kind, "kind", list(KINDS))
    folder = existing(root)
    X = read_vecs(folder / "database_vectors.fvecs")
    columns: dict[str, list[Any]] = {}
    for number, record in _records(folder / "database_attributes.jsonl"):
        if columns and set(record) != set(columns):
            got = f"line {number} with {sorted(record)}"
            raise InputError("database_attributes.jsonl", got=got, expected=f"the attributes {sorted(columns)}")
        for name, value in record.items():
            columns.setdefault(name, []).append(_settled(value))
        if number % 100_000 == 0:
            progress("read attributes", number, len(X))
    progress("read attributes", len(X), len(X))
    asked = [[_condition(kind, record)] for _, record in _records(folder / f"{kind}_query_attributes.jsonl")]
    truth = read_lists(folder / f"ground_truth_{kind}.ivecs")
    queries = read_vecs(folder / "query_vectors.fvecs")
    return SearchTask(f"arxiv-for-fanns, {kind}", X, {n: _array(c) for n, c in columns.items()}, queries, asked, truth)


def _condition(kind: str, record: dict[str, Any]) -> tuple[str, str, Any]:
    column = KINDS[kind]
    if kind == "r":
        return column, "between", (record["range_start"], record["range_end"])
    return column, "=" if kind == "em" else "contains", record["label"]


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with existing(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputError(shown(path), got=f"line {number}: {line[:60]!r}", expected="JSON") from error
            if not isinstance(record, dict):
                raise InputError(shown(path), got=f"line {number}: {line[:60]!r}", expected="an object")
            yield number, record


def _settled(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(str, value))
    return str(value).lower() if isinstance(value, bool) or value is None else value


def _array(column: list[Any]) -> Any:
    return np.array(column, dtype=np.int64) if all(isinstance(value, int) for value in column) else column
