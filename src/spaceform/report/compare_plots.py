"""Plots of a comparison: how far neighbours overlap, and what heads read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spaceform.report.figures import ACCENT, INK, PALETTE, QUIET, figure
from spaceform.report.plots import finish
from spaceform.workflows.comparing.reading import Reading

WAYS = {
    "own": ("at home", INK),
    "rigid": ("after a rotation", ACCENT),
    "linear": ("after a linear map", PALETTE[2]),
    "relative": ("relative coordinates", PALETTE[3]),
    "absolute": ("as it is", PALETTE[1]),
    "shuffled": ("wrong pairs", QUIET),
}
"""Ways of reading, best first, with name and colour."""


def draw_overlap(histograms: Mapping[str, Sequence[float]], *, k: int) -> str:
    """Draw items over the overlap of their ``k`` neighbours, with pairs as they are and shuffled; return SVG text."""
    edges = np.asarray(histograms["edges"])
    width = edges[1] - edges[0]
    total = max(1.0, float(sum(histograms["observed"])))
    with figure(7.2, 2.6) as drawn:
        ax = drawn.add_subplot()
        shares = [np.asarray(histograms[name]) / total for name in ("shuffled", "observed")]
        for values, colour, name in zip(shares, (QUIET, ACCENT), ("wrong pairs", "A and B"), strict=True):
            ax.bar(edges[:-1], values, width=width * 0.94, align="edge", color=colour, alpha=0.75, label=name)
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"overlap of the {k} nearest rows (0: none shared, 1: the same)")
        ax.set_ylabel("share of items")
        ax.legend()
        return finish(drawn, [])


def draw_readings(readings: Sequence[Reading]) -> str:
    """Draw the accuracy of each head on its own space and on the other by every way; return SVG text."""
    with figure(7.2, 2.5) as drawn:
        for ax, one in zip(drawn.subplots(1, len(readings), sharey=True, squeeze=False)[0], readings, strict=True):
            shown = [(name, colour, getattr(one, way)) for way, (name, colour) in WAYS.items()]
            values = [0.0 if value is None else value for _, _, value in shown]
            ax.barh(range(len(shown)), values, color=[colour for _, colour, _ in shown], height=0.66)
            for row, (_, _, value) in enumerate(shown):
                ax.text(values[row], row, " not defined" if value is None else f" {value:.2f}", va="center")
            ax.set_yticks(range(len(shown)), [name for name, _, _ in shown])
            ax.set_ylim(len(shown) - 0.5, -0.5)
            ax.set_xlim(0, 1.15)
            ax.set_xticks([0, 0.5, 1])
            ax.set_title(f"the head of {one.head} reads {one.away}")
        return finish(drawn, [])
