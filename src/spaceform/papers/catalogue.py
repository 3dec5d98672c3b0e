"""The records that ship with the package: one by slug, or all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from spaceform.errors import InputError
from spaceform.papers.parsing import parse_record
from spaceform.papers.records import PURPOSES, Paper


def load(slug: str) -> Paper:
    """Return the record of one paper; hyphens and underscores are the same, and so are capitals.

    Raises ``InputError`` for an unknown slug, naming the nearest ones.

    >>> load("tabular_ncd").slug
    'tabular-ncd'
    """
    name = slug.strip().lower().replace("_", "-") if isinstance(slug, str) else ""
    if name not in _shelf():
        near = difflib.get_close_matches(name, _shelf(), n=3)
        near += [other for other in _shelf() if name and name in other and other not in near]
        hint = f"did you mean {' or '.join(map(repr, near[:3]))}?" if near else "`spaceform papers` lists all"
        raise InputError("slug", got=repr(slug), expected="the slug of a paper", remedy=hint)
    return _load_shipped(name)


def all_papers() -> tuple[Paper, ...]:
    """Return every record, ordered by purpose and then by slug. Each file is read once."""
    return _load_all()


def claim_hash(slug: str) -> str:
    """Return the digest of what the claim of a paper fixes before a run; every result carries the one it was run for.

    It changes if and only if the claim changes; its ``notes``, line breaks and the order of keys do not count.
    Raises ``InputError`` for an unknown slug.
    """
    return load(slug).claim.digest()


def read_catalogue(folder: Traversable) -> tuple[Paper, ...]:
    """Return the papers of all ``*.toml`` records in ``folder``, ordered by purpose and then by slug.

    Raises ``InputError`` for a record that ``parse_record`` refuses and for a slug that occurs twice.
    """
    return _ordered(
        parse_record(entry.read_text(encoding="utf-8"), entry.name)
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def _ordered(papers: Iterable[Paper]) -> tuple[Paper, ...]:
    seen: dict[str, Paper] = {}
    for paper in papers:
        if paper.slug in seen:
            raise InputError("slug", got=f"{paper.slug!r} in two records", expected="one record per paper")
        seen[paper.slug] = paper
    order = list(PURPOSES)
    return tuple(sorted(seen.values(), key=lambda paper: (order.index(paper.purpose), paper.slug)))


@cache
def _shelf() -> dict[str, Traversable]:
    """Map the slugs to their records without reading these."""
    entries = (entry for entry in files("spaceform.papers").iterdir() if entry.name.endswith(".toml"))
    return {entry.name.removesuffix(".toml"): entry for entry in sorted(entries, key=lambda entry: entry.name)}


@cache
def _load_shipped(name: str) -> Paper:
    entry = _shelf()[name]
    return parse_record(entry.read_text(encoding="utf-8"), entry.name)


@cache
def _load_all() -> tuple[Paper, ...]:
    return _ordered(_load_shipped(name) for name in _shelf())
