"""The frame of discoverers, with the smallest that there can be: it names rows by the sign of one output."""

import numpy as np
import pytest
import torch
from torch import nn

from spaceform.encoders.discovery.discoverer import AbstractDiscoverer, Centers, DiscoveryNet
from spaceform.errors import InputError


class Signs(AbstractDiscoverer):
    """Learns to tell old class 0 (positive) from the rest."""

    KIND = "signs"
    last_rate = None

    def __init__(self, epochs=30):
        self.epochs, self.n_novel, self.curvature, self.angle_temperatures = epochs, 1, 0.1, (1.0, 0.07)
        self.distance_weight, self.embedding_dim, self.net = 0.5, 1, lambda shape, width: nn.Linear(shape[0], width)
        self.batch_size, self.learning_rate, self.random_state = 16, 0.05, 0

    def _parts(self):
        return nn.Identity(), Centers(1)

    def _loss(self, batch, loss, weight):
        wanted = torch.where(batch.labels >= 0, 1.0, -1.0).repeat(2)
        return nn.functional.softplus(-wanted * self.net_.features(batch.inputs)[:, 0]).mean(), {"weight": weight}

    def _name_rows(self, inputs, partial, seed):
        self.labels_ = (self.encode(inputs)[:, 0] < 0).astype(int)


X = np.concatenate([np.full((20, 2), 3.0), np.full((20, 2), -3.0)]) + np.random.default_rng(0).normal(size=(40, 2))
Y = np.where(np.arange(40) < 15, 0, -1)


def test_training_naming_and_answers():
    model = Signs().fit(X, Y)
    assert (model.labels_ == (np.arange(40) >= 20)).mean() > 0.9
    assert model.history_.figures["weight"][-1] == pytest.approx(0.5)
    assert model.transform(X).shape == model.points(X).shape == (40, 1)
    np.testing.assert_allclose(np.abs(model.transform(X)), 1)
    assert not model.net_.training


def test_vectors_are_standardised_and_constant_columns_stay_finite():
    rows = np.column_stack([100 + 7 * X[:, 0], np.full(40, 1e6)]).astype(np.float32)
    net = DiscoveryNet(nn.Identity(), nn.Identity(), nn.Identity(), (2,))
    net.learn_units(rows)
    seen = net.features(torch.from_numpy(rows))
    assert seen[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert seen[:, 1].abs().max().item() < 1
    assert {"units.mean", "units.scale"} <= net.state_dict().keys()
    pictures = torch.ones(2, 3, 4, 4)
    assert torch.equal(
        DiscoveryNet(nn.Identity(), nn.Identity(), nn.Identity(), (4, 4, 3)).features(pictures), pictures
    )


def test_only_what_was_fitted_is_answered_for():
    with pytest.raises(InputError, match="shape"):
        Signs().fit(X, Y).transform(np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="epochs"):
        Signs(epochs=0).fit(X, Y)
