"""Names in a question that nobody knows are refused, with the nearest that is: a filter misspelt is no filter."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fastapi import Request
from fastapi.routing import APIRoute

from spaceform.errors import InputError


async def only_known(request: Request) -> None:
    """Raise ``InputError`` for a parameter or a field of a form that the address does not take."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    queries = [one.alias for one in route.dependant.query_params]
    for name, value in request.query_params.items():
        if name not in queries:
            raise unknown(name, value, queries)
    fields = [one.alias for one in route.dependant.body_params]
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        for name, sent in (await request.form()).items():
            if name not in fields:
                raise unknown(name, sent if isinstance(sent, str) else "a file", fields)


def unknown(name: str, value: str, names: Iterable[str]) -> InputError:
    """Return the error for a name that is none of ``names``, with the nearest of them."""
    listed = list(names)
    near = difflib.get_close_matches(name.casefold(), listed, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "see /openapi.json"
    expected = f"no such name, but {', '.join(listed)}" if listed else "no parameters"
    return InputError(name[:80], got=repr(value)[:80], expected=expected, remedy=remedy)
