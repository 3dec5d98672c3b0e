"""List the forty papers with what they give and their verdicts; search them, or show one in full."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from spaceform.cli.console.output import WIDE, is_terminal, print_json, print_line, print_table, print_warning
from spaceform.errors import InputError
from spaceform.papers import PURPOSES, Paper, Published, Status, all_papers, read_outcome, status

ROOM_FOR_ALL, ROOM_FOR_A_TABLE = 110, 64
"""Columns of a terminal from which on all columns, or any table, can be read."""

INDENT = "  "


def papers(
    query: Annotated[list[str] | None, typer.Argument(help="Words to search for, or one slug to show in full.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Only this purpose, such as class_discovery.")] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Filter, such as: purpose = 'text' and year >= 2020.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="Papers to find at most.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Search by meaning, too: minilm, or the folder of an encoder of texts.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of results (default: ./results).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON.")] = False,
) -> None:
    """List the papers, search them by what they are about and by filters, or show the one whose slug is given."""
    if results is not None and not results.is_dir():
        raise InputError("results", got=str(results), expected="a folder of results")
    folder = results if results is not None else Path("results")
    wanted = _check_purpose(purpose)
    words = " ".join(query or [])
    exact = {paper.slug: paper for paper in all_papers()}.get(words.strip().lower().replace("_", "-"))
    if exact is not None:
        standing, summary = _standing(exact, folder)
        print_json(_record(exact, standing)) if as_json else _show(exact, summary, folder)
        return
    ranked = _ranked(words, where=where, k=k, encoder=encoder, results=folder)
    found = [(paper, score) for paper, score in ranked if wanted in {None, paper.purpose}][:k]
    if as_json:
        print_json([_record(paper, _standing(paper, folder)[0], score) for paper, score in found])
    elif not found:
        asked = repr(words) if words.strip() else f"the filter {where!r}"
        print_line(f"no paper matches {asked}; `spaceform papers` lists all")
    else:
        rows = [(paper, _standing(paper, folder)[1]) for paper, _ in found]
        some = words or wanted or where
        _list(f"{len(found)} of {len(all_papers())} papers" if some else f"{len(found)} papers", rows)


def _ranked(
    words: str, *, where: str | None, k: int | None, encoder: str | None, results: Path
) -> list[tuple[Paper, float | None]]:
    """Return the papers that answer the words and pass the filter, best first; without words, all in order."""
    if k is not None and k < 1:
        raise InputError("k", got=k, expected="an integer >= 1")
    if not words.strip():
        if encoder is not None:
            raise InputError("encoder", got=repr(encoder), expected="a query beside it")
        if where is None:
            return [(paper, None) for paper in all_papers()]
        from spaceform.workflows.paper_search import filtered_papers

        return [(paper, None) for paper in filtered_papers(where, results=results)]
    from spaceform.workflows.paper_search import find_papers

    found = find_papers(words, where=where, k=len(all_papers()), encoder=encoder, results=results)
    return [(one.paper, one.score) for one in found]


def _check_purpose(purpose: str | None) -> str | None:
    if purpose is None:
        return None
    name = purpose.strip().lower().replace("-", "_")
    if name not in PURPOSES:
        raise InputError("purpose", got=repr(purpose), expected="one of " + ", ".join(PURPOSES))
    return name


def _standing(paper: Paper, folder: Path) -> tuple[Status, str]:
    """Return the status and its words; a result that can't be read is named and left out."""
    try:
        found = status(paper.slug, results_dir=folder)
    except InputError as error:
        print_warning(str(error))
        return status(paper.slug), "result unreadable"
    return found, found.summary


def _record(paper: Paper, standing: Status, score: float | None = None) -> dict[str, Any]:
    """Return the record as plain values for JSON."""
    extra: dict[str, Any] = {"link": paper.link, "claim_hash": paper.claim.digest(), "status": asdict(standing)}
    return asdict(paper) | extra | ({} if score is None else {"score": round(score, 4)})


def _list(title: str, rows: Sequence[tuple[Paper, str]]) -> None:
    width = _width()
    if width >= ROOM_FOR_ALL:
        cells = [(p.slug, p.method, str(p.year), p.purpose, p.gives, summary) for p, summary in rows]
        print_table(title, ("slug", "method", "year", "purpose", "gives", "status"), cells)
    elif width >= ROOM_FOR_A_TABLE:
        print_table(title, ("slug", "method", "year", "status"), [(p.slug, p.method, str(p.year), s) for p, s in rows])
    else:
        print_line(title)
        for paper, summary in rows:
            print_line(f"{paper.slug}: {summary}")
    if is_terminal(sys.stdout):
        print_line("`spaceform papers SLUG` shows one in full")


def _show(paper: Paper, summary: str, folder: Path) -> None:
    authors = ", ".join(paper.authors)
    _say("", paper.title)
    _say("", f"{authors}. {paper.venue}" + ("." if str(paper.year) in paper.venue else f", {paper.year}."))
    _say("", paper.link)
    print_line()
    facts = {
        "slug": paper.slug,
        "method": paper.method,
        "purpose": paper.purpose,
        "status": summary,
        "idea": paper.idea,
        "needs": paper.needs,
        "gives": paper.gives,
        "cost": paper.cost,
        "classes": ", ".join(paper.classes),
        "keywords": ", ".join(paper.keywords),
        "code": "" if paper.code.repository == "none" else f"{paper.code.repository} (licence: {paper.code.licence})",
        "on the code": paper.code.note,
    }
    for name, text in facts.items():
        if text:
            _say(f"{name}: ", text)
    for name, texts in (("limits", paper.limits), ("layouts", paper.layouts)):
        if texts:
            print_line(f"{name}:")
            for text in texts:
                _say(f"{INDENT}- ", text)
    _show_published(paper)
    _show_claim(paper, folder)


def _show_published(paper: Paper) -> None:
    print_line()
    if _width() >= ROOM_FOR_ALL:
        rows = [(figure.figure, figure.value, _unit(figure), figure.where) for figure in paper.published]
        print_table("published", ("figure", "value", "unit", "where"), rows)
        return
    print_line("published:")
    for figure in paper.published:
        value = f"{figure.value} {_unit(figure)}".strip()
        _say(f"{INDENT}- ", f"{figure.figure}: {value} ({figure.where})")


def _unit(figure: Published) -> str:
    return "" if figure.unit == "qualitative" else figure.unit


def _show_claim(paper: Paper, folder: Path) -> None:
    claim = paper.claim
    print_line()
    _say("claim: ", claim.statement)
    _say("data: ", f"{claim.data}; seeds {', '.join(map(str, claim.seeds))}; {claim.budget_seconds:,} s")
    try:
        outcome = read_outcome(paper.slug, folder)
    except InputError:
        outcome = None  # the warning about it stands above, from the status
    verdicts = {row["name"]: row.get("verdict") for row in outcome.comparisons} if outcome else {}
    for one in claim.comparisons:
        verdict = verdicts.get(one.name) or "not run"
        _say(f"{INDENT}- ", f"{one.name} ({one.kind}, {one.test}, margin {one.margin:g} {one.metric}): {verdict}")
    if claim.notes:
        _say("notes: ", claim.notes)


def _say(label: str, text: str) -> None:
    """Print a labelled text; on a terminal its further lines are indented."""
    hanging = " " * len(label) if label.endswith("- ") else INDENT if label else ""
    for line in textwrap.wrap(text, max(_width() - 1, 24), initial_indent=label, subsequent_indent=hanging) or [label]:
        print_line(line)


def _width() -> int:
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else WIDE
