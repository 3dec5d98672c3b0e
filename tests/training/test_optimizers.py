"""Optimisers by name: the rates over the steps, groups with their own, and what is refused."""

import copy

import pytest
import torch

from spaceform.errors import InputError
from spaceform.training.optimizers import JointOptimizer, make_optimizer, warmup_cosine


def rates(name, groups, *, rate, steps):
    optimizer, schedule = make_optimizer(name, groups, rate=rate, steps=steps)
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return seen


def weight():
    return torch.nn.Parameter(torch.ones(1))


def test_adam_rises_to_the_rate_and_falls_and_groups_keep_their_ratio():
    seen = rates("adam", [{"params": [weight()]}, {"params": [weight()], "lr": 1.0}], rate=0.01, steps=40)
    first = [own for own, _ in seen]
    assert max(first) == pytest.approx(0.01, rel=0.01)
    assert first[0] < 0.001
    assert first[-1] < 0.001
    assert all(other == pytest.approx(100 * own) for own, other in seen)


def test_adagrad_falls_to_a_tenth_for_the_last_fifth():
    seen = [own for (own,) in rates("adagrad", [weight()], rate=None, steps=10)]
    assert seen == pytest.approx([0.05] * 8 + [0.005] * 2)


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.1), ("adam", 0.0), ("adam", float("nan"))])
def test_other_names_and_rates_are_refused(name, rate):
    with pytest.raises(InputError):
        make_optimizer(name, [weight()], rate=rate, steps=3)


def test_warmup_cosine_rises_and_falls():
    rates = [warmup_cosine(step, warmup=10, total=100, rate=1.0, lowest=0.1) for step in range(101)]
    assert rates[0] == 0.1
    assert rates[5] == pytest.approx(0.55)
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert warmup_cosine(150, warmup=10, total=100, rate=1.0, lowest=0.1) == pytest.approx(0.1)
    assert warmup_cosine(0, warmup=0, total=2, rate=3.0, lowest=0.0) == 3.0


@pytest.mark.parametrize("wrong", [{"total": 0}, {"warmup": 5}, {"lowest": 2.0}, {"rate": -1.0}])
def test_warmup_cosine_refuses_what_makes_no_sense(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        warmup_cosine(0, **({"warmup": 1, "total": 5, "rate": 1.0, "lowest": 0.0} | wrong))


def test_parts_of_a_joint_optimiser_step_as_they_would_alone_and_are_saved():
    def parts(values):
        return torch.optim.Adam([values[0]], lr=0.1), torch.optim.SGD([values[1]], lr=5.0, momentum=0.9)

    def step(values, optimizers):
        for value in values:
            value.grad = torch.ones_like(value) * value.detach()
        for optimizer in optimizers:
            optimizer.step()

    first, second, third = ([torch.nn.Parameter(torch.tensor([float(i + 1)])) for i in range(2)] for _ in range(3))
    alone, joint = parts(first), JointOptimizer(*parts(second))
    step(first, alone)
    step(second, [joint])
    resumed = JointOptimizer(*parts(third))
    for mine, theirs in zip(third, second, strict=True):
        mine.data.copy_(theirs.data)
    resumed.load_state_dict(copy.deepcopy(joint.state_dict()))
    for group in (alone[1].param_groups[0], joint.param_groups[1], resumed.param_groups[1]):
        group["lr"] = 0.5
    for values, optimizers in ((first, alone), (second, [joint]), (third, [resumed])):
        step(values, optimizers)
    assert [value.item() for value in first] == [value.item() for value in second] == [value.item() for value in third]
    with pytest.raises(InputError, match="parts"):
        JointOptimizer()
    with pytest.raises(InputError, match="closure"):
        joint.step(lambda: 0.0)
