"""Build a Space from emoji, a folder of pictures, texts, vectors or a table; train its encoder if it needs one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar


def build(
    source: Annotated[str, typer.Argument(help="emoji, or a folder of pictures, or a .npy/.npz/.parquet/.csv/.txt.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the new Space.")],
    encoder: Annotated[
        str | None,
        typer.Option(help="conv (trained here), minilm, pixels, the folder of one, or package.module:function."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column with the classes.")] = None,
    vector_column: Annotated[str | None, typer.Option(help="Column of a table that holds the vectors.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of a table that holds the texts.")] = None,
    size: Annotated[int, typer.Option(help="Side of pictures in pixels.")] = 48,
    dim: Annotated[int, typer.Option(help="Dimensions of the trained encoder.")] = 64,
    steps: Annotated[int, typer.Option(help="Training steps of the trained encoder.")] = 400,
    unseen: Annotated[float, typer.Option(help="Share of classes that training never sees.")] = 0.4,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build a Space and, where an encoder was trained, say what it learned against raw pixels and no training."""
    from spaceform.workflows.build import build as run

    with progress_bar() as progress:
        result = run(
            source,
            out,
            encoder=encoder,
            label=label,
            vector_column=vector_column,
            text_column=text_column,
            size=size,
            dim=dim,
            steps=steps,
            unseen=unseen,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
        return
    if result.learned:
        rows = [(name, figures["recall_at_1"], figures["map_at_r"]) for name, figures in result.learned.items()]
        title = f"Nearest neighbours on {result.unseen_classes:,} classes that training never saw"
        print_table(title, ("vectors", "recall@1", "MAP@R"), rows)
    labelled = f", label {result.label!r}" if result.label else ""
    print_line(f"{result.path}: {result.rows:,} rows x {result.dim}{labelled}, in {result.seconds:.0f} s")
