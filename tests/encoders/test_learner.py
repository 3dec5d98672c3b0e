"""The learner of any loss: learns with each, resumes, is saved and found again."""

import numpy as np
import pytest
import torch

from spaceform.encoders.learner import MetricLearner
from spaceform.encoders.named_loss import loss_classes
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.supcon import SupConLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.metrics.retrieval import recall_at_k

SMALL = {"embedding_dim": 8, "classes_per_batch": 6, "samples_per_class": 2, "augment": False, "net": "mlp"}
ORDERED = {"n_pair", "harmonic_triplet"}
"""Losses over batches with an order, or two of them, which no class-balanced batch has."""


@pytest.fixture(scope="module")
def rows():
    """Twelve classes of six rows, whose first dimensions tell the class and whose others are noise."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 6)
    X = np.hstack([rng.normal(size=(12, 6))[y], 0.7 * rng.normal(size=(72, 6))]).astype(np.float32)
    return X, y


@pytest.mark.parametrize("name", sorted(set(loss_classes()) - ORDERED))
def test_every_loss_trains(name, rows):
    X, y = rows
    floor = MetricLearner(**SMALL, loss=name, steps=0).fit(X, y)
    learner = MetricLearner(**SMALL, loss=name, steps=100).fit(X, y)
    before, after = (recall_at_k(model.transform(X), y, ks=(1,))[1] for model in (floor, learner))
    assert after > before + 0.2, f"{name}: {before:.2f} before, {after:.2f} after"


def test_sums_of_losses_and_modules_train(rows):
    X, y = rows
    learner = MetricLearner(**SMALL, loss=TripletLoss() + 0.1 * SupConLoss(), steps=100).fit(X, y)
    assert recall_at_k(learner.transform(X), y, ks=(1,))[1] > 0.5


def test_a_killed_fit_goes_on_and_ends_the_same(rows, tmp_path):
    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    settings = {**SMALL, "loss": "proxy_nca", "steps": 8}
    whole = MetricLearner(**settings).fit(*rows)
    with pytest.raises(KeyboardInterrupt):
        MetricLearner(**settings).fit(*rows, checkpoint=tmp_path, progress=kill)
    resumed = MetricLearner(**settings).fit(*rows, checkpoint=tmp_path)
    assert resumed.fingerprint == whole.fingerprint
    assert torch.equal(resumed.loss_.vectors, whole.loss_.vectors)


def test_saved_and_found_again(rows, tmp_path):
    learner = MetricLearner(**SMALL, loss=TripletLoss(), steps=3).fit(*rows)
    learner.save(tmp_path)
    np.testing.assert_array_equal(MetricLearner.load(tmp_path).transform(rows[0]), learner.transform(rows[0]))


def test_a_callback_ends_training(rows):
    learner = MetricLearner(**SMALL, steps=50).fit(*rows, callbacks=[lambda step, figures: "enough" * (step == 3)])
    assert learner.history_.stopped == "enough"
    assert len(learner.history_.steps) == 3


def test_what_does_not_fit_is_refused(rows):
    X, y = rows
    with pytest.raises(InputError, match="loss"):
        MetricLearner(**SMALL, loss="softmax2").fit(X, y)
    with pytest.raises(NoPairsError):
        MetricLearner(**SMALL).fit(X, np.arange(len(X)))
    with pytest.raises(InputError, match="loss_rate_factor"):
        MetricLearner(**SMALL, loss_rate_factor=0).fit(X, y)
