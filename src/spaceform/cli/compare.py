"""Compare two Spaces of the same rows: an isometry apart? which rows moved? can one's head read the other?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaceform.checks import require
from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.cli.search import cell

if TYPE_CHECKING:
    from spaceform.workflows.comparing.result import CompareResult

SHOWN_ROWS = 8
"""Rows shown; the JSON output has more."""


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a Space.")],
    b: Annotated[Path, typer.Argument(help="Folder of another Space of the same rows.")],
    key: Annotated[
        str | None, typer.Option(help="Column that pairs the rows (default: ids); concept=id where names differ.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column with classes, in either (default: their own).")] = None,
    sample: Annotated[int, typer.Option(help="Items compared, drawn if there are more.")] = 10_000,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with both maps to this file.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say in words whether two Spaces are the same, and show figures beside what chance would give."""
    from spaceform.workflows.compare import compare as run

    if report is not None:
        require("jinja2", "report")
        require("matplotlib", "report")
    with progress_bar() as progress:
        result = run(a, b, key=key, label=label, sample=sample, seed=seed, progress=progress)
        page = None
        if report is not None:
            from spaceform.report.compare_page import write_compare_report

            page = write_compare_report(result, report, seed=seed, progress=progress)
    if as_json:
        print_json(result.to_dict() | {"report": page})
        return
    _print(result)
    if page is not None:
        print_line(f"report: {page.resolve()}")


def _print(result: CompareResult) -> None:
    figures = result.figures
    rows: list[Sequence[object]] = [
        ("A and B", figures.rigid, figures.linear, figures.share, figures.neighbours),
        *((name, one.rigid, None, one.share_low, one.neighbours) for name, one in result.controls.items()),
    ]
    title = f"A: {result.a.name}, B: {result.b.name}; explained on held-out rows, {result.compared:,} items"
    print_table(title, ("pairs", "rotation", "any linear map", "share", "neighbours shared"), rows)
    if result.readings:
        rows = [(one.head, one.own, one.rigid, one.linear, one.relative, one.absolute) for one in result.readings]
        columns = ("head of", "at home", "after a rotation", "after a linear map", "relative", "as it is")
        print_table(f"Does the head of one read the other? ({result.labelled_by})", columns, rows)
    names = result.pairs.keys
    rows = [
        (
            cell(row.key),
            row.distance,
            row.overlap,
            row.moved,
            *(cell(", ".join(map(str, names[list(near[:2])]))) for near in (row.near_a, row.near_b)),
        )
        for row in result.rows[:SHOWN_ROWS]
    ]
    columns = ("row", "distance", "neighbours shared", "moved", "nearest in A", "nearest in B")
    print_table("Farthest from where the others put them", columns, rows)
    for line in (*result.conclusions, *result.notes):
        print_line("".join(character if character.isprintable() else "·" for character in line))
    for name, reason in result.missing.items():
        print_line(f"no {name}: {reason}")
