"""Recall against speed of search under filters: a panel per cell, a line per method."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from spaceform.report.figures import ACCENT, INK, PALETTE, QUIET, figure
from spaceform.report.plots import finish

Curve = Sequence[tuple[float, float]]
"""Pairs of recall and queries per second."""

ACROSS, WIDTH, HEIGHT = 4, 2.6, 2.2
LEAST_RECALL = 0.5
"""Left edge of a panel: settings below it help nobody."""

COLOURED = 8
"""Rivals with a colour of their own, those that are the fastest in most panels; more could not be told apart."""

_FAINT = "#cfd5df"


def draw_search_curves(
    cells: Mapping[str, Mapping[str, Curve]],
    *,
    ours: str,
    references: Collection[str] = (),
    aim: float,
    paths: Sequence[Path],
) -> str:
    """Draw for each cell and method what its settings reach; return SVG text and write it to ``paths``.

    Of a method only settings are drawn that no other of its settings beats in both. ``ours`` is thick and on top; the
    rivals that lead somewhere have colours, and the fastest at the recall ``aim`` has its name over the panel; all
    others are grey. ``references`` are dashed. Queries per second are on a logarithmic axis, the same in all panels.
    """
    leaders = {cell: _fastest(curves, aim, ours) for cell, curves in cells.items()}
    ranked = Counter(name for names in leaders.values() for name in names[:1])
    ranked.update({name: 0 for names in leaders.values() for name in names[1:2]})
    chosen = [name for name, _ in ranked.most_common(COLOURED)]
    colours = dict(zip(chosen, [colour for colour in PALETTE if colour != ACCENT], strict=False)) | {ours: ACCENT}
    down = math.ceil(len(cells) / ACROSS)
    with figure(ACROSS * WIDTH, down * HEIGHT + 0.6) as drawn:
        grid = drawn.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (cell, curves) in zip(grid, cells.items(), strict=False):
            for name in sorted(curves, key=lambda name: (name == ours, name in colours)):
                look = _look(name, ours, colours.get(name), dashed=name in references)
                _line(ax, curves[name], look | {"label": _label(name, ours, colours, references)})
            for name in leaders[cell][:1]:
                ax.set_title(
                    f"best rival: {name.partition(',')[0]}", loc="right", fontsize=7, color=colours.get(name, INK)
                )
            ax.axvline(aim, color=QUIET, linewidth=0.8, linestyle=":", zorder=1)
            ax.set_title(cell, color=INK, loc="left")
            ax.set_yscale("log")
            ax.set_xlim(LEAST_RECALL, 1.01)
        for place, ax in enumerate(grid):
            ax.set_visible(place < len(cells))
            if len(cells) - ACROSS <= place < len(cells):  # the lowest of its column
                ax.set_xlabel("recall@10")
                ax.tick_params(labelbottom=True)
        drawn.supylabel("queries per second", fontsize=9)
        handles = {label: line for ax in grid for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        order = sorted(handles, key=lambda label: (label != ours, label not in colours, label))
        drawn.legend([handles[label] for label in order], order, loc="outside lower center", ncols=min(5, len(order)))
        return finish(drawn, paths)


def best_settings(points: Curve) -> list[tuple[float, float]]:
    """Return the settings by recall, those left out that another one beats in recall and speed."""
    kept: list[tuple[float, float]] = []
    for recall, speed in sorted(points, reverse=True):
        if not kept or speed > kept[-1][1]:
            kept.append((recall, speed))
    return kept[::-1]


def _reached(points: Curve, aim: float) -> tuple[float, float] | None:
    """Return recall and speed of the fastest setting that reaches the recall."""
    return max((point for point in points if point[0] >= aim), key=lambda point: point[1], default=None)


def _fastest(curves: Mapping[str, Curve], aim: float, ours: str) -> list[str]:
    """Return the rivals that reach the recall, the fastest first."""
    found = {name: _reached(points, aim) for name, points in curves.items() if name != ours}
    speeds = {name: point[1] for name, point in found.items() if point is not None}
    return sorted(speeds, key=lambda name: -speeds[name])


def _look(name: str, ours: str, colour: str | None, *, dashed: bool) -> dict[str, Any]:
    style = {"linestyle": "--" if dashed else "-", "marker": "o", "color": colour or _FAINT}
    if name == ours:
        return style | {"linewidth": 2.6, "markersize": 3.5, "zorder": 5}
    wide = {"linewidth": 1.3, "markersize": 2.5, "zorder": 4}
    return style | (wide if colour else {"linewidth": 0.8, "markersize": 1.5, "zorder": 2})


def _label(name: str, ours: str, colours: Collection[str], references: Collection[str]) -> str:
    if name == ours or name in colours:
        return name
    return "other methods of papers" if name in references else "other peers"


def _line(ax: Any, curve: Curve, look: Mapping[str, Any]) -> None:
    points = best_settings(curve)
    if points:
        recalls, speeds = zip(*points, strict=True)
        ax.plot(recalls, speeds, **look)
