"""Plots of a Space: the map, what an encoder learned, and how many classes there may be."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spaceform.report.figures import ACCENT, INK, PALETTE, QUIET, figure, write
from spaceform.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = len(PALETTE)
"""Classes with a colour of their own; the others are grey."""


def draw_map(xy: FloatArray, classes: Sequence[str | None], *, title: str, paths: Sequence[Path]) -> None:
    """Draw points ``(n, 2)`` coloured by class to every path (.png or .svg); the largest classes get the colours."""
    names, counts = np.unique([name for name in classes if name is not None], return_counts=True)
    chosen = [str(names[i]) for i in np.argsort(-counts, kind="stable")[:LARGEST]]
    column = np.array([chosen.index(name) if name in chosen else -1 for name in classes])
    with figure(9, 6.5) as drawn:
        ax = drawn.add_subplot()
        size = float(np.clip(9000 / len(xy), 1.5, 30))
        for code in [-1, *range(len(chosen))]:
            points = xy[column == code]
            colour, label = (QUIET, "others or none") if code < 0 else (PALETTE[code], chosen[code])
            if len(points):
                ax.scatter(points[:, 0], points[:, 1], s=size, color=colour, label=label, linewidths=0, rasterized=True)
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
        ax.set_aspect("equal")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=max(1.0, 4 / size**0.5))
        for path in paths:
            write(drawn, path)


def draw_learned(learned: Mapping[str, Mapping[str, float]], paths: Sequence[Path]) -> str:
    """Draw retrieval on unseen classes, floors and encoder side by side; return the plot as SVG text."""
    metrics = {"recall_at_1": "recall@1", "map_at_r": "MAP@R"}
    names = list(learned)
    with figure(7.2, 0.5 * len(names) + 1.1) as drawn:
        for ax, (metric, label) in zip(drawn.subplots(1, 2, sharey=True), metrics.items(), strict=True):
            values = [learned[name][metric] for name in names]
            colours = [QUIET] * (len(names) - 1) + [ACCENT]
            ax.barh(range(len(names)), values, color=colours, height=0.62)
            for row, value in enumerate(values):
                ax.text(value, row, f" {value:.3f}", va="center")
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.set_xlim(0, 1.12)
            ax.set_xticks([0, 0.5, 1])
            ax.set_title(f"{label} on unseen classes")
        return finish(drawn, paths)


def draw_index(
    ks: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: int,
    truth: int | None,
    paths: Sequence[Path],
) -> str:
    """Draw validity indices over the number of classes with the chosen number marked; return SVG text."""
    with figure(7.2, 2.8) as drawn:
        ax = drawn.add_subplot()
        for colour, (name, values) in zip(PALETTE, curves.items(), strict=False):
            ax.plot(ks, values, color=colour, linewidth=1.6, label=name)
        ax.axvline(chosen, color=INK, linewidth=1, linestyle="--", label=f"chosen: {chosen}")
        if truth is not None:
            ax.axvline(truth, color=PALETTE[1], linewidth=1, linestyle=":", label=f"true: {truth}")
        ax.set_xlabel("number of classes")
        ax.set_ylabel("index (higher is better)")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return finish(drawn, paths)


def finish(drawn: Figure, paths: Sequence[Path]) -> str:
    """Write ``drawn`` to every path and return it as SVG text."""
    for path in paths:
        write(drawn, path)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]
