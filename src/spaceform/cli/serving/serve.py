"""Search a Space in the browser: text, rows, pictures, filters, and a map."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_line
from spaceform.cli.console.progress import progress_bar


def serve(
    space: Annotated[Path, typer.Argument(help="Folder of the Space.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None, typer.Option(help="What every request must carry; 'auto' makes and prints one.")
    ] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Name under which the server may be called.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    max_k: Annotated[int, typer.Option(help="Most rows of one answer.")] = 200,
    max_depth: Annotated[int, typer.Option(help="Most levels of a filter.")] = 20,
    max_body: Annotated[int, typer.Option(help="Most bytes of one request, a picture included.")] = 8 * 2**20,
    seconds: Annotated[float, typer.Option(help="Most seconds of one question.")] = 10.0,
    workers: Annotated[int | None, typer.Option(help="Questions answered at once (default: one per core).")] = None,
    waiting: Annotated[int, typer.Option(help="Questions that may queue; beyond, the answer is 503.")] = 128,
) -> None:
    """Serve a Space on this machine: a page to search it by text, row or picture, and a JSON interface."""
    from spaceform.checks import require

    require("fastapi", "serve")
    require("uvicorn", "serve")
    require("python_multipart", "serve")
    from spaceform.serve.limits import Limits
    from spaceform.serve.running import check_token, listen
    from spaceform.serve.running import serve as run
    from spaceform.serve.served import Served

    limits = Limits(
        max_k=max_k,
        max_depth=max_depth,
        max_body=max_body,
        seconds=seconds,
        workers=workers or min(4, os.cpu_count() or 1),
        waiting=waiting,
    )
    secret = check_token(token, host)
    with listen(host, port) as door:
        with progress_bar() as progress:
            served = Served(space, limits=limits, progress=progress)
        served.draw_map()
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{door.getsockname()[1]}/" + (f"?token={secret}" if secret else "")

        def ready() -> None:
            print_line(f"{len(served.space):,} rows at {address}  (Ctrl-C ends)")
            if open_page:
                import webbrowser

                webbrowser.open(address)

        with suppress(KeyboardInterrupt):  # which is how it ends
            run(served, door, hosts=[host, *(allow_host or [])], token=secret, ready=ready)
    print_line("ended")
