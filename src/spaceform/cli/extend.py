"""Add classes to a Space with a learner that keeps no old row, and measure what it forgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceform.cli.console.options import read_settings
from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar


def extend(
    space: Annotated[Path, typer.Argument(help="Folder of the Space, with labels; it is extended.")],
    new_items: Annotated[Path, typer.Argument(help="A Space, vectors, or class folders of pictures: new classes.")],
    *,
    method: Annotated[str, typer.Option(help="napa-vq or prd; of the first call.")] = "napa-vq",
    settings: Annotated[
        list[str] | None, typer.Option("-p", "--set", help="An option of the method: -p embedding_dim=128.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column with the classes of the new items.")] = None,
    held_out: Annotated[float, typer.Option(help="Share of each class that only judges.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Learn the new classes without the old rows, append the new rows, and say what was forgotten."""
    from spaceform.workflows.extending.extend import extend as run

    with progress_bar() as progress:
        result = run(
            space,
            new_items,
            method=method,
            options=read_settings(settings or [], {}),
            label=label,
            held_out=held_out,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
        return
    rows: list[tuple[str, float | None, float]] = [
        (f"task {task}", before, after)
        for task, (before, after) in enumerate(zip(result.before, result.after, strict=True))
    ]
    rows.append((f"task {result.task}, new", None, result.new_accuracy))
    print_table("Accuracy on held-out rows, among all classes known", ("classes of", "before", "after"), rows)
    forgotten, shown = result.figures["forgetting"], ", ".join(result.classes[:8])
    print_line(f"{result.path}: {len(result.classes)} new classes ({shown}), {result.rows:,} rows appended")
    print_line(
        f"forgotten so far: {100 * forgotten:.1f} points of accuracy on earlier tasks; the stream is in stream.jsonl"
    )
