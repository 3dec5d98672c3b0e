import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.training.adversarial import AdversarialSteps, reptile_interpolate_


@pytest.mark.parametrize(("rate", "value"), [(0.0, 1.0), (0.25, 2.0), (1.0, 5.0)])
def test_a_share_of_the_way_is_kept(rate, value):
    new, old = [torch.full((2,), 5.0), torch.tensor(5.0)], [torch.ones(2), torch.tensor(1.0)]
    reptile_interpolate_(new, old, rate)
    assert [part.mean().item() for part in new] == [value, value]
    assert old[0].tolist() == [1.0, 1.0]


def test_other_numbers_are_refused():
    with pytest.raises(InputError, match="old"):
        reptile_interpolate_([torch.zeros(1)], [], 0.5)
    with pytest.raises(InputError, match="rate"):
        reptile_interpolate_([], [], 1.5)


def play(steps, maker, judge, x, rounds):
    for _ in range(rounds):
        steps.round(lambda: judge(maker(x).detach()).square().mean(), lambda: (judge(maker(x)) - 1).square().mean())


def test_each_step_moves_its_own_module_by_reptiles_share_of_adam():
    torch.manual_seed(0)
    maker, judge, x = nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(4, 2)
    start = maker.weight.detach().clone()
    play(AdversarialSteps(maker, judge, learning_rate=0.1, reptile_rate=0.5), maker, judge, x, 1)
    moved = (maker.weight - start).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.05), atol=1e-3, rtol=0)  # Adam's first step is its rate
    assert all(p.grad is None for p in [*maker.parameters(), *judge.parameters()])


def test_state_is_taken_up():
    def run(split):
        torch.manual_seed(0)
        maker, judge, x = nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(4, 2)
        steps = AdversarialSteps(maker, judge, learning_rate=0.1)
        play(steps, maker, judge, x, 3)
        if split:
            fresh = AdversarialSteps(maker, judge, learning_rate=0.1)
            fresh.load_state_dict(steps.state_dict())
            steps = fresh
        play(steps, maker, judge, x, 3)
        return maker.weight.detach()

    assert torch.equal(run(True), run(False))
    assert AdversarialSteps(nn.Linear(1, 1), nn.Linear(1, 1))(3, {}) is None
