"""The report of a Space: one page with its map, what was learned, what the audit found and which classes are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_choice
from spaceform.report.audit_sections import audit_sections
from spaceform.report.discover_sections import discover_sections
from spaceform.report.page import Gallery, MapView, Plot, Section, Table, render, write
from spaceform.report.plots import draw_learned, draw_map
from spaceform.report.sprites import make_sheet
from spaceform.space import Space
from spaceform.types import PathLike, Progress, no_progress
from spaceform.workflows.audit import AuditResult, Judgements, audit
from spaceform.workflows.projection import Projection, project

FOLDER = "report"
"""Where the page and its plots lie inside the folder of a Space."""

MAX_COLOURS = 200
"""A column with more values than this is no colouring."""

HOVER = 6
"""Columns shown on hover."""


@dataclass(frozen=True)
class Report:
    """Where the page is, and what it says first."""

    path: Path
    lead: str


def write_space_report(
    folder: PathLike,
    *,
    label: str | None = None,
    colour: str | None = None,
    seed: int = 0,
    judgements: PathLike | Judgements | None = None,
    queries: Space | PathLike | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Write ``report/index.html`` (one self-contained file) and its plots as PNG and SVG into a Space's folder.

    Parameters: ``label`` for the audit (default: the Space's own); ``colour`` the column that colours the map first;
    ``seed`` of map and audit; ``judgements`` and ``queries`` as in the audit. The audit is made here, so the page
    always describes the rows as they are. Raises ``InputError`` for unknown columns and judgements that do not fit.
    About 20 s for 7,000 rows on two cores, most of it for the map.
    """
    place = Path(folder)
    space = Space.open(place)
    if colour is not None:
        check_choice(colour, "colour", space.columns)
    found = audit(space, label=label, seed=seed, judgements=judgements, queries=queries, progress=progress)
    sections = _learned(space, place)
    sections += discover_sections(space, place / FOLDER)
    sections += audit_sections(found.to_dict())
    view = _view(space, project(space, seed=seed, progress=progress), colour)
    if view.colours:
        first, classes = next(iter(view.colours.items()))
        paths = [place / FOLDER / f"map.{kind}" for kind in ("png", "svg")]
        draw_map(view.xy, classes, title=f"{_title(space)} by {first}", paths=paths)
    progress("writing the page", 0, 1)
    rows = sorted({*map(int, view.rows), *_shown(sections)})
    pictures = {row: picture for row in rows if (picture := space.picture(row)) is not None}
    lead = _lead(space, found)
    text = render(
        title=_title(space),
        lead=lead,
        facts=_facts(space, found),
        view=view,
        sections=sections,
        sheet=make_sheet(pictures),
        labels=[str(one) for one in space.ids],
    )
    path = write(text, place / FOLDER / "index.html")
    progress("writing the page", 1, 1)
    return Report(path, lead)


def _title(space: Space) -> str:
    source = Path(str(space.info.get("source", "A space"))).name
    return source[:1].upper() + source[1:]


def _lead(space: Space, found: AuditResult) -> str:
    learned: Mapping[str, Any] = space.info.get("learned", {})
    if "trained" in learned:
        floors = " and ".join(
            f"{learned[name]['recall_at_1']:.0%} with {words}"
            for name, words in (("raw pixels", "raw pixels"), ("untrained", "an untrained encoder"))
            if name in learned
        )
        return (
            f"For rows of classes that training never saw, the nearest neighbour is of the right class "
            f"{learned['trained']['recall_at_1']:.0%} of the time: {floors}."
        )
    return found.conclusions[0] if found.conclusions else f"{len(space):,} rows in {space.dim} dimensions."


def _facts(space: Space, found: AuditResult) -> dict[str, str]:
    facts = {"rows": f"{len(space):,}", "dimensions": f"{space.dim}"}
    if found.separability is not None:
        facts["classes"] = f"{found.separability.n_classes:,}"
    if found.retrieval and "unseen" in found.retrieval:
        facts["recall@1, unseen classes"] = f"{found.retrieval['unseen'].recall_at['1']:.1%}"
    if found.dimension is not None:
        facts["intrinsic dimension"] = f"{found.dimension.two_nn:.1f}"
    return facts


def _learned(space: Space, place: Path) -> list[Section]:
    learned = space.info.get("learned") or {}
    if not learned:
        return []
    svg = draw_learned(learned, [place / FOLDER / f"learned.{kind}" for kind in ("png", "svg")])
    rows = [(name, figures["recall_at_1"], figures["map_at_r"]) for name, figures in learned.items()]
    return [
        Section(
            title="What the encoder learned",
            intro="Measured only among rows of classes that training never saw, against two floors: the raw pixels, "
            "and the same network before training.",
            blocks=[
                Plot(svg=svg, caption="Longer is better. Recall@1: the nearest row is of the same class."),
                Table(columns=("vectors", "recall@1", "MAP@R"), rows=rows),
            ],
        )
    ]


def _view(space: Space, map_: Projection, colour: str | None) -> MapView:
    colours: dict[str, list[str | None]] = {}
    texts: dict[str, list[str]] = {}
    for name in space.columns:
        values = _texts(space.column(name)[map_.rows])
        distinct = len({value for value in values if value is not None})
        if 1 < distinct <= MAX_COLOURS and distinct < len(values):
            colours[name] = values
        if len(texts) < HOVER and name != space.label and distinct:
            texts[name] = ["" if value is None else value[:80] for value in values]
    preferred = [colour, "category", "discovered_name", space.label]
    order = sorted(colours, key=lambda name: preferred.index(name) if name in preferred else len(preferred))
    named = _texts(space.column(space.label)[map_.rows]) if space.label else [None] * len(map_.rows)
    names = [name if name is not None else str(one) for name, one in zip(named, space.ids[map_.rows], strict=True)]
    return MapView(
        xy=map_.xy, rows=map_.rows.tolist(), names=names, colours={name: colours[name] for name in order}, texts=texts
    )


def _texts(values: np.ndarray) -> list[str | None]:
    """Return a column as texts; what is missing stays None."""
    return [_text(value) for value in values]


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, tuple | list | np.ndarray):
        return ", ".join(map(str, value))
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _shown(sections: Sequence[Section]) -> Iterable[int]:
    """Yield the rows that galleries show."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Gallery):
                for line in block.lines:
                    for group in line.groups:
                        yield from map(int, group)
