"""Which shape an attribute has, and what its facet can say of it."""

import datetime as dt

import numpy as np
import pytest

from spaceform.search.filters import parse
from spaceform.space import Space
from spaceform.workflows.searching.facets import BINS, SHOWN, Facets
from spaceform.workflows.searching.finder import Finder

N = 80


@pytest.fixture(scope="module")
def scene():
    noon = dt.datetime.fromisoformat("2024-02-29T12:00:00")
    space = Space.create(
        np.random.default_rng(0).normal(size=(N, 3)),
        attributes={
            "many": [f"value {i % 20}" for i in range(N)],
            "own": [f"row {i}" for i in range(N)],
            "long": ["a sentence that goes on and on, and on, until nobody would tick it any more"] * N,
            "few": [i % 3 for i in range(N)],
            "edge": [[0.5, float("inf"), float("nan"), 2.0][i % 4] for i in range(N)],
            "when": [noon + dt.timedelta(hours=i) for i in range(N)],
            "empty": [""] * N,
            "nothing": [None] * (N - 1) + [["x", "x"]],
        },
    )
    return Facets(space), Finder(space, None)


def counted(scene, where=None):
    facets, finder = scene
    condition = None if where is None else parse(where)
    return {facet.name: facet for facet in facets.counted(condition, finder.passing)}


def test_shapes(scene):
    shapes = {name: facet.shape for name, facet in counted(scene).items()}
    assert shapes == {
        "many": "values", "few": "values", "edge": "range", "when": "range", "empty": "values", "nothing": "values",
        "own": "words", "long": "words",
    }  # fmt: skip
    assert list(shapes)[-2:] == ["own", "long"]


def test_the_most_frequent_values_are_shown_and_the_chosen_ones(scene):
    facet = counted(scene, "many = 'value 19'")["many"]
    assert [value.value for value in facet.values] == [*(f"value {i}" for i in range(SHOWN)), "value 19"]
    assert [value.chosen for value in facet.values] == [False] * SHOWN + [True]
    assert (facet.distinct, {value.count for value in facet.values}) == (20, {N // 20})
    assert counted(scene)["nothing"].values[0].count == 1  # a row counts once, however often it says so


def test_ranges_leave_out_what_is_no_number(scene):
    facets = counted(scene, "edge <= 1 and when >= '2024-03-01'")
    edge, when = facets["edge"], facets["when"]
    assert (edge.low, edge.high, edge.chosen, len(edge.bars)) == (0.5, 2.0, (None, 1), BINS)
    assert (when.low, when.chosen[1]) == ("2024-02-29T12:00:00", None)
    assert str(when.chosen[0]).startswith("2024-03-01")
    assert sum(when.bars) == N // 4


@pytest.mark.parametrize("where", ["few = 1 or many = 'value 1'", "not few = 1", "own like 'row%'", "few != 1"])
def test_conditions_that_no_facet_can_show_stay_parts_of_their_own(scene, where):
    (part,) = scene[0].parts(parse(where))
    assert part.facet is None
    assert parse(f"{part.text} and few = 2").columns() >= parse(where).columns()
