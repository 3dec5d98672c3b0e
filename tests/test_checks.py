"""Validation at the door."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError

from spaceform import checks
from spaceform.errors import InputError, MissingExtraError
from spaceform.rng import as_generator, derive_seed


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((0, 3)), "at least 1 row"),
        (np.zeros((3, 0)), "1 column"),
        ([[1.0, np.nan]], "NaN"),
        ([[1.0], [np.inf]], "row 1"),
        ([["a", "b"]], "numeric"),
        ([[1.0], [2.0, 3.0]], "numeric"),
        (None, "numeric"),
        ([[1 + 2j]], "Complex data not supported"),
        (sparse.eye_array(3), "toarray"),
    ],
)
def test_check_matrix_refuses(X, words):
    with pytest.raises(InputError, match=words) as caught:
        checks.check_matrix(X, "points")
    assert str(caught.value).startswith("points:")


def test_check_matrix_keeps_float32_and_huge_values():
    X = np.ones((2, 2), dtype=np.float32)
    assert checks.check_matrix(X) is X
    assert checks.check_matrix([[1, 2]]).dtype == np.float64
    assert checks.check_matrix(np.full((1, 4), 1e308)).shape == (1, 4)
    with pytest.raises(InputError, match="3 columns"):
        checks.check_matrix(X, width=3)


def test_rows_of_an_estimator_keep_width_and_names():
    model = DummyClassifier()
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert checks.check_rows(model, frame, fitting=True).dtype == np.float64
    assert model.n_features_in_ == 2
    assert list(model.feature_names_in_) == ["a", "b"]
    checks.check_rows(model, frame, fitting=False)
    with pytest.raises(ValueError, match="feature names"):
        checks.check_rows(model, frame[["b", "a"]], fitting=False)
    plain = DummyClassifier()
    checks.check_rows(plain, frame.to_numpy(), fitting=True)
    with pytest.raises(ValueError, match="expecting 2 features"):
        checks.check_rows(plain, frame[["a"]].to_numpy(), fitting=False)
    with pytest.raises(NotFittedError):
        checks.check_rows(DummyClassifier(), frame, fitting=False)


def test_partial_labels():
    assert checks.check_partial_labels([0, -1, 2], 3).tolist() == [0, -1, 2]
    assert checks.check_partial_labels([0.0, 1.0], 2).dtype == np.int64
    for bad in ([0, -2], [0.5, 1], ["a", "b"], [0], [np.nan, 1]):
        with pytest.raises(InputError, match="y"):
            checks.check_partial_labels(bad, 2)


def test_numbers_and_choices():
    assert checks.check_integer(np.int32(3), "k", low=1) == 3
    assert checks.check_real(1, "x") == 1.0
    for call in (
        lambda: checks.check_integer(True, "k"),
        lambda: checks.check_integer(2.0, "k"),
        lambda: checks.check_integer(0, "k", low=1),
        lambda: checks.check_real(float("nan"), "x"),
        lambda: checks.check_real(0, "x", low=0, open_ends=True),
        lambda: checks.check_real("1", "x"),
        lambda: checks.check_choice("c", "mode", ("a", "b")),
    ):
        with pytest.raises(InputError):
            call()


def test_missing_extra_names_the_pip_line():
    with pytest.raises(MissingExtraError, match=r"pip install 'spaceform\[text\]'"):
        checks.require("no_such_module_here", "text")


def test_seeds():
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    assert len({derive_seed(s, k) for s in range(5) for k in ("a", "b", 1, 2)}) == 20
    assert derive_seed(3, "stable") == derive_seed(3, "stable")
    generator = np.random.default_rng(0)
    assert as_generator(generator) is generator
    for bad in (-1, 1.5, "x", True):
        with pytest.raises(InputError, match="random_state"):
            as_generator(bad)
