"""The page of a comparison: both maps, what agrees, which rows moved, and whose head reads whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spaceform.checks import check_integer
from spaceform.heads.alignment import fit_rigid_map
from spaceform.report.compare_plots import draw_overlap, draw_readings
from spaceform.report.page import Block, Gallery, GalleryLine, MapView, Notes, Plot, Section, Table, render, write
from spaceform.report.sprites import make_sheet
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import IntArray, PathLike, Progress, no_progress
from spaceform.workflows.comparing.result import CompareResult
from spaceform.workflows.projection import MAX_ROWS, project

SHOWN = 24
"""Rows shown one by one."""

COLOURS = 200
"""A column with more values than this is no colouring."""

CONTROLS = {
    "shuffled": "wrong pairs: rows of A in random order",
    "within classes": "wrong pairs of one class",
    "noise": "B made of A: a rotation, and errors of the size found on random rows",
}


def write_compare_report(
    result: CompareResult,
    path: PathLike,
    *,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Path:
    """Write one HTML file that loads nothing from anywhere to ``path`` (or ``compare.html`` in that folder).

    ``seed`` draws the ``max_rows`` items of the maps. The map of A starts from that of B, and is turned to lie as near
    to it as it can. About 20 s for 7,000 rows on two cores, most of it for the maps.
    """
    check_integer(max_rows, "max_rows", low=1)
    target = Path(path)
    if target.suffix != ".html":
        target /= "compare.html"
    view = _view(result, max_rows, seed, progress)
    sections = [_words(result), _figures(result), _readings(result), _moved(result)]
    progress("writing the report", 0, 1)
    items = sorted({*map(int, view.rows), *_shown(sections)})
    pictures = {item: picture for item in items if (picture := _picture(result, item)) is not None}
    text = render(
        title=f"{result.a.name} and {result.b.name}",
        lead=f"{result.conclusions[0]}.",
        facts=_facts(result),
        view=view,
        sections=[one for one in sections if one is not None],
        sheet=make_sheet(pictures),
        labels=[str(one) for one in result.pairs.keys],
    )
    made = write(text, target)
    progress("writing the report", 1, 1)
    return made


def _facts(result: CompareResult) -> dict[str, str]:
    figures = result.figures
    return {
        "items in both": f"{result.counts['paired']:,}",
        "dimensions": f"{result.a.dim} and {result.b.dim}",
        "carried by a rotation": f"{max(figures.rigid, 0):.0%}",
        "by any linear map": f"{max(figures.linear, 0):.0%}",
        "neighbours shared": f"{figures.neighbours:.0%}",
        "rows that moved": f"{result.moved:,}",
    }


def _words(result: CompareResult) -> Section:
    intro = f"A is {_side(result.a.name, result.a.rows)}, B is {_side(result.b.name, result.b.rows)}."
    blocks: list[Block] = [Notes(sentences=result.conclusions[1:])]
    rest = [*result.notes, *(f"no {name}: {reason}" for name, reason in result.missing.items())]
    if rest:
        blocks.append(Notes(sentences=rest, kind="notes warnings"))
    return Section(title="In a few sentences", intro=intro, blocks=blocks)


def _side(name: str, rows: int) -> str:
    return f"{name} with {rows:,} rows"


def _figures(result: CompareResult) -> Section:
    figures = result.figures
    rows: list[Sequence[object]] = [("A and B", figures.rigid, figures.linear, figures.share, figures.neighbours)]
    for name, control in result.controls.items():
        rows.append((CONTROLS[name], control.rigid, None, control.share_low, control.neighbours))
    other = [
        ("rank correlation of distances", figures.distances, "1 where far and near are the same in both"),
        ("linear CKA", figures.cka, "1 for an isometry; forgives much else, so it is no verdict"),
        ("distances beside one factor", figures.gap, "0 only for an isometry: what is left of their variance"),
        (
            "rotation, on rows it was fitted to",
            figures.rigid_fitted,
            "above the held-out figure by what was overfitted",
        ),
    ]
    svg = draw_overlap(result.histograms, k=figures.k)
    return Section(
        title="How much agrees, and how much chance would",
        intro=(
            "Maps are fitted on one half of the rows and judged on the other. The share is how much of what any linear "
            "map carries over a rotation (with reflection, scale and shift) carries: near 1 the two are versions of "
            "one arrangement. Each control takes one thing away."
        ),
        blocks=[
            Table(columns=("", "rotation", "any linear map", "share", "neighbours"), rows=rows, bars=(1, 2, 3, 4)),
            Plot(svg=svg, caption=f"Items by the overlap (Jaccard) of their {figures.k} nearest rows in A and in B."),
            Table(columns=("figure", "value", "what it says"), rows=other),
        ],
    )


def _readings(result: CompareResult) -> Section | None:
    if not result.readings:
        return None
    rows = [
        (f"{one.head} on {one.away}", one.own, one.rigid, one.linear, one.relative, one.absolute, one.shuffled)
        for one in result.readings
    ]
    first = result.readings[0]
    columns = ("head of", "at home", "after a rotation", "after a linear map", "relative", "as it is", "wrong pairs")
    return Section(
        title="Can the head of one read the other?",
        intro=(
            f"A head ({first.kind}) learns {result.labelled_by} ({first.classes} classes) from half of the rows of its "
            f"own space and is asked about {first.rows:,} other rows as the other space has them."
        ),
        blocks=[
            Plot(
                svg=draw_readings(result.readings), caption="Right answers on rows that neither head nor map has seen."
            ),
            Table(columns=columns, rows=rows),
        ],
    )


def _moved(result: CompareResult) -> Section:
    lines = [
        GalleryLine(
            title=f"{row.key}{' (moved)' if row.moved else ''}",
            note=f"{row.distance:.2f} of the spread from its place, {row.overlap:.0%} of neighbours shared",
            groups=[[row.item], row.near_a, row.near_b],
            captions=("row", "nearest in A", "nearest in B"),
        )
        for row in result.rows[:SHOWN]
    ]
    told = f"{result.moved:,} rows stand out" if result.moved else "No row stands out; these lie farthest"
    return Section(
        title="Which rows moved",
        intro=f"{told} from where the rotation of all others puts them. Beside each its nearest rows in either space.",
        blocks=[Gallery(lines=lines)],
    )


def _view(result: CompareResult, max_rows: int, seed: int, progress: Progress) -> MapView:
    n = len(result.pairs)
    rows: IntArray = np.arange(n)
    if n > max_rows:
        drawn = as_generator(derive_seed(seed, "map")).permutation(n)[:max_rows]
        moved = np.flatnonzero(result.displacement.moved)[:max_rows]
        rows = np.sort(np.unique(np.concatenate([moved, drawn]))[:max_rows])
    ground = result.ground
    second = project(Space.create(ground.B[rows]), seed=seed, max_rows=len(rows), progress=progress).xy
    image = fit_rigid_map(ground.slim_a, ground.slim_b)(ground.slim_a)[rows]
    near = project(Space.create(image), seed=seed, start=second, max_rows=len(rows), progress=progress).xy
    first = fit_rigid_map(near, second, scaled=False)(near) if len(rows) > 2 else near
    colours: dict[str, list[str | None]] = {}
    for side, space, own in (
        ("A", result.spaces[0], result.pairs.rows_a),
        ("B", result.spaces[1], result.pairs.rows_b),
    ):
        colours |= _colours(space, own[rows], side, colours)
    if result.moved:
        colours["moved"] = ["moved" if one else "stayed" for one in result.displacement.moved[rows]]
    overlap = result.displacement.overlap[rows]
    colours["neighbours shared"] = [_third(one) for one in overlap]
    order = sorted(colours, key=lambda name: _rank(name, result))
    return MapView(
        xy=second,
        before=first,
        sides=(f"A: {result.a.name}", f"B: {result.b.name}"),
        rows=rows.tolist(),
        names=[str(one) for one in result.pairs.keys[rows]],
        colours={name: colours[name] for name in order},
        texts={"neighbours shared": [f"{one:.0%}" for one in overlap]},
        title="Both maps",
        intro=(
            "Every point is one item, on the left as A has it (turned onto B), on the right as B has it. Hover to see "
            "an item in both; scroll to zoom, drag to move, click a class to see it alone. The map of A starts from "
            "that of B: what stays together is together in both."
        ),
    )


def _colours(
    space: Space, rows: IntArray, side: str, taken: dict[str, list[str | None]]
) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for name in space.columns:
        values = space.column(name)[rows]
        if values.dtype.kind not in "OiubU" or any(isinstance(one, tuple) for one in values[:1]):
            continue
        texts = [None if one is None else str(one) for one in values.tolist()]
        if 1 < len({one for one in texts if one is not None}) <= min(COLOURS, len(texts) // 2) and texts != taken.get(
            name
        ):
            found[name if name not in taken else f"{name} ({side})"] = texts
    return found


def _rank(name: str, result: CompareResult) -> int:
    order = ["moved", result.labelled_by, "category"]
    return order.index(name) if name in order else len(order) + (name == "neighbours shared")


def _third(overlap: float) -> str:
    return "most" if overlap > 2 / 3 else "some" if overlap > 1 / 3 else "few"


def _picture(result: CompareResult, item: int) -> bytes | None:
    for space, rows in zip(result.spaces, (result.pairs.rows_a, result.pairs.rows_b), strict=True):
        if space.has_pictures and (picture := space.picture(int(rows[item]))) is not None:
            return picture
    return None


def _shown(sections: Sequence[Section | None]) -> set[int]:
    galleries = [block for one in sections if one is not None for block in one.blocks if isinstance(block, Gallery)]
    return {int(row) for block in galleries for line in block.lines for group in line.groups for row in group}
