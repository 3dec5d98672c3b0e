"""What a store knows of the rows of one collection: their width, metric and typed fields; the record that it keeps."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import pyarrow as pa

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError, StoreError
from spaceform.search.attributes import Kind, Schema
from spaceform.space_rows import SET_TYPE

METRICS = ("cosine", "euclidean", "ip")
"""What may be near: by angle, by distance, by inner product."""

INDEXES = ("auto", "flat", "approximate")
"""``flat`` is exact, ``approximate`` the engine's fast index; ``auto`` is that, or exact where exact is fast too."""

FORMAT, VERSION = "spaceform collection", 1
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_PLAIN = re.compile(r"[a-z0-9_]{1,48}")


class FieldType(StrEnum):
    """The type of a field. Integers have 64 bits, reals are float64, timestamps count microseconds (UTC)."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXTS = "texts"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of its column."""
        return _ARROW[self]

    @property
    def kind(self) -> Kind:
        """What filters may ask of it."""
        return _KINDS[self]

    @property
    def stored(self) -> pa.DataType:
        """The Arrow type in engines without dates: days and microseconds since 1970 as integers."""
        return pa.int64() if self in (FieldType.DATE, FieldType.TIMESTAMP) else self.arrow

    @classmethod
    def of(cls, kind: Any, name: str) -> FieldType:
        """Read a type given by name, as a Python type or as an Arrow type; ``InputError`` names the field."""
        if isinstance(kind, pa.DataType):
            for test, found in _FROM_ARROW:
                if test(kind):
                    return found
        elif isinstance(kind, type) and kind in _FROM_PYTHON:
            return _FROM_PYTHON[kind]
        elif isinstance(kind, str) and kind in set(cls):
            return cls(kind)
        listed = ", ".join(map(repr, map(str, cls)))
        raise InputError(
            f"fields[{name!r}]",
            got=f"{kind!r:.60}",
            expected=f"int, float, str, bool, date, datetime, list, {listed}",
        )


FieldTypes: TypeAlias = Mapping[str, FieldType | str | type | pa.DataType]
"""Fields by name, as `VectorStore.create` takes them."""

_ARROW = {
    FieldType.INTEGER: pa.int64(), FieldType.REAL: pa.float64(), FieldType.TEXT: pa.string(),
    FieldType.BOOLEAN: pa.bool_(), FieldType.DATE: pa.date32(), FieldType.TIMESTAMP: pa.timestamp("us"),
    FieldType.TEXTS: SET_TYPE,
}  # fmt: skip
_KINDS = {
    FieldType.INTEGER: Kind.NUMBER, FieldType.REAL: Kind.NUMBER, FieldType.TEXT: Kind.TEXT,
    FieldType.BOOLEAN: Kind.BOOLEAN, FieldType.DATE: Kind.DATE, FieldType.TIMESTAMP: Kind.TIMESTAMP,
    FieldType.TEXTS: Kind.TEXTS,
}  # fmt: skip
_FROM_PYTHON: dict[type, FieldType] = {
    int: FieldType.INTEGER, float: FieldType.REAL, str: FieldType.TEXT, bool: FieldType.BOOLEAN,
    dt.date: FieldType.DATE, dt.datetime: FieldType.TIMESTAMP, list: FieldType.TEXTS,
}  # fmt: skip
_FROM_ARROW = (
    (pa.types.is_integer, FieldType.INTEGER), (pa.types.is_floating, FieldType.REAL),
    (pa.types.is_string, FieldType.TEXT), (pa.types.is_boolean, FieldType.BOOLEAN),
    (pa.types.is_date, FieldType.DATE), (pa.types.is_timestamp, FieldType.TIMESTAMP),
    (pa.types.is_list, FieldType.TEXTS),
)  # fmt: skip


