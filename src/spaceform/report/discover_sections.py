"""The sections of the page that a discovery fills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spaceform.report.page import Block, Gallery, GalleryLine, Notes, Plot, Section, Table
from spaceform.report.plots import draw_index
from spaceform.space import Space

STABLE, FAIR = 0.75, 0.5
"""Mean Jaccard similarity to its best counterpart from which a class is stable, and below which it dissolves."""

LOOSE = (
    "These dissolve when part of the rows, or another seed, is clustered again: groups to look at, not classes to use."
)

SHOWN = 10
"""Typical rows of a class that are shown."""

CRITERIA = {
    "silhouette": "how much nearer rows are to their own class than to the next",
    "davies_bouldin": "spread of the classes against the gaps between them, the worst neighbour of each",
    "calinski_harabasz": "scatter between classes against scatter within",
    "elbow": "where more classes stop paying",
    "agreement": "whether clustering again gives the same classes",
}


def discover_sections(space: Space, folder: Path) -> list[Section]:
    """Return the sections on the classes that were discovered in a Space, or none; the plot goes to ``folder``."""
    found: Mapping[str, Any] | None = space.info.get("discover")
    if not found:
        return []
    blocks: list[Block] = [Notes(sentences=found.get("conclusions", []))]
    if found["scores"]:
        rows = [(name, one["accuracy"], one["nmi"]) for name, one in found["scores"].items()]
        caption = f"against the {len(found['hidden'])} classes that were hidden, which nothing here was told of"
        blocks.append(Table(columns=("clusters", "accuracy", "NMI"), rows=rows, caption=caption, bars=(1, 2)))
    classes = sorted(found["classes"], key=_trust, reverse=True)
    sure = [one for one in classes if _trust(one) >= FAIR]
    loose = [one for one in classes if _trust(one) < FAIR]
    if sure:
        blocks.append(Gallery(lines=[_line(one) for one in sure]))
    if found.get("criteria"):
        blocks += _numbers(found, folder)
    if found["notes"]:
        blocks.append(Notes(sentences=found["notes"], kind="notes warnings"))
    intro = (
        f"{found['n_novel']} classes in {found['unlabelled']:,} unlabelled rows, found by {found['method']} with the "
        f"help of {found['known_classes']} known classes, the surest first. Each line shows the rows nearest to the "
        "centre of one class, then those that could nearly be of another; its name is made of the words that its rows "
        "share and others lack."
    )
    sections = [Section(title="Classes that nobody labelled", intro=intro, blocks=blocks)]
    if loose:
        sections.append(
            Section(title="Loose groups", intro=LOOSE, blocks=[Gallery(lines=[_line(one) for one in loose])])
        )
    return sections


def _trust(one: Mapping[str, Any]) -> float:
    """Return how surely a class is one: it comes back from part of its rows, and under other seeds."""
    known = [value for value in (one["stability"], one.get("repeated")) if value is not None]
    return float(min(known))


def _numbers(found: Mapping[str, Any], folder: Path) -> list[Block]:
    """Return the plot of several criteria over the number of classes, and what each says."""
    criteria = found["criteria"]
    truth = len(found["hidden"]) or None
    paths = [folder / f"classes.{kind}" for kind in ("png", "svg")]
    curves = {name.replace("_", " "): one["curve"] for name, one in criteria.items()}
    ks = next(iter(criteria.values()))["ks"]
    svg = draw_index(ks, curves, chosen=found["n_novel"], truth=truth, paths=paths)
    columns, rows = ["criterion", "says"], [[name.replace("_", " "), one["best"]] for name, one in criteria.items()]
    if any(one.get("off") for one in criteria.values()):
        columns.append("off by, on known classes")
        rows = [[*row, f"x {one['off']:.1f}"] for row, one in zip(rows, criteria.values(), strict=True)]
    rows = [[*row, CRITERIA[name]] for row, name in zip(rows, criteria, strict=True)]
    caption = "How many classes? Each criterion from its worst to its best over the numbers tried, on unlabelled rows."
    return [Plot(svg=svg, caption=caption), Table(columns=(*columns, "looks at"), rows=rows)]


def _line(one: Mapping[str, Any]) -> GalleryLine:
    trust = "stable" if _trust(one) >= STABLE else "fair" if _trust(one) >= FAIR else "loose"
    seeds = "" if one.get("repeated") is None else f", other seeds {one['repeated']:.2f}"
    note = (
        f"{one['size']:,} rows, {trust} (stability {one['stability']:.2f}{seeds}, confidence {one['confidence']:.2f})"
    )
    typical = list(one["exemplars"])[:SHOWN]
    unsure = [row for row in one.get("unsure", ()) if row not in typical]
    if not unsure:
        return GalleryLine(title=one["name"], note=note, groups=[typical])
    groups = [typical, unsure]
    return GalleryLine(title=one["name"], note=note, groups=groups, captions=("typical", "least sure"))
