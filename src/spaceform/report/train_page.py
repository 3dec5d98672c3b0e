"""The report of a training: how much better the space became, its curves, its maps and neighbours before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.report.curves import draw_looks, draw_loss
from spaceform.report.page import Block, Gallery, GalleryLine, MapView, Notes, Plot, Section, Table, render, write
from spaceform.report.sprites import make_sheet
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.learning.comparison import BASELINE, Gain
from spaceform.workflows.learning.learned import Learned
from spaceform.workflows.projection import project
from spaceform.workflows.train import TrainResult

NAME = "report.html"
QUERIES, NEIGHBOURS = 10, 5
PARTS = {"train": "trained on", "validation": "ends training", "test": "measured on, never seen"}
EXPLAINED = {
    "recall@1": "the nearest row is of the same class",
    "recall@8": "one of the eight nearest is",
    "MAP@R": "of a class with R other rows, how many of the R nearest are of it, and how early",
    "NMI": "how well k-means finds the classes again",
}


def write_training_report(
    result: TrainResult, folder: PathLike, *, seed: int = 0, progress: Progress = no_progress
) -> Path:
    """Write ``report.html``, one file that loads nothing from anywhere, into ``folder`` and return its path.

    ``result`` is that of :func:`spaceform.workflows.train.train` for an encoder, with its Space. ``seed`` draws the
    queries and the maps, whose rows are the test rows where there are some. ``InputError`` for other methods.
    """
    learned, space = result.learned, result.space
    if learned is None or space is None:
        raise InputError("result", got=f"that of {result.method}", expected="a result of training an encoder")
    y, names = space.labels()
    labels = [names[code] if code >= 0 else "no class" for code in y.tolist()]
    sections = [_figures(result, learned), _neighbours(learned, y, labels, seed=seed), _curves(learned), _made(result)]
    view = _view(space, learned, labels, seed=seed, progress=progress)
    progress("writing the report", 0, 1)
    rows = sorted({*map(int, learned.rows), *_shown(sections)})
    pictures = (
        {row: picture for row in rows if (picture := space.picture(row)) is not None} if space.has_pictures else {}
    )
    text = render(
        title=f"{_source(space)}: trained with {result.method}",
        lead=learned.sentence or "Nothing was held back, so nothing was measured.",
        facts=_facts(result, learned),
        view=view,
        sections=[section for section in sections if section is not None],
        sheet=make_sheet(pictures),
        labels=labels,
    )
    path = write(text, Path(folder) / NAME)
    progress("writing the report", 1, 1)
    return path


def _source(space: Space) -> str:
    source = Path(str(space.info.get("source", "A space"))).name or "A space"
    return source[:1].upper() + source[1:]


def _facts(result: TrainResult, learned: Learned) -> dict[str, str]:
    curves = learned.trained
    facts = {"rows": f"{result.rows:,}", "dimensions": f"{result.dim}", "steps": f"{len(curves.steps):,}"}
    for name, one in learned.gains.items():
        facts[f"recall@1 over {'the start' if name == 'untrained' else name}"] = f"{100 * one.mean:+.1f} points"
    return facts


def _figures(result: TrainResult, learned: Learned) -> Section | None:
    if not result.figures:
        return None
    names = list(next(iter(result.figures.values())))
    shown = {"untrained": "before training", BASELINE: f"{BASELINE}, same network and budget", "trained": result.method}
    rows = [(shown.get(title, title), *(row[name] for name in names)) for title, row in result.figures.items()]
    held = "classes" if learned.by == "classes" else "rows"
    classes, number = learned.parts["test"]
    blocks: list[Block] = [
        Table(columns=("vectors", *names), rows=rows, bars=range(1, len(names) + 1)),
        Notes(sentences=[f"{name}: {EXPLAINED[name]}." for name in names if name in EXPLAINED]),
    ]
    if learned.gains:
        rows = [
            (f"over {shown[name].split(',')[0]}", *_in_points(one), "yes" if one.sure else "no, it may be chance")
            for name, one in learned.gains.items()
        ]
        caption = f"Gain in recall@1, in points; the interval resamples the {held} that were held back."
        columns = (result.method, "points", "95% interval", "beyond chance")
        blocks.append(Table(columns=columns, rows=rows, caption=caption))
    intro = f"Measured among {number:,} rows of {classes:,} classes" + (
        " that training never saw." if held == "classes" else ": rows that training never saw, of classes that it did."
    )
    return Section(title="By how much it is better", intro=intro, blocks=blocks)


def _in_points(one: Gain) -> tuple[str, str]:
    return f"{100 * one.mean:+.1f}", f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"


def _neighbours(learned: Learned, y: IntArray, labels: Sequence[str], *, seed: int) -> Section | None:
    """Draw one query of each of some classes, and show its neighbours before and after."""
    rows = learned.rows
    known = y[rows]
    if len(rows) <= NEIGHBOURS:
        return None
    rng = as_generator(derive_seed(seed, "queries"))
    codes, counts = np.unique(known[known >= 0], return_counts=True)
    chosen = rng.permutation(codes[counts > 1])[:QUERIES]
    queries = np.array([rng.choice(np.flatnonzero(known == code)) for code in chosen], dtype=np.int64)
    if not len(queries):
        return None
    before, after = (_nearest(vectors, queries) for vectors in (learned.before, learned.after))
    lines = []
    for query, first, second in zip(queries, before, after, strict=True):
        marks = {int(rows[i]): bool(known[i] == known[query]) for i in [*first, *second]}
        most = min(NEIGHBOURS, int((known == known[query]).sum()) - 1)
        right = [sum(marks[int(rows[i])] for i in found) for found in (first, second)]
        lines.append(
            GalleryLine(
                title=labels[int(rows[query])],
                note=f"{right[0]} of {most} right before, {right[1]} after",
                groups=[[int(rows[query])], rows[first].tolist(), rows[second].tolist()],
                captions=("asked for", "nearest before", "nearest after"),
                marks=marks,
            )
        )
    own = "that training never saw, " if learned.by == "classes" else ""
    intro = f"One row each of {len(lines)} classes {own}drawn at random, and its nearest rows, nearest first. "
    return Section(
        title="Nearest neighbours before and after",
        intro=intro + "A green tick: of the same class; a red cross: of another one.",
        blocks=[Gallery(lines=lines)],
    )


def _nearest(vectors: FloatArray, queries: IntArray) -> IntArray:
    """Return the nearest other rows of each query, ``(q, 5)``."""
    _, found = nearest_neighbors(vectors[queries], vectors, k=NEIGHBOURS + 1)
    kept = [[i for i in row if i != query][:NEIGHBOURS] for query, row in zip(queries, found, strict=True)]
    return np.array(kept, dtype=np.int64)


def _curves(learned: Learned) -> Section | None:
    own, rival = learned.trained, learned.baseline
    if not own.steps:
        return None
    blocks: list[Block] = []
    if own.looks:
        caption = f"Retrieval on the held-out rows that end training. The weights of step {own.best:,} were kept."
        curves = {"trained": own} | ({BASELINE: rival} if rival is not None and rival.looks else {})
        blocks.append(Plot(svg=draw_looks(curves, paths=[]), caption=caption))
    caption = "Loss at every step (thin) and its running mean. Losses of different kinds can't be compared."
    blocks.append(Plot(svg=draw_loss(own.steps, own.loss, paths=[]), caption=caption))
    ended = f"Training stopped after step {own.steps[-1]:,}: {own.stopped}." if own.stopped else ""
    return Section(title="How training went", intro=ended, blocks=blocks)


def _made(result: TrainResult) -> Section:
    record = (result.space.info if result.space is not None else {}).get("trained", {}).get(result.method, {})
    options = [(name, str(value)) for name, value in record.get("options", {}).items() if name != "loss_options"]
    parts = result.learned.parts if result.learned is not None else {}
    rows = [(PARTS[name], *sizes) for name, sizes in parts.items() if sizes[1]]
    blocks: list[Block] = [Table(columns=("part", "classes", "rows"), rows=rows)]
    if options:
        blocks.append(Table(columns=("option", "value"), rows=options))
    if result.notes:
        blocks.insert(0, Notes(sentences=result.notes, kind="notes warnings"))
    return Section(title="How it was made", blocks=blocks)


def _view(space: Space, learned: Learned, labels: Sequence[str], *, seed: int, progress: Progress) -> MapView:
    maps = []
    for title, vectors in (("before", learned.before), ("after", learned.after)):
        progress(f"drawing the map {title}", 0, 1)
        maps.append(project(Space.create(vectors), seed=seed).xy)
        progress(f"drawing the map {title}", 1, 1)
    rows = learned.rows.tolist()
    names = [labels[row] for row in rows]
    what = {"classes": "rows of the classes that training never saw", "rows": "rows that training never saw"}
    return MapView(
        xy=maps[1],
        before=maps[0],
        rows=rows,
        names=names,
        colours={space.label or "class": [None if name == "no class" else name for name in names]},
        texts={"row": [str(one) for one in space.ids[learned.rows]]},
        title="The map before and after",
        intro=f"Every point is one of the {len(rows):,} {what.get(learned.by, 'rows')}, on the left as the network had "
        "it before training, on the right as it has it now. Hover to see a row in both; scroll to zoom, drag to move, "
        "click a class to see it alone.",
    )


def _shown(sections: Iterable[Section | None]) -> Iterable[int]:
    for section in sections:
        for block in section.blocks if section is not None else ():
            if isinstance(block, Gallery):
                yield from (int(row) for line in block.lines for group in line.groups for row in group)
