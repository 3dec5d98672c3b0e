"""Texts made from what the repository knows: records, results, verbs, modules. Pure functions; nothing is written."""

from __future__ import annotations

import itertools
import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import spaceform
from spaceform import papers
from spaceform.cli.main import verbs
from spaceform.data import describe
from spaceform.papers import PURPOSES, UNVERIFIED, Paper
from spaceform.workflows.benching.searching.tables import reaches

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(spaceform.__file__).parent
SIGNS = {"reproduced": "✓", "weaker": "~", "not reproduced": "✗", "contradicted": "✗✗"}

Result = Mapping[str, Any]


def read_results(folder: Path = ROOT / "results") -> dict[str, Result]:
    """Return the results at laptop scale by slug, those only that were run for the record as it is."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("finished") and result["slug"] == path.stem:
            found[result["slug"]] = result
    return found


def claims_table(results: Mapping[str, Result]) -> str:
    """Return one row per paper that has a method: what its claim asks first, what came out, and all its verdicts."""
    rows = []
    for paper in built_papers():
        result = results.get(paper.slug)
        comparisons = paper.claim.comparisons
        first = comparisons[0].name if comparisons else "not fixed yet"
        outcome = by_name(result).get(first) if result else None
        figures = interval(outcome) if outcome else ""
        verdicts = [tally(result, "mechanism"), tally(result, "accuracy")] if result else ["not run", "not run"]
        rows.append([f"`{paper.slug}`", paper.method, first, figures, *verdicts])
    head = ["paper", "method", "first question of its claim", "difference (95% interval)", "mechanism", "accuracy"]
    counts = f"{len(rows)} of {len(papers.all_papers())} papers are built."
    return f"{counts}\n\n{table(head, rows)}" if rows else counts


def data_table() -> str:
    """Return the data sets and models that can be fetched, with their licences."""
    shown = [record for record in describe() if record.kind != "benchmark"]
    rows = [[f"`{one.name}`", one.what, f"{one.size / 1e6:,.0f} MB" if one.size else "", one.licence] for one in shown]
    return table(["name", "what", "to fetch", "licence"], rows)


def verbs_table() -> str:
    """Return the verbs of the command line with what they do."""
    return table(["verb", "what it does"], [[f"`spaceform {name}`", text] for name, text in verbs().items()])


def built_papers() -> list[Paper]:
    """Return the papers whose method exists, in the order of the purposes."""
    return [p for p in papers.all_papers() if (PACKAGE / "methods" / p.purpose / f"{p.module}.py").is_file()]


def paper_page(paper: Paper, result: Result | None) -> str:
    """Return the page of one paper."""
    facts = {"Needs": paper.needs, "Gives": paper.gives, "Costs": paper.cost}
    parts = [
        f"# {paper.method}",
        citation(paper),
        paper.idea,
        bullets(f"**{name}** {text}" for name, text in facts.items() if text),
        "## Where it fails",
        bullets(paper.limits),
        *_code_section(paper),
        *_claim_section(paper, result),
        "## Published figures",
        "As printed in the paper, on the paper's own data; scores of the claim above are on other data.",
        table(
            ["figure", "value", "unit", "where"],
            [
                [p.figure, p.value, p.unit, "not verified" if p.where == UNVERIFIED else p.where]
                for p in paper.published
            ],
        ),
    ]
    if paper.code.note:
        parts += ["## Official code", _official(paper)]
    return "\n\n".join(parts) + "\n"


def papers_index(results: Mapping[str, Result]) -> str:
    """Return the list of all papers by purpose, with links and standing."""
    parts = ["# The forty papers" if len(papers.all_papers()) == 40 else "# The papers", VERDICTS_EXPLAINED]
    built = {paper.slug for paper in built_papers()}
    for purpose in PURPOSES:
        rows = []
        for paper in papers.all_papers():
            if paper.purpose == purpose:
                result = results.get(paper.slug)
                kinds = ("mechanism", "accuracy")
                standing = "; ".join(f"{kind}: {tally(result, kind)}" for kind in kinds) if result else ""
                rows.append([f"[{paper.method}]({paper.slug}.md)", paper.gives, standing or _planned(paper, built)])
        if rows:
            parts += [f"## {purpose.replace('_', ' ').capitalize()}", table(["paper", "gives", "standing"], rows)]
    return "\n\n".join(parts) + "\n"


def api_pages(modules: Sequence[str]) -> dict[str, str]:
    """Return one page per public package, with a directive for each of its modules."""
    pages: dict[str, list[str]] = {}
    for name in modules:
        package = name.split(".")[1] if name.count(".") else ""
        pages.setdefault(package, []).append(name)
    return {
        package: f"# {package}\n\n" + "\n\n".join(f"::: {name}" for name in sorted(names)) + "\n"
        for package, names in pages.items()
        if package
    }


def benchmarks_page(text: str, path: Path = ROOT / "benchmarks" / "bench.json") -> str:
    """Return ``text`` with the tables of the last run of ``spaceform bench``, if its rows are there."""
    if not path.is_file():
        return text
    made = json.loads(path.read_text(encoding="utf-8"))
    parts = [text.rstrip(), "Machine: " + ", ".join(f"{key} {value}" for key, value in made["machine"].items()) + "."]
    parts += ["Versions: " + ", ".join(f"{name} {version}" for name, version in made["versions"].items()) + "."]
    for subject, rows in made["rows"].items():
        parts.append(f"## {subject.capitalize()}")
        pictures = sorted((ROOT / "docs" / "images").glob(f"{subject}-*.svg"))
        parts += [f"![{picture.stem}](images/{picture.name})" for picture in pictures]
        for _, alike in itertools.groupby(rows, key=lambda row: row.get("data") if "cells" not in row else "all"):
            some = list(alike)
            columns = list(dict.fromkeys(key for row in some for key in row))
            columns.sort(key=lambda column: not any(isinstance(row.get(column), str) for row in some))  # names first
            full = table(columns, [[_cell(row.get(key)) for key in columns] for row in some])
            parts += search_matrix(some, full) if "cell" in some[0] else [full]
    return "\n\n".join(parts) + "\n"


def search_matrix(rows: Sequence[Mapping[str, Any]], full: str) -> list[str]:
    """Return parts of a page on a data set: microseconds per method and cell, then the ``full`` table, folded.

    Bold is the fastest that reaches the recall, in brackets what does not; methods stand in the order of their means.
    """
    cells = list(dict.fromkeys(row["cell"] for row in rows if row["cell"]))
    taken: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        taken.setdefault(row["method"], {})[row["cell"]] = row
    times = {name: {c: 1e6 / row["qps"] for c, row in seen.items() if row.get("qps")} for name, seen in taken.items()}
    enough = {name: {c for c in times[name] if reaches(taken[name][c])} for name in taken}
    fastest = {c: min((times[name][c] for name in times if c in enough[name]), default=None) for c in cells}

    def shown(name: str, cell: str) -> str:
        if cell not in times[name]:
            return "–"
        text = f"{times[name][cell]:,.0f}"
        if cell not in enough[name]:
            return f"({text})"
        return f"**{text}**" if times[name][cell] == fastest[cell] else text

    def behind(name: str) -> tuple[int, float]:
        known = [math.log(times[name][c] / fastest[c]) for c in cells if c in enough[name]]
        return -min(1, 2 * len(known) // max(1, len(cells))), sum(known) / len(known) if known else math.inf

    head = f"### {rows[0]['data']}: microseconds of a query, one by one, on one thread"
    matrix = table(["method", *cells], [[name, *(shown(name, c) for c in cells)] for name in sorted(taken, key=behind)])
    folded = "\n".join(['??? note "All figures, and why a cell is empty"', "", textwrap.indent(full, "    ")])
    return [head, matrix, folded]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(escape(str(cell)).replace("|", "\\|") for cell in line) + " |" for line in lines)


def bullets(texts: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {escape(text)}" for text in texts)


def escape(text: str) -> str:
    """Return ``text`` with angle brackets shown as they are, not taken for HTML."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


