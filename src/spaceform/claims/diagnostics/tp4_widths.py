"""Do features move, and does a learning rate carry over, as a network widens? For the claim of Tensor Programs IV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from spaceform.claims.diagnostics.tp4_few_shot import Letters
from spaceform.methods.diagnostics.tp4 import ABCMLP, RateTransfer, WidthScaling, coordinate_check, rate_transfer
from spaceform.nets.mlp import mlp
from spaceform.rng import derive_seed, torch_generator

DRAWS = 3
STEPS = 3


def feature_slope(letters: Letters, scaling: str, settings: Mapping[str, Any], seed: int) -> float:
    """Return the slope of features' movement against the width, the last of two tanh layers, over some draws.

    Sixteen rows of norm sqrt(8) and targets of their own; standard scaling at one small rate for all widths.
    """
    rows = np.random.default_rng(derive_seed(seed, "coordinates")).permutation(len(letters.new_rows))[:16]
    X = torch.from_numpy(letters.new_rows[rows]).double()
    X = X / X.norm(dim=1, keepdim=True) * 8**0.5
    targets = torch.randn(16, 1, generator=torch_generator(derive_seed(seed, "targets")), dtype=torch.float64)
    rate = 1e-3 if scaling == "standard" else 0.3

    def step(net: nn.Module) -> None:
        assert isinstance(net, ABCMLP)  # what is made below
        optimizer = torch.optim.SGD(net.param_groups(rate))
        optimizer.zero_grad()
        nn.functional.mse_loss(net(X), targets).backward()
        optimizer.step()

    slopes = []
    for draw in range(DRAWS):
        start = derive_seed(seed, "coordinates", draw)
        make = partial(_tanh_net, X.shape[1], scaling=scaling, seed=start)
        found = coordinate_check(make, lambda net: _hidden(net, X), step, widths=settings["check_widths"], steps=STEPS)
        slopes.append(found.slopes[-1])
    return float(np.mean(slopes))


def _tanh_net(d: int, width: int, *, scaling: str, seed: int) -> nn.Module:
    return ABCMLP(d, width, 1, abc=scaling, depth=2, phi="tanh", dtype=torch.float64, seed=seed)


def _hidden(net: nn.Module, X: torch.Tensor) -> list[torch.Tensor]:
    assert isinstance(net, ABCMLP)  # what _tanh_net makes
    return net.hidden(X)


def transfer(letters: Letters, scaling: str, settings: Mapping[str, Any], seed: int) -> RateTransfer:
    """Return the losses of networks of two hidden layers that name letters, by width and learning rate of Adam."""
    known = letters.seen_y < settings["named_letters"]
    X = torch.from_numpy(letters.seen_rows[known])
    _, codes = np.unique(letters.seen_y[known], return_inverse=True)
    y, n_classes = torch.from_numpy(codes), int(codes.max()) + 1
    base = settings["transfer_widths"][0]
    batches = np.random.default_rng(derive_seed(seed, "batches")).integers(
        len(y), size=(settings["transfer_steps"], 64)
    )

    def make(width: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "widths", width))
            return mlp([X.shape[1], width, width, n_classes], norm=None)

    def loss_of(width: int, rate: float) -> float:
        net = make(width)
        groups = WidthScaling(net, make(base), scaling=scaling).param_groups(rate, optimizer="adam")
        optimizer = torch.optim.Adam(groups)
        for rows in torch.from_numpy(batches):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            return float(nn.functional.cross_entropy(net(X), y))

    return rate_transfer(
        loss_of, widths=settings["transfer_widths"], rates=_rates(settings["rates"]), ceiling=float(np.log(n_classes))
    )


def _rates(powers: Sequence[int]) -> list[float]:
    return [2.0**power for power in range(powers[0], powers[1] + 1)]
