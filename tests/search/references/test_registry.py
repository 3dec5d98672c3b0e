"""What a benchmark is told of the reference methods is so; their answers are tested with the paper's method."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.search.references.registry import KINDS, references

ATTRIBUTES = {"kind": ["a", "b"] * 20, "tags": [["x"], ["x", "y"]] * 20, "size": list(range(40))}
ASKED = {"equality": ("kind", "kind = 'a'"), "membership": ("tags", "tags contains 'y'"), "range": ("size", "size < 9")}
ROWS = np.random.default_rng(0).normal(size=(40, 6))


@pytest.mark.parametrize("name", references())
def test_a_method_serves_what_it_says_and_refuses_the_rest(name):
    one = references()[name]
    for kind, (column, text) in ASKED.items():
        if one.serves(kind):
            index = one.make(column).fit(ROWS, ATTRIBUTES)
            assert (index.query(ROWS[:3], 2, where=text).rows >= 0).any(), kind
        else:
            with pytest.raises(InputError):
                one.make(column).fit(ROWS, ATTRIBUTES).query(ROWS[:3], 2, where=text)


def test_grids_ascend_and_every_kind_is_served_by_several():
    for one in references().values():
        assert list(one.search_lists) == sorted(one.search_lists)
    for kind in KINDS:
        assert sum(one.serves(kind) for one in references().values()) >= 5
    with pytest.raises(InputError, match="kind"):
        references()["ung"].serves("fuzzy")