def citation(paper: Paper) -> str:
    """Return who wrote it, where, with a link."""
    year = "" if str(paper.year) in paper.venue else f", {paper.year}"
    return f"{', '.join(paper.authors)}. [{paper.title}]({paper.link}). {paper.venue}{year}."


def by_name(result: Result) -> dict[str, Mapping[str, Any]]:
    """Return the comparisons of a result by name."""
    return {one["name"]: one for one in result["comparisons"]}


def interval(one: Mapping[str, Any]) -> str:
    """Return the difference of a comparison with its interval; positive is what the record calls better."""
    return f"{one['difference']:+.3g} ({one['low']:+.3g} to {one['high']:+.3g})"


def tally(result: Result, kind: str) -> str:
    """Return how many comparisons of a kind came out how, best first; ``-`` where none was asked."""
    found = [one["verdict"] for one in result["comparisons"] if one["kind"] == kind]
    return ", ".join(f"{found.count(word)} {word}" for word in SIGNS if word in found) or "-"


def verdict(result: Result | None, key: str) -> str:
    """Return a verdict with its sign, or nothing when the result has none of that kind."""
    word = (result or {}).get(key) or ""
    return f"{SIGNS[word]} {word}" if word else "-"


VERDICTS_EXPLAINED = """Every paper's claim is run against its baselines and against itself without its idea, on
several seeds. What counts was fixed beforehand in the paper's record: a difference, its direction and a margin. The
verdict follows from the paired differences over the seeds and their 95% interval: *reproduced*, *weaker* (right
direction, but not by the margin or not beyond chance), *not reproduced*, or *contradicted*. All four are results and
all are shown."""


