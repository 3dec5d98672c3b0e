"""From the TOML of a record to a ``Paper``.

Every refusal names the record and the key, so that a mistake in a record is found where it was made.
"""

from __future__ import annotations

import re
import tomllib

from spaceform.errors import InputError
from spaceform.papers.records import (
    DIRECTIONS,
    KINDS,
    MIN_SEEDS,
    PURPOSES,
    ROLES,
    TESTS,
    UNVERIFIED,
    ClaimSpec,
    Code,
    Comparison,
    Paper,
    Published,
)
from spaceform.papers.toml_table import Table

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ARXIV = re.compile(r"\d{4}\.\d{4,5}")


def parse_record(text: str, source: str) -> Paper:
    """Return the paper of one TOML record.

    Parameters
    ----------
    text : the TOML document.
    source : the name of the record, used in messages; a name ``<slug>.toml`` must agree with the slug inside.

    Raises
    ------
    InputError : the document is not TOML, has an unknown or missing key, a value of another type, a purpose,
        kind, test, direction or role outside the vocabulary, a published figure without ``where``, no identifier
        (``arxiv`` or ``doi``), fewer than three distinct seeds, or two comparisons of one name.
    """
    try:
        record = Table(tomllib.loads(text), source)
    except tomllib.TOMLDecodeError as error:
        raise InputError(source, got=str(error), expected="a TOML document") from error
    paper = Paper(
        slug=record.text("slug"),
        title=record.text("title"),
        method=record.text("method"),
        authors=record.texts("authors", single=True),
        year=record.integer("year", low=1950),
        venue=record.text("venue"),
        arxiv=record.text("arxiv", default=""),
        doi=record.text("doi", default=""),
        purpose=record.choice("purpose", tuple(PURPOSES)),
        idea=record.text("idea"),
        needs=record.text("needs"),
        gives=record.text("gives"),
        keywords=record.texts("keywords"),
        cost=record.text("cost", default=""),
        limits=record.texts("limits"),
        layouts=record.texts("layouts", default=()),
        classes=record.texts("classes"),
        code=_read_code(record.table("code")),
        published=tuple(_read_published(row) for row in record.tables("published")),
        claim=_read_claim(record.table("claim")),
    )
    record.finish()
    _check_identity(paper, source)
    return paper


def _check_identity(paper: Paper, source: str) -> None:
    if not _SLUG.fullmatch(paper.slug) or (source.endswith(".toml") and source != f"{paper.slug}.toml"):
        expected = "the name of its file, lower-case words joined by hyphens"
        raise InputError(f"{source}: slug", got=repr(paper.slug), expected=expected)
    if not paper.arxiv and not paper.doi:
        raise InputError(source, got="neither arxiv nor doi", expected="at least one of them")
    if paper.arxiv and not _ARXIV.fullmatch(paper.arxiv):
        raise InputError(f"{source}: arxiv", got=repr(paper.arxiv), expected="a number such as '1503.03832'")
    for name in paper.classes:
        if not name.isidentifier():
            raise InputError(f"{source}: classes", got=repr(name), expected="names of Python classes")


def _read_code(table: Table) -> Code:
    code = Code(table.text("repository"), table.text("licence"), table.text("note", default=""))
    table.finish()
    if code.repository != "none" and not code.repository.startswith("https://"):
        raise InputError(f"{table.place}.repository", got=repr(code.repository), expected="an https address or 'none'")
    return code


def _read_published(table: Table) -> Published:
    figure = Published(
        figure=table.text("figure"),
        value=table.text("value"),
        unit=table.text("unit"),
        where=table.text("where", hint=f"its table, figure or section, or exactly '{UNVERIFIED}'"),
    )
    table.finish()
    return figure


def _read_comparison(table: Table) -> Comparison:
    comparison = Comparison(
        name=table.text("name"),
        kind=table.choice("kind", KINDS),
        test=table.choice("test", TESTS),
        metric=table.text("metric"),
        direction=table.choice("direction", DIRECTIONS),
        method=table.text("method"),
        baseline=table.text("baseline"),
        margin=table.number("margin"),
        role=table.choice("role", ROLES),
        baseline_metric=table.text("baseline_metric", default="") or None,
    )
    table.finish()
    if comparison.method == comparison.baseline and comparison.baseline_metric in {None, comparison.metric}:
        expected = "another arm or a baseline_metric"
        raise InputError(f"{table.place}.baseline", got="the arm and metric of the method", expected=expected)
    return comparison


def _read_claim(table: Table) -> ClaimSpec:
    claim = ClaimSpec(
        statement=table.text("statement"),
        data=table.text("data"),
        seeds=table.integers("seeds"),
        budget_seconds=table.integer("budget_seconds", low=1),
        comparisons=tuple(_read_comparison(row) for row in table.tables("comparisons", default=())),
        notes=table.text("notes", default=""),
    )
    table.finish()
    if len(set(claim.seeds)) != len(claim.seeds) or len(claim.seeds) < MIN_SEEDS:
        expected = f"at least {MIN_SEEDS} distinct seeds"
        raise InputError(f"{table.place}.seeds", got=list(claim.seeds), expected=expected)
    names = [comparison.name for comparison in claim.comparisons]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{table.place}.comparisons", got=f"the name {name!r} twice", expected="one name per comparison"
            )
    return claim
