"""Train a method or any loss on a Space or a folder of pictures, and report by how much it is better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaceform.checks import require
from spaceform.cli.console.options import read_settings, resumable
from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.types import Progress

if TYPE_CHECKING:
    from spaceform.workflows.train import TrainResult


def train(
    method: Annotated[str, typer.Argument(help="A paper, as `spaceform papers` lists them, or a loss: proxy-anchor.")],
    source: Annotated[Path, typer.Argument(help="Folder of the Space; for encoders also a folder of pictures.")],
    *,
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
        list[str] | None, typer.Option("-p", "--set", help="An option: -p margin=0.2 -p steps=1000. May be repeated.")
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(help="Network: conv:0.5, mlp, nn2, transformers:FOLDER, or package.module:function of yours."),
    ] = None,
    devices: Annotated[int | None, typer.Option(help="Processes that share every batch.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Looks at held-out rows, of 20 in all, without a better one that end training.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of pictures in pixels (48, or what the network wants).")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.html beside the Space of an encoder.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit a method, or an encoder by any loss, measure it on held-out classes, and write answers or a new Space."""
    from spaceform.workflows.train import train as run

    if report and out is not None:
        require("jinja2", "report")
        require("matplotlib", "report")
    with progress_bar() as progress, resumable(out):
        result = run(
            method,
            source,
            options=read_settings(settings or [], {"net": net, "devices": devices, "patience": patience}),
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
        page = _report(result, seed, progress) if report else None
    if as_json:
        print_json(result.to_dict() | {"report": page})
        return
    _print(result, page)


def _print(result: TrainResult, page: Path | None) -> None:
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
    if result.learned is not None:
        trained = f"trained on {result.learned.parts['train'][1]:,}"
    print_line(f"{result.path}: {result.rows:,} rows x {result.dim}, {trained}{columns}, in {result.seconds:.0f} s")
    if result.learned is not None and result.learned.sentence:
        print_line(result.learned.sentence)
    if page is not None:
        print_line(f"report: {page.resolve()}")


def _report(result: TrainResult, seed: int, progress: Progress) -> Path | None:
    if result.learned is None or result.path is None:
        return None
    from spaceform.report.train_page import write_training_report

    return write_training_report(result, result.path, seed=seed, progress=progress)
