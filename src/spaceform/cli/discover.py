"""Find the classes among unlabelled rows: how many there are, what each is, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar

COLUMNS = ("class", "name", "rows", "confidence", "stability", "other seeds")


def discover(
    space: Annotated[Path, typer.Argument(help="Folder of a Space.")],
    method: Annotated[
        str,
        typer.Option(
            help="auto (chosen by hiding known classes), a paper on class discovery, ncd-kmeans or ncd-spectral."
        ),
    ] = "auto",
    label: Annotated[str | None, typer.Option(help="Column with the known classes.")] = None,
    hide: Annotated[
        str,
        typer.Option(help="Share of the known classes to hide, to score the result; or their names."),
    ] = "0",
    known: Annotated[
        str | None, typer.Option(help="Filter of the rows whose labels count; others are only scored: 'seen = true'.")
    ] = None,
    n_novel: Annotated[int | None, typer.Option(help="Number of novel classes, if it is known.")] = None,
    k_max: Annotated[int, typer.Option(help="Most novel classes to consider.")] = 30,
    tune: Annotated[bool, typer.Option(help="Tune by hiding known classes.")] = True,
    repeats: Annotated[int, typer.Option(help="Other seeds that say how sure it is; 0 to save their time.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    write: Annotated[bool, typer.Option(help="Write the classes back to the Space.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Discover novel classes and write number, name and confidence of each row back to the Space."""
    from spaceform.workflows.discover import COLUMNS as WRITTEN
    from spaceform.workflows.discover import discover as run

    with progress_bar() as progress:
        result = run(
            space,
            method=method,
            label=label,
            hide=_share_or_names(hide),
            known=known,
            n_novel=n_novel,
            k_max=k_max,
            tune=tune,
            repeats=repeats,
            seed=seed,
            progress=progress,
        )
        if write and result.space is not None:
            result.space.save(space)
    if as_json:
        print_json(result.to_dict())
        return
    known = f"{result.known_classes} known classes on {result.labelled:,} rows"
    title = f"{result.n_novel} novel classes in {result.unlabelled:,} unlabelled rows ({result.method}; {known})"
    rows = [(one.number, one.name, one.size, one.confidence, one.stability, one.repeated) for one in result.classes]
    print_table(title, COLUMNS, rows)
    if result.scores:
        scored = [(name, row["accuracy"], row["nmi"]) for name, row in result.scores.items()]
        hidden = f"Against the {len(result.hidden)} hidden classes"
        print_table(hidden, ("clusters", "accuracy", "NMI"), scored)
    for line in result.conclusions:
        print_line(line)
    for note in result.notes:
        print_line(f"note: {note}")
    if write:
        print_line(f"{space}: columns {', '.join(WRITTEN)} written, in {result.seconds:.0f} s")


def _share_or_names(text: str) -> float | list[str]:
    try:
        return float(text)
    except ValueError:
        return [name.strip() for name in text.split(",") if name.strip()]