@dataclass(frozen=True)
class Collection:
    """Rows of one width, compared by one metric, with typed fields; ``info`` is free JSON that is kept with them."""

    name: str
    dim: int
    metric: str
    fields: Mapping[str, FieldType]
    index: str = "auto"
    info: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(
        cls, name: str, dim: int, *, metric: str, fields: FieldTypes | None, index: str, info: Mapping[str, Any] | None
    ) -> Collection:
        """Return a collection of checked parts; ``InputError`` names the one that is wrong."""
        check_integer(dim, "dim", low=1, high=32_768)
        check_choice(metric, "metric", METRICS)
        check_choice(index, "index", INDEXES)
        given = {} if fields is None else fields
        if not isinstance(given, Mapping):
            raise InputError("fields", got=type(fields).__name__, expected="a mapping of names to types")
        typed = {_check_field(one): FieldType.of(kind, one) for one, kind in given.items()}
        try:
            kept = json.loads(json.dumps(dict(info or {}), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InputError("info", got=str(error), expected="plain values that JSON knows") from error
        return cls(check_name(name), dim, metric, typed, index, kept)

    @property
    def schema(self) -> Schema:
        """The columns that a filter may name."""
        return Schema({name: kind.kind for name, kind in self.fields.items()})

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of the fields."""
        return pa.schema([pa.field(name, kind.arrow) for name, kind in self.fields.items()])

    @property
    def columns(self) -> dict[str, str]:
        """The column of each field inside an engine: lower-case ASCII whatever the field is called, all distinct.

        Engines differ in what may name a column, and in how it is quoted; these names need no quotes anywhere.
        """
        return {
            name: f"f_{name}" if _PLAIN.fullmatch(name) else f"f{position}" for position, name in enumerate(self.fields)
        }

    @property
    def stored(self) -> pa.Schema:
        """The Arrow schema in engines without dates, under the names of `columns`."""
        columns = self.columns
        return pa.schema([pa.field(columns[name], kind.stored) for name, kind in self.fields.items()])

    def to_stored(self, table: pa.Table) -> pa.Table:
        """Rename the columns, and turn days and moments into integers."""
        arrays = [
            table[name].cast(pa.int32()).cast(pa.int64()) if kind is FieldType.DATE else table[name].cast(kind.stored)
            for name, kind in self.fields.items()
        ]
        return pa.table(arrays, schema=self.stored)

    def from_stored(self, table: pa.Table) -> pa.Table:
        """Undo `to_stored`."""
        columns = self.columns
        arrays = [
            table[columns[name]].cast(pa.int32()).cast(pa.date32())
            if kind is FieldType.DATE
            else table[columns[name]].cast(kind.arrow)
            for name, kind in self.fields.items()
        ]
        return pa.table(arrays, schema=self.arrow)

    def to_json(self) -> str:
        """Return the record that an engine keeps with the rows."""
        record = {
            "format": FORMAT, "version": VERSION, "name": self.name, "dim": self.dim, "metric": self.metric,
            "index": self.index, "fields": {name: str(kind) for name, kind in self.fields.items()}, "info": self.info,
        }  # fmt: skip
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str, name: str) -> Collection:
        """Read the record back; ``StoreError`` for a collection that was made by something else."""
        try:
            record = json.loads(text)
            found = record["format"], record["version"]
            if found != (FORMAT, VERSION):
                raise StoreError(f"{name}: its record has format {found!r}, not {(FORMAT, VERSION)!r}")
            fields = {one: FieldType(kind) for one, kind in record["fields"].items()}
            return cls(record["name"], record["dim"], record["metric"], fields, record["index"], record["info"])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{name}: was not made by spaceform, or its record was changed") from error


def is_name(name: object) -> bool:
    """Return whether every engine takes it as the name of a collection."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name of a collection if every engine takes it; else ``InputError``."""
    if not is_name(name):
        raise InputError("name", got=f"{name!r:.60}", expected="up to 48 letters, digits and _, the first a letter")
    return name


def _check_field(name: object) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError("fields", got=f"a field named {name!r:.60}", expected="non-empty text as a name")
    return name
