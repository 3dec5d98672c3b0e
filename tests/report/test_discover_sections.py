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
    assert [line.title for line in gallery.lines] == [one.name for one in found.classes]
    first = found.classes[0]
    assert gallery.lines[0].groups == [first.exemplars[:10], first.unsure]
    assert gallery.lines[0].captions == ("typical", "least sure")
    assert section.blocks[0].sentences == list(found.conclusions)
    (table,) = (block for block in section.blocks if block.kind == "table")
    assert {row[0]: row[1] for row in table.rows}["silhouette"] == 4
    assert {path.name for path in tmp_path.iterdir()} == {"classes.png", "classes.svg"}
