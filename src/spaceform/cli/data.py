"""List the data sets and models with licence and size, show one, or fetch it into the cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from spaceform.cli.console.output import print_json, print_line, print_table
from spaceform.cli.console.progress import progress_bar
from spaceform.errors import DataUnavailableError, InputError

if TYPE_CHECKING:
    from spaceform.data import Record


def data(
    name: Annotated[str | None, typer.Argument(help="One set or model, to show in full.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch it (without a name: all) into the cache.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON.")] = False,
) -> None:
    """List the sets, models and benchmarks; a name shows one; --fetch makes it ready to be used offline."""
    from spaceform import data as sets
    from spaceform.data.fetching.cache import cache_root

    names = [record.name for record in sets.describe()]
    if name is not None and name not in names:
        raise InputError("name", got=repr(name), expected="one of " + ", ".join(names))
    chosen = [record for record in sets.describe() if name in {None, record.name}]
    if fetch:
        _fetch([record.name for record in chosen if name is not None or record.kind != "benchmark"])
        chosen = [record for record in sets.describe() if name in {None, record.name}]
    if as_json:
        print_json([asdict(record) for record in chosen] if name is None else asdict(chosen[0]))
    elif name is None:
        rows = [
            (record.name, record.rows, record.size / 1e6 or None, _standing(record), record.licence, record.what)
            for record in chosen
        ]
        print_table("", ("name", "rows", "MB", "there", "licence", "what"), rows)
        print_line(f"cache: {cache_root()}")
    else:
        _show(chosen[0])


def _fetch(names: list[str]) -> None:
    """Fetch each; one that can't be had does not keep the others from coming, and is said at the end."""
    from spaceform import data as sets

    failures = []
    with progress_bar() as progress:
        for name in names:
            try:
                sets.fetch(name, progress=progress)
            except DataUnavailableError as error:
                failures.append(str(error))
    if failures:
        raise DataUnavailableError("; ".join(failures))


def _standing(record: Record) -> str:
    return "yours" if record.kind == "benchmark" else "yes" if record.fetched else "no"


def _show(record: Record) -> None:
    use = {
        "set": f'spaceform.data.load("{record.name}")',
        "model": f'spaceform.data.models.folder("{record.name}")',
        "benchmark": f'spaceform.data.load("{record.name}", root="folder")',
    }[record.kind]
    there = {
        "yours": "in a folder of yours",
        "yes": "in the cache" if record.packages else "nothing to fetch",
        "no": f"not yet: spaceform data {record.name} --fetch",
    }[_standing(record)]
    facts = {
        "what": record.what,
        "rows": None if record.rows is None else f"{record.rows:,}",
        "packages": ", ".join(record.packages),
        "size": f"{record.size / 1e6:.1f} MB to fetch" if record.size else None,
        "there": there,
        "licence": record.licence,
        "terms": "; ".join(record.terms) if record.packages else None,
        "Python": use,
    }
    print_line(record.name)
    for title, value in facts.items():
        if value:
            print_line(f"  {title + ':':<10}{value}")
