"""The stateful contract, on the learners of both papers and of the baselines: saved is as good as unsaved."""

import pytest
import torch
from safetensors.torch import load, save

from oracles.ranks import on_ranks
from spaceform.claims.continual.baselines import LinearLearner
from spaceform.encoders.continual.classifier import vector_net
from spaceform.errors import InputError
from spaceform.methods.continual.napa_vq import NAPAVQLearner
from spaceform.methods.continual.prd import PRDLearner

MAKERS = {
    "napa-vq": lambda: NAPAVQLearner(vector_net(4, 8, seed=0), width=8, k=3, learning_rates=(1e-2, 0.1)),
    "prd": lambda: PRDLearner(vector_net(4, 8, seed=0), width=8, axis="samples"),
    "prd, batch": lambda: PRDLearner(vector_net(4, 8, seed=0), width=8, teacher_bn="batch"),
    "lwf": lambda: LinearLearner(vector_net(4, 8, seed=0), width=8, keeps="answers"),
    "pass": lambda: LinearLearner(vector_net(4, 8, seed=0), width=8, keeps="prototypes"),
}


def task(number, rows=24):
    generator = torch.Generator().manual_seed(number)
    codes = torch.arange(rows) % 2 + 2 * number
    return torch.randn(rows, 4, generator=generator) + 2 * codes[:, None], codes


def advance(learner, number, steps=4, *, first=0, end=True, part=slice(None)):
    """Go through a task, or through what is left of it after ``first`` steps."""
    X, y = task(number)
    if first == 0:
        learner.start_task(X[part], y[part], steps=steps)
    for step in range(first, steps if end else steps // 2):
        chosen = slice(6 * step, 6 * step + 6)
        learner.observe(X[chosen][part], y[chosen][part])
    if end:
        learner.end_task(X[part], y[part])
    return learner


def same(first, second):
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_learner_goes_on_exactly_as_an_unsaved_one(name):
    learner = advance(MAKERS[name](), 0)
    between = MAKERS[name]()
    between.load_state_dict(load(save({k: v.contiguous() for k, v in learner.state_dict().items()})))
    assert same(between, learner)
    advance(learner, 1, end=False)
    advance(between, 1, end=False)
    within = MAKERS[name]()
    within.restore(learner.snapshot())
    for one in (learner, between, within):
        advance(one, 1, first=2)
    advance(learner, 2)
    advance(between, 2)
    advance(within, 2)
    assert same(learner, between)
    assert same(learner, within)
    assert learner.tasks == [2, 2, 2]
    X, _ = task(2)
    assert learner.scores(X).shape == (24, 6)


@pytest.mark.parametrize("name", ["napa-vq", "prd"])
def test_the_world_is_left_alone_and_the_teacher_stays(name):
    before = torch.get_rng_state()
    learner = advance(MAKERS[name](), 0)
    kept = {key: value.clone() for key, value in learner.teacher.state_dict().items()}
    advance(learner, 1, end=False)
    assert all(torch.equal(value, kept[key]) for key, value in learner.teacher.state_dict().items())
    assert not any(parameter.requires_grad for parameter in learner.teacher.parameters())
    assert not learner.teacher.training
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_out_of_order_is_refused():
    learner = MAKERS["napa-vq"]()
    X, y = task(0)
    for work in (lambda: learner.observe(X, y), lambda: learner.end_task(X, y)):
        with pytest.raises(InputError):
            work()
    with pytest.raises(InputError, match="without a gap"):
        learner.start_task(X, y + 1, steps=1)
    with pytest.raises(InputError, match="without a gap"):
        learner.start_task(X[:0], y[:0], steps=1)
    learner.start_task(X, y, steps=2)
    with pytest.raises(InputError, match="end_task first"):
        learner.start_task(X, y, steps=2)
    with pytest.raises(InputError, match="all steps"):
        learner.end_task(X, y)
    for rows, codes in ((X, y + 2), (X[:0], y[:0]), (X, y[:-1])):
        with pytest.raises(InputError, match="codes"):
            learner.observe(rows, codes)
    learner.observe(X, y)
    learner.observe(X, y)
    with pytest.raises(InputError, match="a step of a started task"):
        learner.observe(X, y)
    learner.end_task(X, y)
    with pytest.raises(InputError, match="class 0 again"):
        learner.start_task(X, y, steps=1)


def parts(rank, world):
    """Rows of a batch of six, or of the task, that a rank holds."""
    return slice(rank, None, world)


def learned_on_ranks():
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    learner = MAKERS["napa-vq"]()
    advance(advance(learner, 0, part=parts(rank, world)), 1, part=parts(rank, world))
    return {name: value.tolist() for name, value in learner.state_dict().items()}


def test_two_processes_learn_what_one_does(tmp_path):
    alone = advance(advance(MAKERS["napa-vq"](), 0), 1).state_dict()
    first, second = on_ranks(learned_on_ranks, tmp_path)
    assert first == second
    for name, value in alone.items():
        found = torch.tensor(first[name], dtype=value.dtype).view_as(value)
        torch.testing.assert_close(found, value, atol=1e-3, rtol=1e-3, msg=name)
