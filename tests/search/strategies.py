"""Random tables and random filters over them."""

import datetime as dt

import pyarrow as pa
from hypothesis import strategies as st

from spaceform.search.filters import And, Between, Comparison, Constant, Contains, In, IsNull, Like, Literal, Not, Or

TEXTS = [
    "",
    "a",
    "A",
    "b",
    "ab",
    "a%b",
    "a_b",
    "axb",
    "a\\b",
    "it's",
    'say "hi"',
    "é",
    "日本",
    "a\nb",
    "x'; DROP TABLE t; --",
    "zz",
]
INTEGERS = [-(2**53), -3, -1, 0, 1, 2, 3, 7, 100, 127, 128, 2**31, 2**53]
FLOATS = [-1e300, -2.5, -1.0, -0.0, 0.0, 0.1, 0.5, 1.0, 2.0, 2.5, 3.0, 1e-300, 1e300, float("inf"), float("-inf")]
DATES = [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2020, 2, 29), dt.date(9999, 12, 31)]
TIMES = [
    dt.datetime(1960, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
    dt.datetime(1970, 1, 1),  # noqa: DTZ001
    dt.datetime(2020, 2, 29),  # noqa: DTZ001
    dt.datetime(2020, 2, 29, 12, 30, 59, 999_999),  # noqa: DTZ001
]
PATTERNS = ["%", "", "_", "a%", "%b", "a_b", "a\\%b", "a\\_b", "a\\\\b", "%a%", "A%", "__", "%'%", "É", "_本"]

COLUMNS = {
    "i": (pa.int64(), INTEGERS),
    "tiny": (pa.int8(), [-128, -1, 0, 1, 127]),
    "f": (pa.float64(), FLOATS),
    "t": (pa.string(), TEXTS),
    "two words": (pa.string(), TEXTS),
    "b": (pa.bool_(), [True, False]),
    "d": (pa.date32(), DATES),
    "at": (pa.timestamp("us"), TIMES),
}
WORDS = ["a", "b", "it's", "é"]


@st.composite
def tables(draw, rows=12):
    """A table of all kinds of columns, a third of it missing, in one chunk or two."""
    columns = {}
    for name, (kind, values) in COLUMNS.items():
        drawn = draw(
            st.lists(st.none() | st.sampled_from(values) | st.sampled_from(values), min_size=rows, max_size=rows)
        )
        columns[name] = pa.array(drawn, kind)
    sets = st.none() | st.lists(st.sampled_from(WORDS), max_size=3) | st.lists(st.sampled_from(WORDS), max_size=3)
    columns["k"] = pa.array(draw(st.lists(sets, min_size=rows, max_size=rows)), pa.list_(pa.string()))
    table = pa.table(columns)
    cut = draw(st.integers(0, rows))
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def numbers():
    finite = [value for value in FLOATS if abs(value) != float("inf")]
    return st.sampled_from(INTEGERS) | st.sampled_from(finite) | st.integers(-5, 5) | st.floats(-5, 5)


def moments():
    return st.sampled_from(DATES) | st.sampled_from(TIMES)


VALUES = {
    "i": numbers(),
    "tiny": numbers(),
    "f": numbers(),
    "t": st.sampled_from(TEXTS),
    "two words": st.sampled_from(TEXTS),
    "b": st.booleans(),
    "d": moments(),
    "at": moments(),
}


@st.composite
def predicates(draw):
    """A condition that fits the tables."""
    kind = draw(st.sampled_from(["compare", "compare", "in", "between", "null", "contains", "like", "constant"]))
    if kind == "constant":
        return Constant(draw(st.booleans()))
    if kind == "contains":
        texts = draw(st.lists(st.sampled_from([*WORDS, "zz"]), min_size=1, max_size=3))
        return Contains("k", tuple(texts), every=draw(st.booleans()))
    if kind == "like":
        return Like(draw(st.sampled_from(["t", "two words"])), draw(st.sampled_from(PATTERNS)), draw(st.booleans()))
    if kind == "null":
        return IsNull(draw(st.sampled_from([*COLUMNS, "k"])))
    column = draw(st.sampled_from(list(COLUMNS)))
    if kind == "in":
        return In(column, tuple(map(Literal.of, draw(st.lists(VALUES[column], min_size=1, max_size=4)))))
    if kind == "between" and column != "b":
        low, high = sorted(
            (draw(VALUES[column]), draw(VALUES[column])), key=lambda v: str(v) if column in ("d", "at") else v
        )
        return Between(column, Literal.of(low), Literal.of(high))
    operators = ["=", "!="] if column == "b" else ["=", "!=", "<", "<=", ">", ">="]
    return Comparison(column, draw(st.sampled_from(operators)), Literal.of(draw(VALUES[column])))


def expressions(leaves=None):
    """Trees of AND, OR and NOT over conditions."""
    return st.recursive(
        leaves if leaves is not None else predicates(),
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, min_size=2, max_size=3).map(tuple).map(And),
            st.lists(inner, min_size=2, max_size=3).map(tuple).map(Or),
        ),
        max_leaves=12,
    )
