"""Harmonic training: what moves in which stage, and that two encoders come to understand each other."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.heads.compatible import compatible_head
from spaceform.training.harmonic import fit_harmonic


class Encoder(torch.nn.Module):
    def __init__(self, seed, width=16):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.trunk = torch.nn.Sequential(torch.nn.Linear(6, width), torch.nn.BatchNorm1d(width), torch.nn.ReLU())
            self.head = torch.nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.trunk(x))


LABELS = torch.arange(32) % 4


def batches(step):
    generator = torch.Generator().manual_seed(step)
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(99))
    return centres[LABELS] + 0.3 * torch.randn(32, 6, generator=generator), LABELS


def gap(new, old):
    """Mean distance across models within classes, over that between classes."""
    x, y = batches(10_000)
    with torch.no_grad():
        a, b = (torch.nn.functional.normalize(part(x), dim=1) for part in (new, old))
    across = torch.cdist(a, b) ** 2
    same = y[:, None] == y[None]
    return float(across[same].mean() / across[~same].mean())


def test_the_old_model_stays_and_the_head_goes_first():
    old, new = Encoder(0), compatible_head(Encoder(1), 5)
    old_state = {name: value.clone() for name, value in old.state_dict().items()}
    trunk = {name: value.clone() for name, value in new.trunk.state_dict().items()}
    head = new.head.weight.clone()
    first, second = fit_harmonic(new, old, batches, head_steps=5, full_steps=0)
    assert (len(first.steps), len(second.steps)) == (5, 0)
    assert all(torch.equal(value, old.state_dict()[name]) for name, value in old_state.items())
    assert all(torch.equal(value, new.trunk.state_dict()[name]) for name, value in trunk.items())
    assert not torch.equal(new.head.weight, head)
    fit_harmonic(new, old, batches, head_steps=0, full_steps=2)
    assert not torch.equal(new.trunk[0].weight, trunk["0.weight"])
    assert all(torch.equal(value, old.state_dict()[name]) for name, value in old_state.items())
    assert old.training
    assert not new.training


def test_two_encoders_come_to_understand_each_other():
    old, new = Encoder(0).eval(), compatible_head(Encoder(1), 5).eval()
    before = gap(new, old)
    fit_harmonic(new, old, batches, head_steps=40, full_steps=40, learning_rate=1e-2)
    assert before > 0.7
    assert gap(new, old) < 0.5 * before


def test_equal_seeds_give_equal_weights():
    weights = []
    for _ in range(2):
        new = compatible_head(Encoder(1), 5)
        fit_harmonic(new, Encoder(0), batches, head_steps=3, full_steps=3, seed=4)
        weights.append(new.head.weight.detach())
    assert torch.equal(*weights)


def test_refusals():
    with pytest.raises(InputError, match="trunk"):
        fit_harmonic(torch.nn.Linear(6, 5), Encoder(0), batches, head_steps=1, full_steps=1)
    with pytest.raises(InputError, match="head_steps"):
        fit_harmonic(Encoder(1), Encoder(0), batches, head_steps=-1, full_steps=1)
    with pytest.raises(InputError, match="old_embeddings"):
        fit_harmonic(compatible_head(Encoder(1), 7), Encoder(0), batches, head_steps=1, full_steps=0)
