"""The claim runs at smoke scale, its mechanism holds, and its cells are what they are called."""

import math

import numpy as np
import pytest

from contracts import claims as contract
from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.vector_search import filtered_ann as claim
from spaceform.claims.vector_search import filtered_ann_cells as cells
from spaceform.search.references.filtering import PreFilterIndex


@pytest.fixture(scope="module")
def data():
    return cells.load_rows({"data": "drawn", "rows": 3_000, "width": 8}, lambda *_, **__: None)


@pytest.fixture(scope="module")
def made(data):
    return {cell.name: cell for cell in cells.make_cells(data, np.arange(10), 3)}


def test_the_mechanism_holds_at_smoke_scale():
    record = runner.reproduce(claim.SLUG, scale="smoke")
    contract.check_figures(claim, papers.load(claim.SLUG), record.figures())
    claim.mechanism(record)
    for figures in record.figures()["planner"].values():
        assert figures["worst_recall"] >= 0.95


def test_masks_are_what_the_filters_say(data, made):
    judge = PreFilterIndex().fit(data.rows, data.attributes)
    for cell in made.values():
        for one, mask in zip(cell.filters, cell.masks, strict=True):
            np.testing.assert_array_equal(mask if isinstance(one, np.ndarray) else judge.passing(one), mask)
    assert made["all"].masks.all()
    for name, share in cells.RANGES.items():
        assert math.isclose(made[name].masks.mean(), share, rel_tol=0.5)


def test_near_is_near_far_is_far_and_independence_is_wrong_down_a_path(data, made):
    scores = data.queries[:10] @ data.rows.T
    for kind in ("equality", "drawn"):
        near, far = (
            np.mean([scores[i][mask].mean() for i, mask in enumerate(made[f"{kind}, {way}"].masks)])
            for way in ("near", "far")
        )
        assert near > scores.mean() > far
    hierarchy = made["hierarchy"]
    assert (hierarchy.guess < 0.7 * hierarchy.masks.sum(axis=1)).all()


def test_wrong_answers_are_counted_short_ones_and_violating_ones(made):
    cell = made["range 0.2%"]
    true = np.full((10, 10), -1)
    for i, mask in enumerate(cell.masks):
        passing = np.flatnonzero(mask)[:10]
        true[i, : len(passing)] = passing
    assert claim._wrong(true, cell) == 0
    short, foreign = true.copy(), true.copy()
    short[0, (true[0] >= 0).sum() - 1] = -1
    foreign[1, 0] = np.flatnonzero(~cell.masks[1])[0]
    assert claim._wrong(short, cell) == 1
    assert claim._wrong(foreign, cell) == 1
    known = [np.flatnonzero(mask)[:10] for mask in cell.masks]
    assert claim._recall(true, known) == 1
    assert claim._recall(short, known) < 1
