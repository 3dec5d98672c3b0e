"""Sections from an audit: a part without an answer is left out, the others stay."""

import numpy as np

from spaceform.report.audit_sections import audit_sections
from spaceform.report.page import Gallery
from spaceform.space import Space
from spaceform.workflows.audit import audit


def titles(space):
    return [section.title for section in audit_sections(audit(space).to_dict())]


def test_labels_add_sections():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    bare = titles(Space.create(X))
    labelled = titles(Space.create(X, attributes={"kind": [f"k{i % 5}" for i in range(60)]}, label="kind"))
    assert "Most confused" in labelled
    assert "Most confused" not in bare
    assert set(bare) <= set(labelled)


def test_confused_pairs_show_rows_of_both_sides():
    rng = np.random.default_rng(1)
    codes = np.arange(40) % 2
    space = Space.create(rng.normal(size=(40, 3)), attributes={"kind": [f"k{c}" for c in codes]}, label="kind")
    (section,) = [s for s in audit_sections(audit(space).to_dict()) if s.title == "Most confused"]
    gallery = section.blocks[0]
    assert isinstance(gallery, Gallery)
    left, right = gallery.lines[0].groups
    assert {codes[row] for row in left} != {codes[row] for row in right}
