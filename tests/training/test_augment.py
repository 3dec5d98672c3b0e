"""Jitter: a pure function that keeps shape, range and the white ground."""

import torch

from spaceform.rng import torch_generator
from spaceform.training.augment import jitter


def pictures():
    drawn = torch.ones(6, 3, 24, 24)
    drawn[:, :, 8:16, 8:16] = torch.rand(6, 3, 1, 1, generator=torch_generator(0))
    return drawn


def test_equal_draws_give_equal_pictures_and_others_do_not():
    x = pictures()
    assert torch.equal(jitter(x, torch_generator(1)), jitter(x, torch_generator(1)))
    assert not torch.equal(jitter(x, torch_generator(1)), jitter(x, torch_generator(2)))
    assert torch.equal(x, pictures()), "the input is left as it was"


def test_the_ground_stays_white_and_values_in_range():
    changed = jitter(pictures(), torch_generator(3))
    assert changed.shape == (6, 3, 24, 24)
    assert changed.min() >= 0
    assert changed.max() <= 1
    torch.testing.assert_close(changed[:, :, :2, :2], torch.ones(6, 3, 2, 2), atol=1e-6, rtol=0)


def test_white_stays_white():
    blank = torch.ones(2, 1, 16, 16)
    torch.testing.assert_close(jitter(blank, torch_generator(0)), blank)
