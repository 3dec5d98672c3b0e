"""The map: every row has a place, near rows stay near, equal seeds give equal maps, degenerate spaces too."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.projection import project


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    return Space.create(20 * np.eye(3, 12)[np.arange(90) % 3] + rng.normal(size=(90, 12)))


def test_blobs_stay_apart(blobs):
    placed = project(blobs, seed=1)
    assert placed.xy.shape == (90, 2)
    code = np.arange(90) % 3
    gaps = np.linalg.norm(placed.xy[:, None] - placed.xy[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert (code[gaps.argmin(1)] == code).mean() > 0.95
    np.testing.assert_array_equal(project(blobs, seed=1).xy, placed.xy)


def test_a_large_space_is_sampled(blobs):
    placed = project(blobs, max_rows=40)
    assert len(placed.rows) == len(set(placed.rows)) == 40
    assert (np.diff(placed.rows) > 0).all()
    np.testing.assert_array_equal(project(blobs, max_rows=40).rows, placed.rows)


@pytest.mark.parametrize("X", [np.ones((1, 1)), np.ones((4, 1)), np.ones((30, 5)), np.eye(3), np.arange(20.0)[:, None]])
def test_degenerate_spaces(X):
    placed = project(Space.create(X))
    assert placed.xy.shape == (len(X), 2)
    assert np.isfinite(placed.xy).all()


def test_max_rows_is_checked(blobs):
    with pytest.raises(InputError, match="max_rows"):
        project(blobs, max_rows=0)


def test_a_map_can_start_from_another(blobs):
    first = project(blobs, seed=1).xy
    turned = Space.create(blobs.vectors @ np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0])
    near = np.linalg.norm(project(turned, start=first, seed=1).xy - first, axis=1).mean()
    assert near < np.linalg.norm(first - first.mean(0), axis=1).mean()
    with pytest.raises(InputError, match="start"):
        project(blobs, start=first[:-1])
