"""The page: sections of tables, pictures and figures around one interactive map, in a single file without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import require
from spaceform.files import write_text_whole
from spaceform.report.figures import PALETTE
from spaceform.report.sprites import Sheet
from spaceform.types import FloatArray

SHOWN_CLASSES = 60
"""A legend longer than this helps nobody; the classes beyond share one grey entry."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under columns; a cell that is a float is set to four digits. ``bars`` names columns drawn as bars too."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    bars: Sequence[int] = ()
    kind: str = "table"


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Lines of pictures: each line has a title, a note and groups of rows of the Space."""

    lines: Sequence[GalleryLine]
    kind: str = "gallery"


@dataclass(frozen=True, kw_only=True)
class GalleryLine:
    """One line of a gallery; ``groups`` are shown with a gap between them, each under its caption if there are some.

    ``marks`` says of rows whether they are right: they get a tick or a cross.
    """

    title: str
    note: str = ""
    groups: Sequence[Sequence[int]] = ()
    captions: Sequence[str] = ()
    marks: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Sentences on what stands out."""

    sentences: Sequence[str]
    kind: str = "notes"  # or "notes warnings"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure given as SVG text, with what it shows in words."""

    svg: str
    caption: str
    kind: str = "plot"


Block = Table | Gallery | Notes | Plot


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: a heading, a sentence that says what to look for, and its blocks."""

    title: str
    intro: str = ""
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, kw_only=True)
class MapView:
    """The points of the map: ``xy (n, 2)``, the Space's ``rows`` they stand for, colourings and hover texts.

    ``colours`` maps a column to one text (or None) per point, ``texts`` a column to one text per point. With ``before
    (n, 2)`` the same points are shown twice, side by side, under ``sides``. ``title`` and ``intro`` stand above.
    """

    xy: FloatArray
    rows: Sequence[int]
    names: Sequence[str]
    colours: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: FloatArray | None = None
    sides: tuple[str, str] = ("before", "after")
    title: str = "The map"
    intro: str = (
        "Every point is a row; near points are near in the space. Hover to see one, scroll to zoom, drag to move, "
        "click a class to see it alone."
    )


PLANE = resources.files("spaceform.workflows") / "plane.js"
"""The script of the canvas, which the server's page has, too."""


def render(
    *,
    title: str,
    lead: str,
    facts: Mapping[str, str],
    view: MapView | None,
    sections: Sequence[Section],
    sheet: Sheet | None,
    labels: Sequence[str],
) -> str:
    """Return the page as one HTML text that loads nothing from anywhere.

    ``labels[row]`` names a row of the Space where it has no picture. Every text is escaped. O(points + pictures).
    """
    jinja2 = require("jinja2", "report")
    folder = resources.files("spaceform.report") / "templates"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["cell"] = format_value
    template = environment.from_string((folder / "report.html").read_text("utf-8"))
    text = template.render(
        title=title,
        lead=lead,
        facts=facts,
        sections=sections,
        sheet=sheet,
        labels=labels,
        map_title=view.title if view is not None else "",
        map_intro=view.intro if view is not None else "",
        map_json=_as_script(_map_data(view, sheet)) if view is not None else "",
        colourings=list(view.colours) if view is not None else [],
        css=(folder / "report.css").read_text("utf-8"),
        script="\n".join(file.read_text("utf-8") for file in (PLANE, folder / "map.js")),
    )
    return str(text)


def write(text: str, path: Path) -> Path:
    """Write the page aside and rename it into place; return its path."""
    write_text_whole(path, text)
    return path


def format_value(value: Any) -> str:
    """Return how a cell shows ``value``."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        number = float(value)
        return "–" if not np.isfinite(number) else f"{number:.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
    return str(value)


def _map_data(view: MapView, sheet: Sheet | None) -> dict[str, Any]:
    maps = {"": view.xy} if view.before is None else dict(zip(view.sides, (view.before, view.xy), strict=True))
    return {
        "maps": [_places(title, xy) for title, xy in maps.items()],
        "names": list(view.names),
        "cells": [sheet.cells.get(row) for row in view.rows] if sheet is not None else [],
        "colours": {name: _codes(values) for name, values in view.colours.items()},
        "texts": {name: list(values) for name, values in view.texts.items()},
        "palette": PALETTE,
    }


def _places(title: str, xy: FloatArray) -> dict[str, Any]:
    low, high = xy.min(0), xy.max(0)
    span = float(max((high - low).max(), 1e-12))
    points = np.round((xy - (low + high) / 2) / span * 20_000).astype(int)
    return {"title": title, "x": points[:, 0].tolist(), "y": points[:, 1].tolist()}


def _codes(values: Sequence[str | None]) -> dict[str, Any]:
    """Number the classes of a column by size: 0 is the largest; what has none, or is too small, gets -1."""
    names, counts = np.unique([value for value in values if value is not None], return_counts=True)
    order = [str(names[i]) for i in np.argsort(-counts, kind="stable")][:SHOWN_CLASSES]
    code = {name: i for i, name in enumerate(order)}
    return {
        "classes": order,
        "counts": [int(c) for c in sorted(counts, reverse=True)[:SHOWN_CLASSES]],
        "codes": [code.get(value, -1) if value is not None else -1 for value in values],
    }


def _as_script(value: object) -> str:
    """Return JSON that can stand inside a script element whatever its texts say."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
