"""Train a method on a Space: predictions become columns, new vectors a new Space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.output import print_json, print_line, print_table
from spaceform.cli.progress import progress_bar
from spaceform.errors import InputError


def train(
    method: Annotated[str, typer.Argument(help="A paper, as `spaceform papers` lists them, or paper:Class.")],
    source: Annotated[Path, typer.Argument(help="Folder of the Space; for encoders also a folder of pictures.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write; without it columns go into the Space itself.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column with the classes.")] = None,
    hierarchy: Annotated[
        str | None, typer.Option(help="Columns that say what a class lies under, coarse to fine: category,subcategory.")
    ] = None,
    label_metric: Annotated[
        Path | None, typer.Option(help="Distances of labels: child,parent[,length] lines (.csv) or a matrix (.npy).")
    ] = None,
    next_classes: Annotated[int, typer.Option("--next", min=0, help="Suggest that many classes to label next.")] = 0,
    held_out: Annotated[float, typer.Option(help="Share of labelled rows and classes kept back to measure.")] = 0.2,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the method: --set temperature=fit. May be repeated.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of pictures in pixels.")] = 48,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit a method to the labelled rows of a Space, measure it on held-out ones, and write its answers."""
    from spaceform.workflows.train import train as run

    with progress_bar() as progress:
        result = run(
            method,
            source,
            options=dict(map(_setting, settings or [])),
            out=out,
            label=label,
            label_metric=label_metric,
            hierarchy=[name.strip() for name in hierarchy.split(",")] if hierarchy else [],
            next_classes=next_classes,
            held_out=held_out,
            size=size,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
        return
    if result.figures:
        names = list(dict.fromkeys(name for row in result.figures.values() for name in row))
        rows = [(title, *(row.get(name) for name in names)) for title, row in result.figures.items()]
        print_table("On held-out rows", ("", *names), rows)
    if result.next_classes:
        print_table("Label next", ("class", "labels then reachable"), result.next_classes)
    for note in result.notes:
        print_line(note)
    columns = f", columns {', '.join(result.columns)}" if result.columns else ""
    trained = f"trained on {result.labelled:,}" if result.labelled else "trained without labels"
    print_line(f"{result.path}: {result.rows:,} rows x {result.dim}, {trained}{columns}, in {result.seconds:.0f} s")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError("set", got=repr(text), expected="name=value")
    return name.strip(), value.strip()
