"""Teach a small network what a large space knows, and report how it does beside teacher and labels alone."""

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
    from spaceform.workflows.distill import DistillResult


def distill(
    teacher: Annotated[Path, typer.Argument(help="Folder of a Space with classes, or of a saved encoder.")],
    student: Annotated[
        Path, typer.Argument(help="Folder to write: a Space with the student's vectors and the student.")
    ],
    *,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="What the student sees: a Space with the same ids, or pictures; else the teacher's pictures."
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="lelp, kd, dkd or embedding.")] = "lelp",
    label: Annotated[str | None, typer.Option(help="Column with the classes.")] = None,
    held_out: Annotated[float, typer.Option(help="Share of each class kept back to measure.")] = 0.2,
    settings: Annotated[
        list[str] | None, typer.Option("-p", "--set", help="An option: -p steps=2000 -p beta=1. May be repeated.")
    ] = None,
    net: Annotated[
        str | None, typer.Option(help="Network of the student: conv:0.5, mlp, or package.module:function of yours.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of pictures in pixels (48).")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html into the folder.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Distil a teacher into a small network, measure both on held-out rows, and write the student as a new Space."""
    from spaceform.workflows.distill import distill as run

    if report:
        require("jinja2", "report")
        require("matplotlib", "report")
    with progress_bar() as progress, resumable(student):
        result = run(
            teacher,
            student,
            inputs=inputs,
            method=method,
            options=read_settings(settings or [], {"net": net}),
            label=label,
            held_out=held_out,
            size=size,
            seed=seed,
            progress=progress,
        )
        page = _report(result, student, seed, progress) if report else None
    if as_json:
        print_json(result.to_dict() | {"report": page})
        return
    _print(result, page)


def _print(result: DistillResult, page: Path | None) -> None:
    if result.figures:
        rows = [(name, row["accuracy"], row["low"], row["high"]) for name, row in result.figures.items()]
        print_table(f"On {result.parts['test']:,} held-out rows", ("", "accuracy", "95% from", "to"), rows)
    for note in result.notes:
        print_line(note)
    taught = f"taught on {result.parts['train']:,} by {result.method}"
    print_line(f"{result.path}: {result.rows:,} rows x {result.dim}, {taught}, in {result.seconds:.0f} s")
    if result.sentence:
        print_line(result.sentence)
    if page is not None:
        print_line(f"report: {page.resolve()}")


def _report(result: DistillResult, folder: Path, seed: int, progress: Progress) -> Path:
    from spaceform.report.distill_page import write_distill_report

    return write_distill_report(result, folder, seed=seed, progress=progress)
