"""Measure speed against the peers, in one run on this machine, as ratios."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from spaceform.cli.console.output import print_json, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.errors import InputError


def bench(
    subject: Annotated[str | None, typer.Argument(help="What to measure; without it, everything.")] = None,
    quick: Annotated[bool, typer.Option(help="Small sizes only.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the rows to this JSON file; its rows on other subjects and data stay."),
    ] = None,
    data: Annotated[list[str] | None, typer.Option(help="search: a data set; may be repeated.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="search: a method; may be repeated.")] = None,
    threads: Annotated[list[int] | None, typer.Option(help="search: threads of the batches; may be repeated.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="search: how often queries and filters are drawn; 3, or 1 if quick.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="search: measure anew what an earlier run has kept.")] = False,
    plots: Annotated[
        Path | None, typer.Option(help="search: folder for recall against speed, a picture per data set.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Time ours and the peers in one process and one thread each; peers that are not installed are left out."""
    known = subjects()
    if subject is not None and subject not in known:
        raise InputError("subject", got=repr(subject), expected="one of " + ", ".join(map(repr, known)))
    wanted = known if subject is None else [subject]
    chosen = {"data": data, "methods": methods, "threads": threads, "seeds": seeds, "fresh": fresh}
    kept = {} if out is None or subject is None else _kept(out, wanted)
    made: dict[str, list[dict[str, Any]]] = {}
    for name in wanted:
        with progress_bar() as progress:
            module = importlib.import_module(f"spaceform.workflows.benches.{name}")
            made[name] = module.run(quick=quick, progress=progress, **_fitting(module.run, name, chosen))
    if out is not None:
        from spaceform.claims.record import write_json

        write_json(
            out, {"rows": kept | {name: _joined(kept.get(name, []), rows) for name, rows in made.items()}, **_about()}
        )
    if plots is not None:
        _draw(plots, {"quick": quick} | {name: value for name, value in chosen.items() if value and name != "fresh"})
    if as_json:
        print_json(made)
        return
    for name, rows in made.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        print_table(name, columns, [_cells(row, columns) for row in rows])


def _draw(folder: Path, chosen: dict[str, Any]) -> None:
    from spaceform.report.search_curves import draw_search_curves
    from spaceform.workflows.benches.search import curves, references
    from spaceform.workflows.benching.searching.measuring import RECALL
    from spaceform.workflows.benching.searching.running import OURS

    for data, cells in curves(**chosen).items():
        name = data.partition(":")[0]
        path = folder / f"search-{name}.svg"
        draw_search_curves(cells, ours=OURS, references=references(), aim=RECALL, paths=[path])


def _fitting(run: Callable[..., Any], subject: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given; raises ``InputError`` for one that a subject does not have."""
    given = {name: value for name, value in chosen.items() if value}
    for name in given:
        if name not in inspect.signature(run).parameters:
            raise InputError(name, got=f"an option of {subject!r}", expected="a subject that has it, such as 'search'")
    return given


def _about() -> dict[str, Any]:
    from spaceform.claims.record import machine, versions

    return {"versions": versions(), "machine": machine()}


def _kept(out: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the rows that a file holds on other subjects, and on data that a subject may be measured on.

    Figures of another machine or versions may not join them.
    """
    if not out.exists():
        return {}
    try:
        found = json.loads(out.read_text(encoding="utf-8"))
        rows = {
            name: [row for row in some if name not in wanted or "data" in row] for name, some in found["rows"].items()
        }
        rows = {name: some for name, some in rows.items() if some}
        same = all(found[name] == value for name, value in _about().items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("out", got=str(out), expected="a file that spaceform bench wrote, or none") from error
    if rows and not same:
        raise InputError(
            "out",
            got=f"{out} of another machine or other versions",
            expected="one of this machine and these versions",
            remedy="name no subject, so that all is measured anew",
        )
    return rows


def _joined(before: list[dict[str, Any]], made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows on data that was not measured now, and the new ones."""
    again = {row.get("data") for row in made}
    return [*(row for row in before if row["data"] not in again), *made]


def subjects() -> list[str]:
    """Return what can be measured: the workflows named ``benches.<subject>``."""
    folder = Path(importlib.import_module("spaceform.workflows.benches").__path__[0])
    return sorted(path.stem for path in folder.glob("[a-z]*.py"))


def _cells(row: dict[str, Any], columns: Sequence[str]) -> list[Any]:
    return [row.get(column) for column in columns]
