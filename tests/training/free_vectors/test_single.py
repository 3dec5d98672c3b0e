"""The reference: Adam's step, then the sphere."""

import numpy as np
import pytest
import torch

from spaceform.training.free_vectors.losses import LOSSES, Objective
from spaceform.training.free_vectors.single import Adam, SingleDescent, on_sphere

TABLE = np.eye(4, 5, dtype=bool)


def unit(generator, n, d=3):
    rows = generator.normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_row_taken_to_zero_stays():
    rows = np.array([[1.0, 0], [0, 1]])
    np.testing.assert_array_equal(on_sphere(rows, np.array([[1.0, 0], [0, -1]])), rows)


def test_adam_is_that_of_torch():
    generator = np.random.default_rng(0)
    value = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    theirs, ours = torch.optim.Adam([value], lr=0.01), Adam((4,), 0.01)
    moved = np.zeros(4)
    for _ in range(20):
        gradient = generator.normal(size=4)
        value.grad = torch.from_numpy(gradient)
        theirs.step()
        moved -= ours.step(gradient)
    np.testing.assert_allclose(moved, value.detach(), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_falls_and_rows_stay_on_the_sphere(loss):
    generator = np.random.default_rng(0)
    descent = SingleDescent(unit(generator, 4), unit(generator, 5), TABLE, objective=Objective(loss=loss))
    found = []
    for _ in range(100):
        found.append(descent.losses()[0])
        descent.update()
    assert found[-1] < 0.5 * found[0]
    for rows in descent.rows(0):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)


def test_the_threshold_moves_for_the_sigmoid_alone():
    generator = np.random.default_rng(0)
    start = unit(generator, 4), unit(generator, 5), TABLE
    for loss, moves in (("infonce", False), ("sigmoid", True)):
        descent = SingleDescent(*start, objective=Objective(loss=loss))
        descent.losses()
        descent.update()
        assert (descent._threshold != 0).all() == moves
