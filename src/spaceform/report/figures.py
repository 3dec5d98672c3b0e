"""The house style of plots, and how a figure is written: PNG to look at, SVG to print, byte-equal for equal input."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaceform.checks import require
from spaceform.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2430"
QUIET = "#9aa3b2"
ACCENT = "#2f6fde"
PALETTE = (
    "#2f6fde", "#e4572e", "#2a9d5c", "#b07d2b", "#8e44ad", "#17a2b8", "#d6336c", "#6c8f1f", "#5c6b8a", "#c0392b",
    "#0b7285", "#e67e22",
)  # fmt: skip
"""Twelve colours that stay apart on white and on dark ground; more classes than that repeat them."""

VERDICT_COLOURS = {
    "reproduced": "#2a9d5c",
    "weaker": "#b07d2b",
    "not reproduced": "#9aa3b2",
    "contradicted": "#c0392b",
}

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "svg.hashsalt": "spaceform",
    "svg.fonttype": "path",
    "legend.frameon": False,
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of ``width`` x ``height`` inches in the house style; no global state of matplotlib is changed."""
    matplotlib = require("matplotlib", "report")
    module = require("matplotlib.figure", "report")
    with matplotlib.rc_context(STYLE):
        yield module.Figure(figsize=(width, height), layout="constrained")


def write(drawn: Figure, path: Path, *, dpi: int = 144) -> Path:
    """Write ``drawn`` as PNG or SVG (by the suffix), aside and renamed, without a date inside. Returns ``path``."""
    buffer = io.BytesIO()
    kind = path.suffix.removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    drawn.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))
    return path
