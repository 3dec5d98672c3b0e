"""Movement against n x n kernels, its invariances, and that it tells frozen features from learned ones."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.metrics.movement.kernel_movement import kernel_movement


def rows(seed, n=40, d=6):
    return np.random.default_rng(seed).normal(size=(n, d)) + 0.5


def chord(K, L):
    return np.linalg.norm(K / np.linalg.norm(K) - L / np.linalg.norm(L))


def test_is_the_distance_of_gram_matrices():
    X, Y = rows(0), rows(1, d=9)
    found = kernel_movement(X, Y, k=5)
    centre = np.eye(40) - 1 / 40
    assert found.kernel == pytest.approx(chord(X @ X.T, Y @ Y.T))
    assert found.centred == pytest.approx(chord(centre @ X @ X.T @ centre, centre @ Y @ Y.T @ centre))
    assert found.coordinates is None
    assert found.labels is None
    unit = [Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (X, Y)]
    near = [np.argsort(-(U @ U.T) + 9 * np.eye(40), axis=1)[:, :5] for U in unit]
    kept = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)])
    assert found.neighbours == pytest.approx(1 - kept)


def test_rotation_and_scale_are_no_movement():
    X = rows(2)
    turn = np.linalg.qr(rows(3, n=6))[0]
    found = kernel_movement(X, 5 * X @ turn)
    assert found.kernel == pytest.approx(0, abs=1e-6)
    assert found.centred == pytest.approx(0, abs=1e-6)
    assert found.neighbours == 0
    assert found.coordinates > 1
    assert found.frozen


def test_movement_grows_with_what_is_added_and_is_symmetric():
    X, noise = rows(4), rows(5)
    moved = [kernel_movement(X, X + size * noise) for size in (0, 0.02, 0.5, 2)]
    assert [one.frozen for one in moved] == [True, True, False, False]
    assert np.all(np.diff([one.centred for one in moved]) > 0)
    assert moved[1].coordinates == pytest.approx(0.02 * np.linalg.norm(noise) / np.linalg.norm(X))
    assert kernel_movement(X + noise, X).centred == pytest.approx(kernel_movement(X, X + noise).centred)


def test_alignment_with_classes_rises_when_classes_part():
    y = np.arange(40) % 4
    X = rows(6)
    labels = np.where(np.arange(40) < 8, -1, y)
    before, after = kernel_movement(X, X + 3 * np.eye(4, 6)[y], labels).labels
    assert after > before + 0.3
    assert kernel_movement(X, X, np.zeros(40, dtype=int)).labels is None


def test_equal_rows_do_not_disturb():
    X = np.repeat(rows(7, n=4), 10, axis=0)
    found = kernel_movement(X, X, k=3)
    assert 0 <= found.neighbours <= 1
    assert found.to_dict()["frozen"] is True


@pytest.mark.parametrize(
    ("X", "Y", "k"),
    [
        (rows(0), rows(0, n=39), 5),
        (rows(0), rows(0), 40),
        (rows(0), np.full((40, 6), np.nan), 5),
        (rows(0), np.ones((40, 6)), 5),
        (rows(0), np.vstack([np.zeros((1, 6)), rows(1, n=39)]), 5),
        (rows(0, n=2), rows(0, n=2), 1),
    ],
)
def test_refused(X, Y, k):
    with pytest.raises(InputError):
        kernel_movement(X, Y, k=k)
