"""The addresses of the JSON interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile

from spaceform.errors import InputError
from spaceform.serve.failures import REFUSED, PlainJSON, refusal
from spaceform.serve.known import only_known
from spaceform.serve.models import About, Ask, ErrorAnswer, FacetsAnswer, Health, MapAnswer, Row, SearchAnswer
from spaceform.serve.served import Question, Served
from spaceform.serve.shelf import media_type
from spaceform.serve.slots import Check

Text = Annotated[str | None, Query(description="Words, or the id of a row.")]
RowId = Annotated[str | None, Query(description="The id of a row, which will not be among the answers.")]
Where = Annotated[str | None, Query(description="A filter, such as: category = 'Food' and year >= 2015.")]
Id = Annotated[str, Query(alias="id", description="The id of a row.")]
Version = Annotated[str | None, Query(max_length=100, description="Anything; another one is another address to keep.")]
K = Annotated[int, Query(ge=1, description="Rows to find, at most max_k of /api/space.")]
Position = Annotated[int, Path(ge=0, description="The position of a row, from 0.")]

MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": "There is no such thing."}}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")
        },
    }
}

router = APIRouter(responses=REFUSED, default_response_class=PlainJSON, dependencies=[Depends(only_known)])


@router.get("/healthz", response_model=Health)
async def healthz(request: Request) -> PlainJSON:
    """Say that the server answers."""
    return PlainJSON({"status": "ok", "questions": request.app.state.slots.held})


@router.get("/api/space", response_model=About)
async def space(request: Request) -> PlainJSON:
    """Tell what can be asked of the Space, and how."""
    return PlainJSON(_served(request).about())


@router.get("/api/search", response_model=SearchAnswer)
async def search(
    request: Request, *, text: Text = None, row: RowId = None, where: Where = None, k: K = 24
) -> PlainJSON:
    """Find the rows nearest to a text or a row among those that a filter lets through; without either, look around."""
    return await _answer(request, Question(text=text, row=row, where=where, k=k))


@router.post("/api/search", response_model=SearchAnswer)
async def search_by_body(request: Request, ask: Ask) -> PlainJSON:
    """Find the rows nearest to a text, a row or a vector among those that a filter lets through."""
    return await _answer(request, Question(**ask.model_dump()))


@router.post("/api/search/picture", response_model=SearchAnswer)
async def search_by_picture(
    request: Request,
    picture: Annotated[UploadFile, File(description="PNG, JPEG, WebP, GIF or BMP.")],
    where: Annotated[str | None, Form(description="A filter.")] = None,
    k: Annotated[int, Form(ge=1, description="Rows to find.")] = 24,
) -> PlainJSON:
    """Find the rows nearest to a picture that is sent along, where the Space was made from pictures."""
    return await _answer(request, Question(picture=await picture.read(), where=where, k=k))


@router.get("/api/facets", response_model=FacetsAnswer)
async def facets(request: Request, where: Where = None) -> PlainJSON:
    """Count the values of every attribute among the rows that pass, the filter's own choice on it set aside."""
    return await _run(request, lambda check: _served(request).facets_of(where, check))


@router.get("/api/map", response_model=MapAnswer, responses={202: {"model": MapAnswer, "description": "Being drawn."}})
async def map_(request: Request) -> Response:
    """Return the places of rows on a plane; 202 while they are computed."""
    state = request.app.state
    if state.map_text is None:
        data = state.served.map
        if data is None:
            return PlainJSON(MapAnswer(ready=False).model_dump(), 202, {"retry-after": "1"})
        state.map_text = PlainJSON({"ready": True, **data}).body
    return Response(state.map_text, media_type="application/json", headers={"cache-control": "private, max-age=60"})


@router.get("/api/rows", response_model=Row, responses=MISSING)
async def row_by_id(request: Request, id_: Id) -> PlainJSON:
    """Return the row with an id."""
    from spaceform.workflows.searching.placing import row_of

    position = row_of(_served(request).space, id_)
    return _row(request, position) if position >= 0 else refusal(404, "id", repr(id_)[:80], "the id of a row")


@router.get("/api/rows/{row}", response_model=Row, responses=MISSING)
async def row_by_position(request: Request, row: Position) -> PlainJSON:
    """Return the row at a position."""
    return _row(request, row)


@router.get("/api/pictures/{row}", response_class=Response, responses=PICTURE | MISSING)
def picture(request: Request, row: Position, v: Version = None) -> Response:
    """Return the picture of the row at a position; browsers keep it, by ``v`` for each version of the Space."""
    served = _served(request)
    encoded = served.shelf.picture(row) if row < len(served.space) else None
    kind = None if encoded is None else media_type(encoded)
    if kind is None:
        return refusal(404, "row", str(row), "a row with a picture")
    return Response(encoded, media_type=kind, headers={"cache-control": "private, max-age=3600"})


async def _answer(request: Request, question: Question) -> PlainJSON:
    return await _run(request, lambda check: _served(request).search(question, check))


async def _run(request: Request, work: Callable[[Check], dict[str, Any]]) -> PlainJSON:
    """Do work in a thread, as long as the one who asked is there; the answer is written there, too."""

    def written(check: Check) -> PlainJSON:
        found = work(check)
        check()
        return PlainJSON(found)

    done: PlainJSON = await request.app.state.slots.run(written, gone=request.is_disconnected)
    return done


def _row(request: Request, position: int) -> PlainJSON:
    served = _served(request)
    if position >= len(served.space):
        return refusal(404, "row", str(position), f"a position from 0 to {len(served.space) - 1}")
    return PlainJSON(served.rows(_one(position))[0])


def _one(position: int) -> Any:
    import numpy as np

    return np.array([position])


def _served(request: Request) -> Served:
    served = request.app.state.served
    if not isinstance(served, Served):
        raise InputError("space", got="none", expected="one that is open")
    return served
