"""The classifier that stops early: what it keeps, weighs, takes and refuses."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from spaceform.encoders.classifier import EarlyStoppedClassifier
from spaceform.errors import InputError

QUICK = {"hidden": (32,), "dropout": 0.0, "learning_rate": 1e-2, "epochs": 12, "random_state": 0}


def noisy(seed=0, rows=400, width=20):
    """Return rows whose first column says the label four times out of five."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, width))
    return X, np.where(rng.random(rows) < 0.8, X[:, 0] > 0, X[:, 0] <= 0).astype(int)


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_sample_weight_equivalence_on_dense_data": "which rows are held back is drawn",
        "check_classifiers_classes": "-1 marks unlabelled rows",
        "check_supervised_y_2d": "labels in a column are refused",
    }


@parametrize_with_checks([EarlyStoppedClassifier(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_the_kept_epoch_is_the_one_with_the_lowest_held_out_loss():
    X, y = noisy()
    best = EarlyStoppedClassifier(**{**QUICK, "epochs": 30}).fit(X, y)
    last = EarlyStoppedClassifier(**{**QUICK, "epochs": 30}, early_stopping=False).fit(X, y)
    assert best.validation_losses_ == last.validation_losses_
    assert best.validation_loss_ == min(best.validation_losses_) == best.validation_losses_[best.best_epoch_ - 1]
    assert last.best_epoch_ == 30 > best.best_epoch_
    fresh, truth = noisy(1)
    losses = [-np.log(model.predict_proba(fresh)[np.arange(400), truth]).mean() for model in (best, last)]
    assert losses[0] < losses[1] - 0.1


def test_weights_move_the_answers():
    X, y = np.random.default_rng(0).normal(size=(400, 3)), np.repeat([0, 1], 200)
    model = EarlyStoppedClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 1, 3.0, 1.0))
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(0.75, abs=0.05)


def test_modules_makers_and_pictures():
    X, y = noisy(width=4)
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    before = [value.clone() for value in module.parameters()]
    model = EarlyStoppedClassifier(net=module, **QUICK).fit(X, y)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert model.transform(X).shape == (400, 8)
    assert (model.predict(X) == y).mean() > 0.7
    made = EarlyStoppedClassifier(net=lambda shape, count: nn.Linear(shape[0], count), **QUICK).fit(X, y)
    assert made.predict_proba(X).shape == (400, 2)
    pictures = np.zeros((48, 16, 16), dtype=np.uint8)
    pictures[::2, :8] = 255
    seen = EarlyStoppedClassifier(net="conv:0.125", **{**QUICK, "batch_size": 6}).fit(pictures, np.arange(48) % 2)
    assert (seen.predict(pictures) == np.arange(48) % 2).mean() > 0.9
    with pytest.raises(InputError, match="as in fit"):
        seen.predict(pictures[:, :15, :15])


def test_rows_without_label_are_passed_over():
    X, y = noisy()
    model = EarlyStoppedClassifier(**QUICK).fit(X, np.where(np.arange(400) < 40, -1, y))
    np.testing.assert_array_equal(model.classes_, [0, 1])


@pytest.mark.parametrize(
    ("settings", "y", "name"),
    [
        ({}, np.zeros(400, dtype=int), "class"),
        ({"epochs": 0}, None, "epochs"),
        ({"learning_rate": 0.0}, None, "learning_rate"),
        ({"validation_share": 1.0}, None, "validation_share"),
        ({"net": nn.Linear(20, 3)}, None, "net"),
    ],
)
def test_bad_input_is_refused(settings, y, name):
    X, own = noisy()
    with pytest.raises(InputError, match=name):
        EarlyStoppedClassifier(**{**QUICK, **settings}).fit(X, own if y is None else y)
    with pytest.raises(InputError, match="sample_weight"):
        EarlyStoppedClassifier(**QUICK).fit(X, own, sample_weight=-np.ones(400))
    with pytest.raises(InputError, match="one sample per class"):
        EarlyStoppedClassifier(**QUICK).fit(X[:4], np.arange(4))
