"""Streams: broken off and resumed, measured with and without the task, and the same for every learner."""

import numpy as np
import pytest
import torch

from spaceform.claims.continual.baselines import LinearLearner
from spaceform.claims.continual.streams import blobs
from spaceform.data.protocols import draw_class_incremental
from spaceform.encoders.continual.classifier import vector_net
from spaceform.encoders.continual.tasks import learn_task, run_stream
from spaceform.errors import InputError
from spaceform.methods.continual.napa_vq import NAPAVQLearner
from spaceform.training.checkpoint import Checkpoint

X, Y = blobs(0, classes=5, rows=20)
STREAM = draw_class_incremental(Y, n_base=3, n_step=1, seed=0)


def napa():
    return NAPAVQLearner(vector_net(6, 8, seed=0), width=8, k=3, learning_rates=(1e-2, 0.1))


def test_a_task_that_was_broken_off_ends_as_an_unbroken_one(tmp_path):
    rows = np.flatnonzero(Y < 3)
    saves = Checkpoint(folder=tmp_path / "saves", every=2, settings={})
    broken, whole = napa(), napa()
    history = learn_task(whole, X[rows], Y[rows], epochs=3, batch_size=16)

    def fail(task, done, total, figures=None):
        raise KeyboardInterrupt

    observe = broken.observe
    broken.observe = lambda *batch: observe(*batch) if broken.step < 5 else fail("", 0, 0)
    with pytest.raises(KeyboardInterrupt):
        learn_task(broken, X[rows], Y[rows], epochs=3, batch_size=16, checkpoint=saves)
    again = napa()
    resumed = learn_task(again, X[rows], Y[rows], epochs=3, batch_size=16, checkpoint=saves)
    ours, theirs = whole.state_dict(), again.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert resumed == history
    assert not (tmp_path / "saves").exists()


def test_a_stream_is_measured_among_all_classes_and_within_tasks():
    seen = []
    found = run_stream(
        lambda: LinearLearner(vector_net(6, 16, seed=0), width=16),
        X,
        Y,
        STREAM,
        epochs=(4, 2),
        batch_size=16,
        after=lambda learner, task: seen.append((task, learner.n_classes)),
    )
    assert seen == [(0, 3), (1, 4), (2, 5)]
    inclusive, told = found.class_incremental, found.task_incremental
    assert inclusive.rows == tuple(len(STREAM.test(task)) for task in range(3))
    assert np.all((told.values >= inclusive.values)[np.tril_indices(3)]), "fewer classes are never harder"
    assert told.values[2, 2] == 1, "one class is not to be missed"
    assert {"average", "task_forgetting"} <= found.figures().keys()


def test_joint_learning_forgets_less_and_bad_parts_are_refused():
    def make():
        return LinearLearner(vector_net(6, 16, seed=0), width=16, later=1.0)

    runs = {
        joint: run_stream(make, X, Y, STREAM, epochs=(15, 15), batch_size=16, joint=joint).class_incremental
        for joint in (True, False)
    }
    assert runs[True].final_accuracy > runs[False].final_accuracy + 0.1
    with pytest.raises(InputError, match="with rows"):
        run_stream(make, X, Y, STREAM, epochs=(1, 1), batch_size=16, part="validation")
    with pytest.raises(InputError, match="labels"):
        run_stream(make, X, Y[::-1], STREAM, epochs=(1, 1), batch_size=16)
