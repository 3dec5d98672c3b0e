"""Sections from a discovery: a line per class with its exemplars; nothing where nothing was discovered."""

import numpy as np

from spaceform.report.discover_sections import discover_sections
from spaceform.space import Space
from spaceform.workflows.discover import discover


def test_one_line_per_class(tmp_path):
    rng = np.random.default_rng(0)
    space = Space.create(6 * rng.normal(size=(4, 6))[np.arange(80) % 4] + rng.normal(size=(80, 6)))
    assert discover_sections(space, tmp_path) == []
    found = discover(space, n_novel=4)
    (section,) = discover_sections(found.space, tmp_path)
    gallery = next(block for block in section.blocks if block.kind == "gallery")
    assert {line.title for line in gallery.lines} == {one.name for one in found.classes}
    first = next(one for one in found.classes if one.name == gallery.lines[0].title)
    typical, unsure = gallery.lines[0].groups
    assert typical == list(first.exemplars[:10])
    assert set(unsure) <= set(first.unsure) - set(typical), "no row is shown as both"
    assert gallery.lines[0].captions == ("typical", "least sure")
    assert section.blocks[0].sentences == list(found.conclusions)
    (table,) = (block for block in section.blocks if block.kind == "table")
    assert {row[0]: row[1] for row in table.rows}["silhouette"] == 4
    assert {path.name for path in tmp_path.iterdir()} == {"classes.png", "classes.svg"}


def test_the_surest_come_first_and_what_dissolves_is_set_apart(tmp_path):
    space = Space.create(np.random.default_rng(0).normal(size=(60, 6)))
    found = discover(space, n_novel=6, repeats=1)
    sections = discover_sections(found.space, tmp_path)
    lines = [line for one in sections for block in one.blocks if block.kind == "gallery" for line in block.lines]
    trust = {one.name: min(one.stability, one.repeated) for one in found.classes}
    said = [trust[line.title] for line in lines]
    assert said == sorted(said, reverse=True)
    loose = {name for name, value in trust.items() if value < 0.5}
    assert sections[-1].title == "Loose groups"
    assert {line.title for line in sections[-1].blocks[0].lines} == loose
