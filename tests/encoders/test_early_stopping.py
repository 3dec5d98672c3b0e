"""Early stopping on rows that training never sees: when it stops, which weights stay, and what a killed run keeps."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import ClusterMixin

from contracts.cases import ESTIMATORS, blobs
from contracts.discovery import estimators
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.early_stopping import EarlyStopping
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError, InterruptedRunError
from spaceform.metrics.retrieval import map_at_r, recall_at_k

SMALL = {"embedding_dim": 4, "classes_per_batch": 6, "samples_per_class": 2, "net": "mlp", "loss": "proxy_nca"}


@pytest.fixture(scope="module")
def rows():
    """Twelve classes: even ones to train on, odd ones kept back."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 6)
    X = np.hstack([rng.normal(size=(12, 5))[y], rng.normal(size=(72, 5))]).astype(np.float32)
    even = y % 2 == 0
    return X[even], y[even], X[~even], y[~even]


def fitted(rows, *, steps=12, patience=9, decay=None, checkpoint=None, progress=None):
    learner = MetricLearner(**SMALL, steps=steps, decay=decay)
    looks = EarlyStopping(learner, rows[2], rows[3], every=2, patience=patience)
    surroundings = {} if progress is None else {"progress": progress}
    return (
        learner,
        looks,
        lambda: learner.fit(rows[0], rows[1], callbacks=[looks], checkpoint=checkpoint, every=1, **surroundings),
    )


@pytest.mark.parametrize("decay", [None, 0.5])
def test_the_best_look_is_kept_and_says_what_the_encoder_scores(rows, decay):
    learner, looks, fit = fitted(rows, decay=decay)
    fit()
    assert looks.steps == [2, 4, 6, 8, 10, 12]
    assert looks.map_at_r[-1] == pytest.approx(map_at_r(learner.transform(rows[2]), rows[3]))
    looks.restore()
    X = learner.transform(rows[2])
    assert max(looks.map_at_r) == pytest.approx(map_at_r(X, rows[3]))
    at = looks.steps.index(looks.best_step)
    assert looks.recall_at_1[at] == pytest.approx(recall_at_k(X, rows[3], ks=(1,))[1])
    assert looks.map_at_r[at] == max(looks.map_at_r)


def test_it_stops_when_nothing_gets_better(rows, monkeypatch):
    learner, looks, fit = fitted(rows, steps=40, patience=2)
    scores = iter([(0.1, 0.1), (0.5, 0.5), (0.9, 0.4), (0.9, 0.5), (1.0, 1.0)])
    monkeypatch.setattr(looks, "_look", lambda: next(scores))
    fit()
    assert (looks.steps, looks.best_step) == ([2, 4, 6, 8], 4)
    assert learner.history_.stopped == "no better MAP@R on held-out rows since step 4"
    assert learner.history_.steps[-1] == 8


def test_a_look_leaves_training_as_it_was(rows):
    _, _, fit = fitted(rows, decay=0.5)
    watched = fit().fingerprint
    assert MetricLearner(**SMALL, steps=12, decay=0.5).fit(rows[0], rows[1]).fingerprint == watched


def test_a_killed_run_decides_and_ends_as_an_unbroken_one(rows, tmp_path):
    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    whole, looks, fit = fitted(rows, patience=2)
    fit()
    looks.restore()
    broken = fitted(rows, patience=2, checkpoint=tmp_path, progress=kill)[2]
    with pytest.raises(KeyboardInterrupt):
        broken()
    again, resumed, go_on = fitted(rows, patience=2, checkpoint=tmp_path)
    go_on()
    resumed.restore()
    assert again.fingerprint == whole.fingerprint
    assert resumed.steps == looks.steps
    assert resumed.map_at_r == looks.map_at_r
    assert again.history_.stopped == whole.history_.stopped
    with pytest.raises(InterruptedRunError, match="callback-0"):
        fitted(rows, patience=3, checkpoint=tmp_path)[2]()


def test_bad_settings_are_refused(rows):
    learner = MetricLearner(**SMALL)
    for settings in ({"every": 0}, {"patience": 0}):
        with pytest.raises(InputError, match=next(iter(settings))):
            EarlyStopping(learner, rows[2], rows[3], **settings)
    with pytest.raises(InputError, match="y"):
        EarlyStopping(learner, rows[2], rows[3][:-1])


def test_without_a_look_restore_changes_nothing(rows):
    learner = MetricLearner(**SMALL, steps=2).fit(rows[0], rows[1])
    before = {name: value.clone() for name, value in learner.net_.state_dict().items()}
    EarlyStopping(learner, rows[2], rows[3]).restore()
    assert all(torch.equal(value, before[name]) for name, value in learner.net_.state_dict().items())


def watchable():
    return [kind for kind in estimators() if issubclass(kind, AbstractEncoder)
            and "callbacks" in inspect.signature(kind.fit).parameters]  # fmt: skip


def test_encoders_that_are_not_watched_say_by_themselves_when_to_stop_or_are_trained_in_rounds():
    others = {kind.__name__ for kind in estimators() if issubclass(kind, AbstractEncoder)}
    unwatched = others - {kind.__name__ for kind in watchable()}
    by_itself, in_rounds = {"DynamicSubspaceEncoder"}, {"CrKDNCD", "NAPAVQClassifier", "PRDClassifier"}
    assert unwatched == by_itself | in_rounds


@pytest.mark.parametrize("kind", watchable(), ids=lambda kind: kind.__name__)
def test_every_encoder_is_watched_and_gets_its_best_weights_back(kind):
    case = ESTIMATORS[kind.__name__]
    X, y = blobs(1, rows=16)
    encoder = kind(**case.settings, **case.make())
    looks = EarlyStopping(encoder, X, y, every=1, patience=99)
    given = np.where(y == y.max(), -1, y) if issubclass(kind, ClusterMixin) else y  # a class left to be discovered
    encoder.fit(X, given, callbacks=[looks])
    assert looks.steps == encoder.history_.steps
    looks.restore()
    assert max(looks.map_at_r) == pytest.approx(map_at_r(encoder.transform(X), y))
