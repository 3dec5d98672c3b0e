"""The report of a distillation: how the student does, how training went, which classes it mixes up, and its map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaceform.errors import InputError
from spaceform.report.curves import draw_accuracy, draw_loss
from spaceform.report.page import Block, MapView, Notes, Plot, Section, Table, render, write
from spaceform.report.sprites import make_sheet
from spaceform.space import Space
from spaceform.types import IntArray, PathLike, Progress, no_progress
from spaceform.workflows.distill import DistillResult
from spaceform.workflows.distilling.outcome import ALONE, TEACHER
from spaceform.workflows.projection import drawn_rows, project

NAME = "report.html"
SHOWN, CONFUSIONS = 1_500, 15
NAMES = {"lelp": "LELP: subclasses from the teacher's embeddings", "kd": "the teacher's probabilities",
         "dkd": "decoupled distillation", "embedding": "the teacher's embeddings"}  # fmt: skip
PARTS = {"train": "learned from", "validation": "picks the weights", "test": "measured on, never seen"}


def write_distill_report(
    result: DistillResult, folder: PathLike, *, seed: int = 0, progress: Progress = no_progress
) -> Path:
    """Write ``report.html``, one file that loads nothing from anywhere, into ``folder`` and return its path.

    ``result`` is that of :func:`spaceform.workflows.distill.distill`, with its Space; the map shows at most 1,500 of
    its test rows, drawn by ``seed``. ``InputError`` without a Space.
    """
    space = result.space
    if space is None:
        raise InputError("result", got="one without a Space", expected="the result of distill")
    rows = _shown(space, seed)
    progress("drawing the map", 0, 1)
    view = _view(space, rows, seed)
    progress("drawing the map", 1, 1)
    pictures = (
        {row: picture for row in rows.tolist() if (picture := space.picture(row)) is not None}
        if space.has_pictures
        else {}
    )
    sections = [_figures(result), _mixed_up(space), _curves(result), _made(result)]
    source = Path(str(space.info.get("source", "A space"))).name or "A space"
    text = render(
        title=f"{source[:1].upper()}{source[1:]}: distilled with {result.method}",
        lead=result.sentence or "Nothing was held back, so nothing was measured.",
        facts=_facts(result),
        view=view,
        sections=[section for section in sections if section is not None],
        sheet=make_sheet(pictures),
        labels=space.column("student_class").tolist(),
    )
    return write(text, Path(folder) / NAME)


def _facts(result: DistillResult) -> dict[str, str]:
    facts = {
        "rows": f"{result.rows:,}",
        "classes": f"{len(result.classes):,}",
        "dimensions": f"{result.teacher_dim} of the teacher, {result.dim} of the student",
        "values of the student": f"{result.values:,}",
    }
    named = {ALONE: "over labels alone", TEACHER: "over the teacher"}
    return facts | {named[name]: f"{100 * one.mean:+.1f} points" for name, one in result.gains.items()}


def _figures(result: DistillResult) -> Section | None:
    if not result.figures:
        return None
    titles = {TEACHER: "teacher: its vectors under a linear head", ALONE: "the same network on labels alone"}
    shown = [
        (titles.get(name, f"student: {NAMES[result.method]}"), row["accuracy"], _percent(row["low"], row["high"]))
        for name, row in result.figures.items()
    ]
    blocks: list[Block] = [Table(columns=("who", "accuracy", "95% interval"), rows=shown, bars=[1])]
    gains = [
        (f"over {titles[name].partition(':')[0]}", f"{100 * one.mean:+.1f}",
         f"{100 * one.low:+.1f} to {100 * one.high:+.1f}", "yes" if one.sure else "no, it may be chance")
        for name, one in result.gains.items()
    ]  # fmt: skip
    if gains:
        caption = "Gain of the student, in points; the interval resamples the held-out rows, the same for both."
        columns = ("student", "points", "95% interval", "beyond chance")
        blocks.append(Table(columns=columns, rows=gains, caption=caption))
    intro = f"Measured on {result.parts['test']:,} rows that neither training nor the choice of weights saw."
    return Section(title="How the student does", intro=intro, blocks=blocks)


def _percent(low: float, high: float) -> str:
    return f"{100 * low:.1f}% to {100 * high:.1f}%"


def _mixed_up(space: Space) -> Section | None:
    """Return what the student mixes up most on test rows, and whether its teacher did."""
    y, names = space.labels()
    test = np.flatnonzero((space.column("part") == "test") & (y >= 0))
    if not len(test):
        return None
    true = np.array(names, dtype=object)[y[test]]
    student, teacher = space.column("student_class")[test], space.column("teacher_class")[test]
    wrong = student != true
    pairs, counts = np.unique(np.stack([true[wrong], student[wrong]], 1).astype(str), axis=0, return_counts=True)
    rows = []
    for at in np.argsort(-counts, kind="stable")[:CONFUSIONS]:
        here = (true == pairs[at, 0]) & (student == pairs[at, 1])
        rows.append((*pairs[at], int(counts[at]), int((teacher[here] != true[here]).sum())))
    same = int((student == teacher).sum())
    intro = f"Student and teacher agree on {same:,} of {len(test):,} held-out rows."
    columns = ("true class", "the student says", "rows", "of them wrong by the teacher too")
    blocks: list[Block] = [Table(columns=columns, rows=rows)] if rows else []
    return Section(title="What it gets wrong", intro=intro, blocks=blocks)


def _curves(result: DistillResult) -> Section:
    own = result.curves[result.method]
    blocks: list[Block] = []
    if own.looks:
        curves = {name: (one.looks, one.accuracy, one.best) for name, one in result.curves.items()}
        caption = f"Accuracy on the held-out rows that pick the weights. Those of step {own.best:,} were kept."
        blocks.append(Plot(svg=draw_accuracy(curves, paths=[]), caption=caption))
    caption = "Loss of the student at every step (thin) and its running mean."
    blocks.append(Plot(svg=draw_loss(own.steps, own.loss, paths=[]), caption=caption))
    ended = f"Training stopped after step {own.steps[-1]:,}: {own.stopped}." if own.stopped else ""
    return Section(title="How training went", intro=ended, blocks=blocks)


def _made(result: DistillResult) -> Section:
    rows = [(PARTS[name], number) for name, number in result.parts.items() if number]
    blocks: list[Block] = [
        Table(columns=("part", "rows"), rows=rows),
        Table(columns=("option", "value"), rows=list(result.options.items())),
    ]
    if result.notes:
        blocks.insert(0, Notes(sentences=result.notes, kind="notes warnings"))
    return Section(title="How it was made", blocks=blocks)


def _shown(space: Space, seed: int) -> IntArray:
    test = np.flatnonzero(space.column("part") == "test")
    rows = test if len(test) > 2 else np.arange(len(space))
    return drawn_rows(rows, SHOWN, seed=seed)


def _view(space: Space, rows: IntArray, seed: int) -> MapView:
    y, names = space.labels()
    true = [names[code] if code >= 0 else None for code in y[rows].tolist()]
    said, taught = (space.column(name)[rows].tolist() for name in ("student_class", "teacher_class"))
    right = ["no class" if t is None else "right" if t == s else "wrong" for t, s in zip(true, said, strict=True)]
    return MapView(
        xy=project(Space.create(space.vectors[rows]), seed=seed).xy,
        rows=rows.tolist(),
        names=[one or "no class" for one in true],
        colours={space.label or "class": true, "student says": said, "teacher says": taught, "student is": right},
        texts={"row": [str(one) for one in space.ids[rows]], "student": said, "teacher": taught},
        title="The student's space",
        intro=f"Every point is one of {len(rows):,} rows"
        + (" that training never saw" if len(rows) < len(space) else "")
        + ", placed by the student's vectors. Hover to see one, scroll to zoom, drag to move, click a class to see it "
        "alone.",
    )
