"""The sections of the page that a discovery fills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spaceform.report.page import Block, Gallery, GalleryLine, Notes, Plot, Section, Table
from spaceform.report.plots import draw_index
from spaceform.space import Space


def discover_sections(space: Space, folder: Path) -> list[Section]:
    """Return the section on the classes that were discovered in a Space, or none; the index plot goes to ``folder``."""
    found: Mapping[str, Any] | None = space.info.get("discover")
    if not found:
        return []
    blocks: list[Block] = []
    if found["scores"]:
        rows = [(name, one["accuracy"], one["nmi"]) for name, one in found["scores"].items()]
        caption = f"against the {len(found['hidden'])} classes that were hidden, which nothing here was told of"
        blocks.append(Table(columns=("clusters", "accuracy", "NMI"), rows=rows, caption=caption, bars=(1, 2)))
    blocks.append(Gallery(lines=[_line(one) for one in found["classes"]]))
    if found["sweep"]:
        sweep = found["sweep"]
        truth = len(found["hidden"]) or None
        paths = [folder / f"classes.{kind}" for kind in ("png", "svg")]
        curves = {sweep["index"].replace("_", " "): sweep["means"]}
        svg = draw_index(sweep["ks"], curves, chosen=found["n_novel"], truth=truth, paths=paths)
        blocks.append(Plot(svg=svg, caption="How many classes? The index over their number, on the unlabelled rows."))
    if found["notes"]:
        blocks.append(Notes(sentences=found["notes"]))
    intro = (
        f"{found['n_novel']} classes in {found['unlabelled']:,} unlabelled rows, found with the help of "
        f"{found['known_classes']} known classes. Each line shows the rows nearest to the centre of one class; "
        "its name is made of the words that its rows share and others lack."
    )
    return [Section(title="Classes that nobody labelled", intro=intro, blocks=blocks)]


def _line(one: Mapping[str, Any]) -> GalleryLine:
    trust = "stable" if one["stability"] >= 0.75 else "fair" if one["stability"] >= 0.5 else "loose"
    note = f"{one['size']:,} rows, {trust} (stability {one['stability']:.2f}, confidence {one['confidence']:.2f})"
    return GalleryLine(title=one["name"], note=note, groups=[one["exemplars"]])
