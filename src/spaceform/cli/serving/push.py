"""Write a Space to a vector store: Milvus, PostgreSQL, LanceDB, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_error, print_json, print_line
from spaceform.cli.console.progress import progress_bar


def push(
    space: Annotated[Path, typer.Argument(help="Folder of the Space.")],
    uri: Annotated[
        str,
        typer.Argument(help="./rows.db or http://host:19530 (Milvus), postgresql://..., lance:FOLDER, or a folder."),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="Collection; by default it is called like the folder.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="cosine, euclidean or ip; by default as the geometry has it.")
    ] = None,
    index: Annotated[str, typer.Option(help="auto, flat (exact) or approximate.")] = "auto",
    batch: Annotated[int, typer.Option("--batch", help="Rows written at once.")] = 1_000,
    resume: Annotated[bool, typer.Option("--resume", help="Do not write again what is there as it is.")] = False,
    token: Annotated[
        str, typer.Option("--token", envvar="SPACEFORM_STORE_TOKEN", help="Key or password of the store.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the rows of a Space to a vector store; a repeated push changes nothing."""
    from spaceform.workflows.storing.push import push as run

    try:
        with progress_bar() as progress:
            result = run(space, uri, name=name, metric=metric, index=index, batch_size=batch, resume=resume,
                         token=token, progress=progress)  # fmt: skip
    except KeyboardInterrupt:
        print_error("the same command with --resume writes only what is missing", prefix="")
        raise
    if as_json:
        print_json(result.to_dict())
        return
    kept = f", {result.unchanged:,} were there" if result.unchanged else ""
    print_line(f"{result.name}: {result.written:,} row(s) written{kept}, compared by {result.metric}")
    if result.others:
        print_line(f"{result.others:,} other row(s) of the collection are not in this Space")
