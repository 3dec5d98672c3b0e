import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.losses.few_shot.mode_collapse import aocmc_loss

A, B = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 2.0]], dtype=torch.float64)
ORTHOGONAL = 1 + math.log(1 / 1e-8)


@pytest.mark.parametrize(
    ("noises", "features", "value"),
    [
        ((A, A), (B, B), 1.0),
        ((A, B), (A, A), ORTHOGONAL),
        ((A, A), (A, B), 2 - ORTHOGONAL),
        ((A, B), (A, B), 1.0),
        ((A, -A), (A, B), 1 + math.log(2)),
    ],
)
def test_hand_values(noises, features, value):
    assert aocmc_loss(*noises, *features).item() == pytest.approx(value, abs=1e-5)
    assert pytest.approx(19.42, abs=0.01) == ORTHOGONAL


def test_it_is_the_mean_over_rows():
    found = aocmc_loss(torch.cat([A, A]), torch.cat([A, B]), torch.cat([A, A]), torch.cat([A, A]))
    assert found.item() == pytest.approx((1 + ORTHOGONAL) / 2, abs=1e-5)


def test_features_of_zeros_are_at_right_angles_and_have_a_finite_gradient():
    zero = torch.zeros(1, 2, requires_grad=True)
    loss = aocmc_loss(A.float(), B.float(), zero, A.float(), eps=1e-3)
    loss.backward()
    assert loss.item() == pytest.approx(1.0, abs=1e-5)
    assert torch.isfinite(zero.grad).all()


@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_it_is_bounded_by_eps_and_knows_no_lengths(seed, scale):
    rng = torch.Generator().manual_seed(seed)
    z1, z2, s1, s2 = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(4))
    value = aocmc_loss(z1, z2, s1, s2, eps=1e-3).item()
    assert abs(value - 1) <= math.log(2.001 / 1e-3)
    assert aocmc_loss(scale * z1, z2, s1, scale * s2, eps=1e-3).item() == pytest.approx(value, abs=1e-6)


def test_other_numbers_of_rows_are_refused():
    for rows in ((A, A, A, torch.cat([A, A])), (A[:0],) * 4):
        with pytest.raises(InputError, match="low_noise"):
            aocmc_loss(*rows)
