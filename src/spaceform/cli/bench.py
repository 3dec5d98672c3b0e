"""Measure speed against the peers, in one run on this machine, as ratios."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from spaceform.cli.output import print_json, print_table
from spaceform.cli.progress import progress_bar
from spaceform.errors import InputError


def bench(
    subject: Annotated[str | None, typer.Argument(help="What to measure; without it, everything.")] = None,
    quick: Annotated[bool, typer.Option(help="Small sizes only.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the rows to this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Time ours and the peers in one process and one thread each; peers that are not installed are left out."""
    known = subjects()
    if subject is not None and subject not in known:
        raise InputError("subject", got=repr(subject), expected="one of " + ", ".join(map(repr, known)))
    made: dict[str, list[dict[str, Any]]] = {}
    for name in known if subject is None else [subject]:
        with progress_bar() as progress:
            module = importlib.import_module(f"spaceform.workflows.bench_{name}")
            made[name] = module.run(quick=quick, progress=progress)
    if out is not None:
        from spaceform.claims.record import machine, versions, write_json

        write_json(out, {"rows": made, "versions": versions(), "machine": machine()})
    if as_json:
        print_json(made)
        return
    for name, rows in made.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        print_table(name, columns, [_cells(row, columns) for row in rows])


def subjects() -> list[str]:
    """Return what can be measured: the workflows named ``bench_<subject>``."""
    folder = Path(importlib.import_module("spaceform.workflows").__path__[0])
    return sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))


def _cells(row: dict[str, Any], columns: Sequence[str]) -> list[Any]:
    return [row.get(column) for column in columns]
