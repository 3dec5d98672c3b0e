"""Write the report of a Space: one HTML file with an interactive map, tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_json, print_line
from spaceform.cli.console.progress import progress_bar


def report(
    space: Annotated[Path, typer.Argument(help="Folder of a Space.")],
    label: Annotated[str | None, typer.Option(help="Column with the classes to audit.")] = None,
    colour: Annotated[str | None, typer.Option(help="Column that colours the map first.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the map and of samples.")] = 0,
    judgements: Annotated[
        Path | None, typer.Option(help="JSON lines (query-id, corpus-id): can single vectors return these at all?")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Space with the vectors of the judged queries, by id.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the path as JSON.")] = False,
) -> None:
    """Audit the Space, draw its map and write everything into report/index.html inside its folder."""
    from spaceform.report.space_page import write_space_report

    with progress_bar() as progress:
        made = write_space_report(
            space, label=label, colour=colour, seed=seed, judgements=judgements, queries=queries, progress=progress
        )
    if as_json:
        print_json(made)
    else:
        print_line(made.lead)
        print_line(f"report: {made.path.resolve()}")
