"""Embed a data set of any size in units that are done exactly once, here or on a Ray or Dask cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_error, print_json, print_line, print_warning
from spaceform.cli.console.progress import progress_bar


def embed(
    source: Annotated[
        str, typer.Argument(help="A file, folder or 'pattern*' of .parquet/.csv/.tsv/.jsonl/.txt or pictures.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the parts, and for the Space that they make.")],
    *,
    encoder: Annotated[
        str, typer.Option(help="minilm, pixels, package.module:function, or the folder of an encoder, Space or model.")
    ] = "minilm",
    engine: Annotated[str, typer.Option(envvar="SPACEFORM_ENGINE", help="local, ray or dask.")] = "local",
    workers: Annotated[int, typer.Option(envvar="SPACEFORM_WORKERS", help="Processes, actors or tasks at a time.")] = 1,
    address: Annotated[
        str | None,
        typer.Option(envvar="SPACEFORM_ADDRESS", help="Of a cluster: 'auto' for Ray, tcp://host:8786 for Dask."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows per call of the encoder.")] = 64,
    text_column: Annotated[str | None, typer.Option(help="Column with the texts.")] = None,
    vector_column: Annotated[str | None, typer.Option(help="Column of number lists to embed instead.")] = None,
    ids: Annotated[str | None, typer.Option(help="Column of unique ids (default: id, else file and row).")] = None,
    size: Annotated[int, typer.Option(help="Side of pictures in pixels, where the encoder does not say.")] = 48,
    rows_per_unit: Annotated[int, typer.Option(help="Rows per unit of files without row groups.")] = 4_096,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stood; --no-resume begins anew.")] = True,
    space: Annotated[bool, typer.Option(help="Make the folder a Space besides; --no-space leaves the parts.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Embed every row exactly once; a run that was killed goes on when it is repeated."""
    from spaceform.workflows.embed import embed as run
    from spaceform.workflows.embedding.job import Reading
    from spaceform.workflows.embedding.scale import Scale

    reading = Reading(
        text_column=text_column, vector_column=vector_column, ids=ids, size=size, rows_per_unit=rows_per_unit
    )
    try:
        with progress_bar() as progress:
            result = run(
                source,
                out,
                encoder,
                scale=Scale(engine=engine, workers=workers, address=address),
                batch_size=batch_size,
                resume=resume,
                reading=reading,
                space=space,
                progress=progress,
            )
    except KeyboardInterrupt:
        print_error("the same command goes on with the units that are left", prefix="")
        raise
    if as_json:
        print_json(result.to_dict())
        return
    if result.left_out:
        print_warning("columns of types that a Space has no place for: " + ", ".join(result.left_out))
    units = f"{result.done:,} of {result.units:,} units in this run ({result.engine}, {result.workers} at a time)"
    print_line(f"{result.path}: {result.rows:,} rows x {result.dim} {result.dtype}, {units}, in {result.seconds:.0f} s")
    if result.quarantined:
        print_line(f"{result.quarantined:,} rows could not be used: see {Path(result.path) / 'quarantine.jsonl'}")
