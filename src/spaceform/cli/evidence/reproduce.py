"""Run the claim of a paper: its idea against its baselines, judged by what the record fixed beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaceform.cli.console.output import print_json, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.errors import InputError, SpaceformError

if TYPE_CHECKING:
    from spaceform.claims.record import Record

COLUMNS = ("comparison", "kind", "method", "baseline", "difference", "95% interval", "margin", "verdict")


def reproduce(
    slug: Annotated[str | None, typer.Argument(help="A paper, as `spaceform papers` lists them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every claim; finished results are kept.")] = False,
    scale: Annotated[str, typer.Option(help="smoke (seconds), laptop (minutes) or paper (needs --root).")] = "laptop",
    seeds: Annotated[int | None, typer.Option(min=2, help="The first N seeds instead of the record's.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder with the paper's own benchmark layout.")] = None,
    results: Annotated[Path, typer.Option(help="Where results are written.")] = Path("results"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes, each on other seeds with one thread.")] = 1,
    fresh: Annotated[bool, typer.Option(help="Start again instead of going on with a killed run.")] = False,
    plot: Annotated[bool, typer.Option(help="Draw <slug>.svg beside the result (needs matplotlib).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON.")] = False,
) -> None:
    """Run the claim of one paper (or --all), write its result and print the verdict."""
    from spaceform.claims import record, runner

    if everything == (slug is not None):
        raise InputError("slug", got=slug or "nothing", expected="one paper, or --all and no paper")
    made: list[Record] = []
    failures: list[str] = []
    for one in runner.available() if everything else [str(slug)]:
        path = record.result_path(results, one, scale)
        if everything and not fresh and path.is_file() and not record.is_stale(kept := record.read(path)):
            made.append(kept)
            continue
        try:
            with progress_bar() as progress:
                made.append(
                    runner.reproduce(
                        one,
                        scale=scale,
                        seeds=list(range(seeds)) if seeds else None,
                        root=root,
                        results=results,
                        jobs=jobs,
                        fresh=fresh,
                        progress=progress,
                    )
                )
        except SpaceformError as error:
            if not everything:
                raise
            failures.append(f"{one}: {error}")
            continue
        if plot:
            _draw(made[-1], path.with_suffix(".svg"))
    if as_json:
        print_json([one.to_dict() for one in made])
    else:
        for finished in made:
            _print(finished)
    for failure in failures:
        typer.echo(failure, err=True)
    if failures:
        raise typer.Exit(1)


def _draw(made: Record, path: Path) -> None:
    from spaceform.report.claims import draw

    draw(made, path)


def _print(made: Record) -> None:
    rows = [
        (
            one["name"],
            one["kind"],
            f"{one['method']} {one['method_mean']:.4g}",
            f"{one['baseline']} {one['baseline_mean']:.4g}",
            f"{one['difference']:+.4g}",
            f"{one['low']:+.4g} to {one['high']:+.4g}",
            f"{one['margin']:g}",
            one["verdict"],
        )
        for one in made.comparisons
    ]
    title = f"{made.slug} ({made.scale}, {len(made.seeds)} seeds, {made.seconds:.0f} s): {made.verdict}"
    print_table(title, COLUMNS, rows)
