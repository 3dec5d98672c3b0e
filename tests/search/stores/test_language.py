"""How filters are written for engines, by hand; what they can't say."""

import sys

import numpy as np
import pytest

from spaceform.errors import MissingExtraError
from spaceform.search.filter_logic import Constant
from spaceform.search.filters import F, parse
from spaceform.search.stores import lance, milvus, pgvector
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows
from spaceform.search.stores.language import said, with_ids, written
from spaceform.search.stores.normal import normal
from spaceform.search.stores.opening import open_store

KINDS = {"i": int, "r": float, "t": str, "b": bool, "k": list}
COLLECTION = Collection.checked("rows", 2, metric="ip", fields=KINDS, index="flat", info=None)


def form(where):
    return normal((parse(where) if isinstance(where, str) else where).check(COLLECTION.schema), COLLECTION)


@pytest.mark.parametrize(
    ("where", "in_milvus", "in_lance", "in_postgres", "values"),
    [
        ("b is null", "f_b is null", "f_b is null", "f_b is null", []),
        ("true", "id >= 0", "true", "true", []),
        ("false", "id < 0", "false", "false", []),
        (
            F("t") == "a'\"\\\n",
            """(not (f_t is null)) and (f_t == "a'\\"\\\\\\n")""",
            "(not (f_t is null)) and (f_t = 'a''\"\\\n')",
            "(not (f_t is null)) and (f_t = %s::text)",
            ["a'\"\\\n"],
        ),
        (
            "not (i = 1 or r in (0.5))",
            "(not (f_i is null)) and (f_i != 1) and (not (f_r is null)) and (not (f_r in [0.5]))",
            "(not (f_i is null)) and (f_i != 1) and (not (f_r is null)) and (not (f_r in (0.5)))",
            None,
            [1, [0.5]],
        ),
        (
            "k contains all ('a', 'it''s')",
            """(not (f_k is null)) and (array_contains_all(f_k, ["a", "it's"]))""",
            "(not (f_k is null)) and (array_has_all(f_k, ['a', 'it''s']))",
            "(not (f_k is null)) and (f_k @> %s::text[])",
            [["a", "it's"]],
        ),
        (
            "b and i in (1, 2)",
            "(not (f_b is null)) and (f_b == true) and (not (f_i is null)) and (f_i in [1, 2])",
            "(not (f_b is null)) and (f_b = true) and (not (f_i is null)) and (f_i in (1, 2))",
            "(not (f_b is null)) and (f_b = %s::boolean) and (not (f_i is null)) and (f_i = any(%s::bigint[]))",
            [True, [1, 2]],
        ),
        ("i > -9223372036854775808", "(not (f_i is null)) and (f_i >= -9223372036854775807)", None, None, None),
        ("i <= -9223372036854775808", "(not (f_i is null)) and (f_i < -9223372036854775807)", None, None, None),
        ("i >= -9223372036854775808", "not (f_i is null)", "not (f_i is null)", "not (f_i is null)", []),
    ],
)
def test_by_hand(where, in_milvus, in_lance, in_postgres, values):
    language = pgvector.PostgresLanguage()
    text = written(form(where), language)
    assert written(form(where), milvus.MilvusLanguage()) == in_milvus
    if in_lance is not None:
        assert written(form(where), lance.LanceLanguage()) == in_lance
    if in_postgres is not None:
        assert text == in_postgres
    if values is not None:
        assert language.parameters == values


def test_what_an_engine_can_not_say_is_looked_at_here():
    where = parse("i > 1 and not t ilike 'A%'").check(COLLECTION.schema)
    asked = []

    def rows_of(wider):
        asked.append(str(wider))
        fields = COLLECTION.arrow.empty_table().from_pylist(
            [{"i": 2, "t": "ab"}, {"i": 3, "t": "b"}, {"i": 4, "t": None}], schema=COLLECTION.arrow
        )
        return Rows(*with_numbers([7, 8, 9]), fields)

    found = said(where, COLLECTION, says=milvus.MilvusLanguage.says, rows_of=rows_of)
    assert str(found) == "id IN (8)"
    assert asked == ["NOT f_i IS NULL AND f_i > 1 AND NOT f_t IS NULL"]
    plain = parse("t like 'a%'").check(COLLECTION.schema)
    assert said(plain, COLLECTION, says=milvus.MilvusLanguage.says, rows_of=None) == normal(plain, COLLECTION)
    assert with_ids(with_numbers([])[0]) == Constant(value=False)


def with_numbers(ids):
    return np.array(ids, np.int64), np.zeros((len(ids), 2), np.float32)


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [("./x.db", "pymilvus", "milvus"), ("lance:x", "lancedb", "lance"), ("postgresql://h/d", "psycopg", "pgvector")],
)
def test_an_engine_that_is_not_installed_names_the_pip_line(monkeypatch, uri, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'spaceform\[{extra}\]'"):
        open_store(uri)
