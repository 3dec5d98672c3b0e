"""Two processes learn the weights of one."""

import numpy as np
import pytest
import torch

from spaceform.encoders.early_stopping import EarlyStopping
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError
from spaceform.methods.metric_learning.facenet import FaceNet

pytest.importorskip("lightning_fabric")

SMALL = {"embedding_dim": 4, "classes_per_batch": 3, "samples_per_class": 3, "net": "oracles.plain_net:plain_net"}


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(6), 4)
    base = rng.integers(0, 200, (6, 16, 16, 3))
    return (base[y] + rng.integers(0, 55, (24, 16, 16, 3))).astype(np.uint8), y


def learner():
    return MetricLearner(**SMALL, loss="proxy_anchor", steps=6, augment=True, decay=0.5)


def test_two_processes_give_the_weights_and_decisions_of_one(pictures, tmp_path):
    X, y = pictures
    told = []

    def progress(task, done, total, figures=None):
        told.append((task, done, total))

    alone, together = learner(), learner()
    looks = [EarlyStopping(model, X, y, every=2, patience=9) for model in (alone, together)]
    alone.fit(X, y, callbacks=[looks[0]])
    together.fit(X, y, callbacks=[looks[1]], devices=2, checkpoint=tmp_path / "run", progress=progress)
    start = MetricLearner(**SMALL, loss="proxy_anchor", steps=0).fit(X, y)
    weights = [dict(model.net_.state_dict()) for model in (start, alone, together)]
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[2][name], value, atol=1e-5, rtol=1e-4)
    assert max(float((weights[1][name] - weights[0][name]).abs().max()) for name in weights[1]) > 1e-3
    torch.testing.assert_close(together.loss_.vectors, alone.loss_.vectors, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(together.history_.figures["loss"], alone.history_.figures["loss"], rtol=1e-4)
    assert looks[0].steps == looks[1].steps == [2, 4, 6]
    assert looks[1].map_at_r == pytest.approx(looks[0].map_at_r)
    assert looks[1].encoder is together
    assert told[-1] == ("training the encoder", 6, 6)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["step-000000006"]
    # what two processes saved, one goes on with
    again = learner().fit(X, y, callbacks=[EarlyStopping(learner(), X, y, every=2, patience=9)],
                          checkpoint=tmp_path / "run")  # fmt: skip
    torch.testing.assert_close(again.transform(X), together.transform(X))


def test_facenet_too_is_shared(pictures):
    settings = {**SMALL, "steps": 4, "mining": "hard", "decay": 0.5}
    alone = FaceNet(**settings).fit(*pictures, extra_negatives=3)
    together = FaceNet(**settings).fit(*pictures, extra_negatives=3, devices=2)
    torch.testing.assert_close(together.transform(pictures[0]), alone.transform(pictures[0]), atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(together.history_.figures["loss"], alone.history_.figures["loss"], rtol=1e-4)


def test_numbers_of_devices_that_cannot_be_are_refused(pictures):
    for devices, message in ((0, ">= 1"), (2.0, "an integer"), (10, "at most the 9 rows")):
        with pytest.raises(InputError, match=message):
            learner().fit(*pictures, devices=devices)


def test_what_cannot_be_sent_is_said(pictures):
    here = MetricLearner(**{**SMALL, "net": lambda shape, dim: torch.nn.Flatten()}, steps=1)
    with pytest.raises(InputError, match="a function at the top of a module"):
        here.fit(*pictures, devices=2)
