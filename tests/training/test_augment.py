"""Jitter keeps shape, range and the white ground; crops are parts of the picture, flipped by chance."""

import torch

from spaceform.rng import torch_generator
from spaceform.training.augment import flipped_crops, jitter, wobble


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


def test_crops_are_straight_parts_of_the_picture_flipped_in_half_of_the_cases():
    side = torch.linspace(0, 1, 60)
    ramps = torch.stack([side.expand(60, 60), side.expand(60, 60).T])  # brighter to the right; brighter downwards
    crops = flipped_crops(ramps.expand(400, 2, 60, 60), torch_generator(0), size=20)
    assert crops.shape == (400, 2, 20, 20)
    assert crops.min() >= 0
    assert crops.max() <= 1
    across, down = crops[:, 0, 10], crops[:, 1, :, 10]
    torch.testing.assert_close(crops[:, 0], across[:, None].expand(400, 20, 20), atol=1e-5, rtol=0)
    spans = torch.stack([across[:, -1] - across[:, 0], down[:, -1] - down[:, 0]])
    assert 0.4 < float((spans < 0).float().mean()) < 0.6
    assert abs(float(torch.corrcoef(spans.sign())[0, 1])) < 0.15  # the two flips are drawn apart
    areas = (spans.abs() * 20 / 19).prod(0)
    assert areas.min() < 0.15
    assert areas.max() > 0.8
    ratios = spans[0].abs() / spans[1].abs()
    assert ratios.min() > 0.7
    assert ratios.max() < 1.4
    assert torch.equal(crops, flipped_crops(ramps.expand(400, 2, 60, 60), torch_generator(0), size=20))


def test_wobbled_pictures_stay_in_range_and_depend_on_the_generator():
    pictures = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    moved, again, other = (wobble(pictures, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(moved, again)
    assert not torch.equal(moved, other)
    assert (moved.min() >= 0) & (moved.max() <= 1)
    flat = torch.full((2, 3, 8, 8), 0.3)
    torch.testing.assert_close(wobble(flat, torch.Generator().manual_seed(0)), flat)
