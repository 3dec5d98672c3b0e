"""The ICNN score of given embeddings: worked values, invariances, agreement with other measures, refusals."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from spaceform.errors import InputError
from spaceform.metrics.icnn import icnn_score


def blobs(gap, n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return gap * np.eye(3)[y] + rng.normal(size=(n, 3)), y


def test_worked_values():
    X, y = np.array([0, 1, 2, 10, 11, 12.0])[:, None], np.array(["a", "a", "a", "b", "b", "b"])
    found = icnn_score(X, y, k=2)
    assert (found.intra, found.inter, found.gamma) == pytest.approx((0.850463, 1, 1), abs=1e-6)
    assert found.score == pytest.approx(0.962616, abs=1e-6)
    assert icnn_score(X, y).score == pytest.approx(0.932323, abs=1e-6)
    assert set(found.to_dict()) == {"score", "intra", "inter", "gamma"}


def test_it_rises_with_the_gap_as_the_silhouette_does():
    gaps = (0.0, 1.0, 2.0, 4.0, 8.0)
    scores = [icnn_score(*blobs(gap), window=20).score for gap in gaps]
    silhouettes = [silhouette_score(*blobs(gap)) for gap in gaps]
    assert scores == sorted(scores)
    assert np.argsort(scores).tolist() == np.argsort(silhouettes).tolist()


def test_moves_scales_and_names_change_nothing():
    X, y = blobs(2.0)
    plain = icnn_score(X, y).score
    assert icnn_score(7 * X, y).score == pytest.approx(plain, abs=1e-6)
    assert icnn_score(X + 1e4, y).score == pytest.approx(plain, abs=1e-4)
    order = np.random.default_rng(0).permutation(len(y))
    assert icnn_score(X[order], np.array(["x", "y", "z"])[y[order]]).score == pytest.approx(plain)


def test_even_interleaving_does_not_lower_inter():
    X, y = np.arange(8.0)[:, None], np.arange(8) % 2
    found = icnn_score(X, y, k=1)
    assert found.inter == pytest.approx(1)
    assert found.gamma == 0


def test_foreign_rows_at_the_same_place_are_foreign():
    X, y = np.zeros((6, 2)), np.arange(6) % 2
    found = icnn_score(X, y, k=2)
    assert 0 <= found.score <= 1
    assert 0 < found.gamma < 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"k": 0}, "k"),
        ({"window": 2}, "window"),
        ({"window": 60}, "window"),
        ({"y": np.zeros(60)}, "y"),
        ({"y": np.zeros(3)}, "y"),
        ({"reference": np.zeros((5, 3))}, "reference_labels"),
        ({"reference": np.zeros((5, 2)), "reference_labels": np.arange(5)}, "reference"),
        ({"X": np.full((60, 3), np.nan)}, "X"),
    ],
)
def test_refusals(change, name):
    X, y = blobs(1.0)
    arguments = {"X": X, "y": y} | change
    with pytest.raises(InputError, match=name):
        icnn_score(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_two_rows_are_too_few():
    with pytest.raises(InputError, match="three"):
        icnn_score([[0.0], [1.0]], [0, 1])
