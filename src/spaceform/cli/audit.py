"""Audit a Space: separability with and without labels, retrieval, hubs, dimension, copies, confusions, capacity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.cli.search import cell

if TYPE_CHECKING:
    from spaceform.workflows.audit import AuditResult

SHOWN_ROWS = 8
"""Confusions and near-duplicates shown; the JSON output has all."""


def audit(
    space: Annotated[Path, typer.Argument(help="Folder of the Space.")],
    label: Annotated[str | None, typer.Option(help="Column with the classes (default: the Space's own).")] = None,
    sample: Annotated[int, typer.Option(help="Rows whose neighbours are searched.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 0,
    before: Annotated[
        Path | None, typer.Option(help="Earlier Space of the same rows: how far did vectors move?")
    ] = None,
    judgements: Annotated[
        Path | None, typer.Option(help="JSON lines (query-id, corpus-id): can single vectors return these at all?")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Space with the vectors of the judged queries, by id.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Look at a Space from all sides and say what stands out."""
    from spaceform.workflows.audit import audit as run

    with progress_bar() as progress:
        result = run(
            space,
            label=label,
            seed=seed,
            sample=sample,
            before=before,
            judgements=judgements,
            queries=queries,
            progress=progress,
        )
    if as_json:
        print_json(result.to_dict())
        return
    _print_figures(result)
    _print_pairs(result)
    for line in result.conclusions:
        _say(line)
    for name, reason in result.missing.items():
        _say(f"no {name}: {reason}")
    print_line()
    _say("What stands out:" if result.warnings else "Nothing stands out.")
    for line in result.warnings:
        _say(f"- {line}")


def _say(line: str) -> None:
    """Print a line whose names come from data: control characters as dots."""
    print_line("".join(character if character.isprintable() else "·" for character in line))


def _print_figures(result: AuditResult) -> None:
    rows: list[Sequence[object]]
    if result.columns:
        rows = [
            (cell(c.name), c.relation, c.n_classes, c.agreement, c.chance, c.corrected, c.beyond_label)
            for c in result.columns
        ]
        title = "Do nearest neighbours agree? (beyond chance: 0 none, 1 always)"
        names = ("column", "to the label", "values", "agreement", "chance", "beyond chance", "among other classes")
        print_table(title, names, rows)
    retrieval = [(f"{name} classes", figures) for name, figures in (result.retrieval or {}).items()]
    retrieval += [(f"floor: {name}", figures) for name, figures in result.floors.items()]
    if retrieval:
        ranks = list(dict.fromkeys(k for _, figures in retrieval for k in figures.recall_at))
        rows = [
            (name, f.n_classes, f.queries, *(f.recall_at.get(k) for k in ranks), f.map_at_r) for name, f in retrieval
        ]
        title = "Does a row find its class?"
        print_table(title, ("among", "classes", "queries", *(f"recall@{k}" for k in ranks), "MAP@R"), rows)


def _print_pairs(result: AuditResult) -> None:
    rows: list[Sequence[object]]
    if result.confusions:
        rows = [
            (*map(cell, one.classes), one.share, cell(" ~ ".join(one.examples[0].ids)))
            for one in result.confusions[:SHOWN_ROWS]
        ]
        print_table("Most confused classes", ("class", "class", "share of nearest", "such as"), rows)
    if result.capacity is not None:
        rows = [(one.d, one.accuracy, one.gap) for one in result.capacity.tried]
        print_table("Can single vectors return what is asked?", ("dimensions", "sets returned, optimised", "gap"), rows)
    if result.duplicates is not None and result.duplicates.pairs:
        rows = [(*map(cell, pair.ids), pair.distance) for pair in result.duplicates.pairs[:SHOWN_ROWS]]
        print_table("Near-duplicates", ("row", "row", "distance"), rows)
