"""Errors as answers: one shape for all, with the argument, what came, what was expected and what to do."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from spaceform.errors import InputError, SpaceformError
from spaceform.serve.known import unknown
from spaceform.serve.models import Ask, ErrorAnswer
from spaceform.serve.slots import BusyError, GoneError, LateError

RETRY_SECONDS = 1

REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": words}
    for status, words in {
        401: "A token is needed.",
        403: "Another site asks.",
        408: "The request did not arrive in time.",
        413: "The request is too large.",
        421: "The server is called by a foreign name.",
        422: "Something in the question is wrong.",
        500: "A fault of the server's.",
        503: "Too many questions at once; Retry-After says when to ask again.",
        504: "The question took too long.",
    }.items()
}
"""What any address of the interface may answer instead."""


class PlainJSON(JSONResponse):
    """JSON in ASCII, so that halves of surrogate pairs, which UTF-8 does not know, survive."""

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def answer_errors(app: FastAPI) -> None:
    """Let the application answer errors in the one shape."""

    async def wrong(request: Request, error: Exception) -> PlainJSON:
        assert isinstance(error, InputError)  # noqa: S101  it is registered for these
        return refusal(422, error.argument, str(error.got), error.expected, remedy=error.remedy)

    async def invalid(request: Request, error: Exception) -> PlainJSON:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or "body"
        if first["type"] == "extra_forbidden":
            return await wrong(request, unknown(name, str(first.get("input")), Ask.model_fields))
        return refusal(422, name, repr(first.get("input"))[:80], first["msg"], remedy="see /openapi.json")

    async def known(request: Request, error: Exception) -> PlainJSON:
        assert isinstance(error, HTTPException)  # noqa: S101
        answer = refusal(
            error.status_code, "request", request.url.path[:80], str(error.detail), remedy="see /openapi.json"
        )
        answer.headers.update(error.headers or {})
        return answer

    async def limited(request: Request, error: Exception) -> PlainJSON:
        kinds: dict[type[Exception], int] = {BusyError: 503, LateError: 504, GoneError: 499}
        answer = refusal(kinds.get(type(error), 500), "server", str(error), "an answer", remedy="ask again later")
        if isinstance(error, BusyError):
            answer.headers["retry-after"] = str(RETRY_SECONDS)
        return answer

    async def fault(request: Request, error: Exception) -> PlainJSON:
        return refusal(500, "server", type(error).__name__, "an answer", remedy="this is a fault of spaceform's")

    app.add_exception_handler(InputError, wrong)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(SpaceformError, limited)
    app.add_exception_handler(Exception, fault)


def refusal(status: int, name: str, got: str, expected: str, *, remedy: str = "") -> PlainJSON:
    """Return an error as an answer."""
    message = f"{name}: got {got}, expected {expected}" + (f"; {remedy}" if remedy else "")
    parts = {"name": name, "got": got, "expected": expected, "remedy": remedy, "message": message}
    return PlainJSON({"error": parts}, status)
