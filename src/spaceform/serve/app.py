"""The application: the page and the JSON interface behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from importlib.metadata import version

from fastapi import FastAPI, Response

from spaceform.serve.api import router
from spaceform.serve.failures import answer_errors
from spaceform.serve.guard import App, Guard
from spaceform.serve.served import Served
from spaceform.serve.slots import Slots

FILES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
PAGE = "index.html"


def make_app(served: Served, *, hosts: Sequence[str] = (), token: str | None = None) -> App:
    """Return the ASGI application for a Space.

    ``hosts`` are names by which it may be called, besides ``localhost`` and plain addresses; with a ``token`` every
    request must carry it. Nothing on the page comes from another host.
    """
    limits = served.limits
    slots = Slots(workers=limits.workers, waiting=limits.waiting, seconds=limits.seconds)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        slots.close()

    app = FastAPI(
        title=f"spaceform: {served.name}",
        description="Search a Space by text, row, vector or picture, under filters on its attributes.",
        version=version("spaceform"),
        docs_url=None,  # the usual pages load their parts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.served, app.state.slots, app.state.map_text = served, slots, None
    answer_errors(app)
    app.include_router(router)
    for name, content in _static().items():
        _add_file(app, "/" if name == PAGE else f"/static/{name}", content, FILES["." + name.rpartition(".")[2]])
    return Guard(app, hosts=hosts, token=token, max_body=limits.max_body)


def _static() -> dict[str, bytes]:
    """Return the files of the page; they are small, and read once."""
    own = (resources.files("spaceform.serve") / "static").iterdir()
    shared = resources.files("spaceform.workflows") / "plane.js"  # the canvas of the map, which reports have, too
    return {entry.name: entry.read_bytes() for entry in [*own, shared] if "." + entry.name.rpartition(".")[2] in FILES}


def _add_file(app: FastAPI, address: str, content: bytes, kind: str) -> None:
    def file() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    app.add_api_route(address, file, methods=["GET"], include_in_schema=False)
