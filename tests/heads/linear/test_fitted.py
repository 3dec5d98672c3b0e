"""A linear head fitted on given embeddings."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from spaceform.errors import InputError
from spaceform.heads.linear.fitted import fit_linear_head


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_logistic_regression_of_standardised_columns(classes):
    rng = np.random.default_rng(0)
    y = np.arange(90) % classes
    X = (rng.normal(size=(90, 4)) + np.outer(y, [1, 0, 0, 2])) * [1, 10, 100, 0.1] + 5
    head = fit_linear_head(X, y)
    Z = (X - X.mean(0)) / X.std(0)
    expected = LogisticRegression(max_iter=1000).fit(Z, y).predict_proba(Z)
    logits = head.logits(X)
    found = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert head.weight.shape == (classes, 4)


def test_unlabelled_rows_and_constant_columns_do_no_harm():
    X = np.hstack([np.random.default_rng(0).normal(size=(40, 2)), np.ones((40, 1))])
    y = np.where(np.arange(40) % 4 == 0, -1, X[:, 0] > 0)
    assert np.isfinite(fit_linear_head(X, y).weight).all()


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 2, 2], [-1, -1, 0]])
def test_missing_classes_are_refused(y):
    with pytest.raises(InputError, match="y"):
        fit_linear_head(np.eye(3), y)