def _cell(value: object) -> object:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value


def _planned(paper: Paper, built: set[str]) -> str:
    return "not run" if paper.slug in built else "planned"


def _code_section(paper: Paper) -> list[str]:
    if paper not in built_papers():
        return []
    module = f"spaceform.methods.{paper.purpose}.{paper.module}"
    lines = "\n".join(f"sf.{name}" for name in paper.classes)
    parts = [
        "## Code",
        f"```python\nimport spaceform as sf\n\n{lines}\n```",
        f"Module: [`{module}`](../api/methods.md).",
    ]
    if paper.layouts:
        parts += ["Reads the paper's own data layout at paper scale:", bullets(paper.layouts)]
    return parts


def _claim_section(paper: Paper, result: Result | None) -> list[str]:
    claim = paper.claim
    parts = [
        "## Claim",
        claim.statement,
        f"Data: {claim.data}; {len(claim.seeds)} seeds; budget {claim.budget_seconds:,} s.",
    ]
    outcomes = by_name(result) if result else {}
    rows = []
    for one in claim.comparisons:
        outcome = outcomes.get(one.name)
        asked = f"{one.test} by {one.margin:g} {one.metric}" if one.margin else f"{one.test}, {one.metric}"
        means = f"{outcome['method_mean']:.4g} / {outcome['baseline_mean']:.4g}" if outcome else ""
        standing = verdict(outcome, "verdict") if outcome else "not run"
        rows.append([one.name, one.kind, asked, means, interval(outcome) if outcome else "", standing])
    if rows:
        head = ["comparison", "kind", "asked", "method / baseline", "difference (95% interval)", "verdict"]
        parts.append(table(head, rows))
    if result:
        parts.append(f"`spaceform reproduce {paper.slug}` took {result['seconds']:,.0f} s over all arms and seeds.")
        if (ROOT / "results" / f"{paper.slug}.svg").is_file():
            parts.append(f"![every seed of every comparison](../results/{paper.slug}.svg)")
    if claim.notes:
        parts.append(claim.notes)
    return parts


def _official(paper: Paper) -> str:
    code = paper.code
    source = "" if code.repository == "none" else f"[{code.repository}]({code.repository}), licence: {code.licence}. "
    return source + code.note
