"""Recall against speed of search under filters: a panel per cell, a line per method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from spaceform.report.figures import ACCENT, INK, PALETTE, QUIET, figure
from spaceform.report.plots import finish

Curve = Sequence[tuple[float, float]]
"""Pairs of recall and queries per second."""

ACROSS, WIDTH, HEIGHT = 4, 2.3, 1.9
LEAST_RECALL = 0.5
"""Left edge of a panel: settings below it help nobody."""


def draw_search_curves(
    cells: Mapping[str, Mapping[str, Curve]], *, ours: str, aim: float, paths: Sequence[Path]
) -> str:
    """Draw for each cell and method what its settings reach; return SVG text and write it to ``paths``.

    Of a method only settings are drawn that no other of its settings beats in both. ``ours`` is drawn on top; a line
    marks the recall that is aimed at. Queries per second are on a logarithmic axis, the same in all panels.
    """
    names = list(dict.fromkeys(name for curves in cells.values() for name in curves))
    others = [name for name in names if name != ours]
    colours = dict(zip(others, [colour for colour in PALETTE if colour != ACCENT] * 3, strict=False)) | {ours: ACCENT}
    down = math.ceil(len(cells) / ACROSS)
    with figure(ACROSS * WIDTH, down * HEIGHT + 0.5) as drawn:
        grid = drawn.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (cell, curves) in zip(grid, cells.items(), strict=False):
            for name in [*others, ours]:
                points = best_settings(curves.get(name, ()))
                if points:
                    look = {"linewidth": 2.0, "zorder": 3} if name == ours else {"linewidth": 1.0, "zorder": 2}
                    recalls, speeds = zip(*points, strict=True)
                    ax.plot(recalls, speeds, color=colours[name], marker="o", markersize=2.5, label=name, **look)
            ax.axvline(aim, color=QUIET, linewidth=0.8, linestyle=":")
            ax.set_title(cell, color=INK)
            ax.set_yscale("log")
            ax.set_xlim(LEAST_RECALL, 1.01)
        for ax in grid[len(cells) :]:
            ax.set_visible(False)
        drawn.supxlabel("recall@10", fontsize=9)
        drawn.supylabel("queries per second", fontsize=9)
        handles = {label: line for ax in grid for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, max(1, len(handles))))
        return finish(drawn, paths)


def best_settings(points: Curve) -> list[tuple[float, float]]:
    """Return the settings by recall, those left out that another one beats in recall and speed."""
    kept: list[tuple[float, float]] = []
    for recall, speed in sorted(points, reverse=True):
        if not kept or speed > kept[-1][1]:
            kept.append((recall, speed))
    return kept[::-1]
