"""Search a Space or a vector store by text, by row, and by filters on attributes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaceform.cli.console.output import format_cell, print_json, print_line, print_table
from spaceform.errors import InputError

if TYPE_CHECKING:
    from spaceform.workflows.search import SearchResult

SHOWN_COLUMNS = 6
"""Attributes shown when none are asked for."""

LONGEST_CELL = 60
"""Characters of a cell; the JSON output is never cut."""


def search(
    space: Annotated[str, typer.Argument(help="Folder of the Space, or the URI of a store that it was pushed to.")],
    query: Annotated[str | None, typer.Argument(help="The id of a row, or words.")] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="A picture to search by instead, in a Space made from pictures.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Filter, such as: category = 'Food' and year >= 2015.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Rows to find.")] = 10,
    columns: Annotated[str | None, typer.Option("--columns", help="Attributes to show, with commas between.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Collection of the store, if it has several.")] = None,
    encoder: Annotated[
        Path | None, typer.Option("--encoder", help="A Space whose encoder places the text, for a store.")
    ] = None,
    token: Annotated[
        str, typer.Option("--token", envvar="SPACEFORM_STORE_TOKEN", help="Key or password of the store.")
    ] = "",
) -> None:
    """Find the rows of a Space nearest to a text, a picture or one of its rows, among those that a filter passes."""
    from spaceform.search.stores.opening import is_store

    if is_store(space):
        from spaceform.workflows.storing.find import fields_of, search_store

        if image is not None or query is None:
            raise InputError("query", got="none or an image", expected="a row id or words, for a store")

        names = _chosen(columns, fields_of(space, name, token=token))
        result = search_store(space, query, name=name, where=where, k=k, encoder=encoder, token=token)
    else:
        from spaceform.space import Space
        from spaceform.workflows.search import search as run

        if name is not None or encoder is not None:
            raise InputError("name, encoder", got="one for a Space", expected="a store, such as ./rows.db")
        names = _chosen(columns, Space.open(space).columns)
        result = run(space, query, image=image, where=where, k=k)
    if as_json:
        answer = result.to_dict()
        if columns is not None:
            for row in answer["rows"]:
                row["attributes"] = {name: row["attributes"][name] for name in names}
        print_json(answer)
        return
    print_line(describe(result))
    if result.rows:
        names = names if columns is not None else names[:SHOWN_COLUMNS]
        lines = [
            [row["rank"], row["closeness"], cell(row["id"]), *(cell(row["attributes"][name]) for name in names)]
            for row in result.rows
        ]
        print_table("", ("rank", result.metric, "id", *map(cell, names)), lines)


def describe(result: SearchResult) -> str:
    """Return one line on what was searched and how the query was placed."""
    anchors = ", ".join(map(cell, result.anchors[:3])) + (", ..." if len(result.anchors) > 3 else "")
    place = {
        "id": f"the row {anchors}",
        "words": f"the mean of {len(result.anchors)} row(s) that match the words: {anchors}",
        "encoder": "the text's own vector",
        "vector": "the vector",
        "picture": "the picture's own vector",
    }[result.way]
    of = f"{result.passing:,} row(s)" + (" that pass the filter" if result.where else "")
    return f"{len(result.rows)} of {of}, nearest to {place}"


def cell(value: Any) -> Any:
    """Return how the table shows an attribute: lists joined, long text cut, control characters (escapes too) as dots.

    Integers are shown as they are, since many are years or codes.
    """
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    if not isinstance(value, str):
        return str(value) if type(value) is int else value if isinstance(value, float) else format_cell(value)
    shown = "".join(character if character.isprintable() else "·" for character in value[: LONGEST_CELL + 1])
    return shown if len(shown) <= LONGEST_CELL else shown[: LONGEST_CELL - 1] + "…"


def _chosen(columns: str | None, known: list[str]) -> list[str]:
    if columns is None:
        return known
    names = [name.strip() for name in columns.split(",") if name.strip()]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise InputError("columns", got=repr(name), expected="attributes among " + ", ".join(known), remedy=hint)
    return names
