"""The coordinate check finds the paper's exponents; the transfer of rates is read off a table by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.scaling.abc_mlp import ABCMLP
from spaceform.nets.scaling.checks import coordinate_check, rate_transfer

WIDTHS = [64, 256, 1024]


def slopes(scaling, rate):
    """Mean slopes over four draws: 16 inputs of 8 dimensions, two tanh layers, three steps."""
    found = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        X, y = (torch.randn(16, d, generator=generator) for d in (8, 1))

        def step(net, X=X, y=y):
            optimizer = torch.optim.SGD(net.param_groups(rate))
            optimizer.zero_grad()
            nn.functional.mse_loss(net(X), y).backward()
            optimizer.step()

        check = coordinate_check(
            lambda width, seed=seed: ABCMLP(8, width, 1, abc=scaling, depth=2, phi="tanh", seed=seed),
            lambda net, X=X: net.hidden(X),
            step,
            widths=WIDTHS,
        )
        assert check.rms.shape == (3, 2)
        found.append(check)
    return np.mean([check.slopes for check in found], axis=0), {check.regime for check in found}


def test_mup_moves_features_at_any_width():
    mean, regimes = slopes("mup", 0.3)
    assert np.abs(mean).max() <= 0.1
    assert regimes == {"feature"}


def test_ntk_freezes_features():
    mean, regimes = slopes("ntk", 0.3)
    assert ((mean >= -0.6) & (mean <= -0.35)).all()
    assert regimes == {"kernel"}


def test_standard_at_a_rate_over_the_width_freezes_features():
    mean, _ = slopes("standard-stable", 0.3)
    assert -0.75 <= mean[1] <= -0.3
    assert mean[0] < -1


def test_standard_at_one_rate_blows_up():
    mean, regimes = slopes("standard", 1e-3)
    assert mean[1] >= 0.2, "in three steps less than the half that many would show"
    assert "unstable" in regimes
    assert "kernel" not in regimes


def test_transfer_by_hand():
    table = {(4, 1.0): 0.5, (4, 2.0): 0.2, (4, 4.0): np.nan, (64, 1.0): 0.1, (64, 2.0): 0.4, (64, 4.0): np.inf}
    found = rate_transfer(lambda width, rate: table[width, rate], widths=[64, 4], rates=[4, 1, 2], ceiling=2.0)
    assert found.widths == (4, 64)
    np.testing.assert_array_equal(found.losses, [[0.5, 0.2, 2], [0.1, 0.4, 2]])
    assert found.regret == pytest.approx(0.3)
    assert found.drift == -1
    np.testing.assert_array_equal(found.best, [2, 1])


@pytest.mark.parametrize("options", [{"widths": [4, 4]}, {"rates": [1.0]}, {"rates": [0.0, 1.0]}, {"widths": [0, 4]}])
def test_refused(options):
    with pytest.raises(InputError):
        rate_transfer(lambda width, rate: 0.0, **{"widths": [4, 8], "rates": [1, 2], "ceiling": 1.0, **options})


def test_features_that_do_not_move_are_refused():
    with pytest.raises(InputError, match="finite ones above 0"):
        coordinate_check(
            lambda width: ABCMLP(2, width, 1), lambda net: net.hidden(torch.ones(1, 2)), lambda net: None, widths=[2, 4]
        )
