"""Training by episodes: every step is a small task with supports to learn from and queries to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spaceform.encoders.batches import LabelledBatch, LabelledBatches
from spaceform.encoders.plan import Plan
from spaceform.samplers.episodes import EpisodeSampler
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import History
from spaceform.types import Progress, no_progress


def fit_episodes(
    net: nn.Module,
    inputs: np.ndarray,
    sampler: EpisodeSampler,
    *,
    steps: int,
    optimizer: torch.optim.Optimizer,
    augment: bool = False,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: Progress = no_progress,
) -> History:
    """Train ``net`` in place by :func:`episodes_plan` and return the history, with the accuracy of each episode.

    Equal seeds give equal weights, also after a kill where there is a ``checkpoint``. Raises ``InputError`` when the
    loss is not finite.
    """
    plan = episodes_plan(net, inputs, sampler, steps=steps, optimizer=optimizer, augment=augment, seed=seed)
    return plan.run(seed=seed, saves=checkpoint, progress=progress)


def episodes_plan(
    net: nn.Module,
    inputs: np.ndarray,
    sampler: EpisodeSampler,
    *,
    steps: int,
    optimizer: torch.optim.Optimizer,
    augment: bool = False,
    seed: int = 0,
) -> Plan:
    """Return how ``net`` is trained on the episodes of ``sampler``.

    ``net(support, support_y, query)`` returns logits ``(Q, K)``, column c for the c-th label; the loss is their cross
    entropy with the classes of the queries. ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them.
    Costs one pass over an episode and back a step.
    """
    ways, shots, queries = sampler.n_way, sampler.n_shot, sampler.n_query
    n_support = ways * shots
    # row c of an episode is its class number c: labels go by position, whatever rows were drawn
    order = np.concatenate([np.repeat(np.arange(ways), shots), np.repeat(np.arange(ways), queries)])
    numbers = torch.from_numpy(order)

    def rows(step: int) -> NDArray[np.int64]:
        episode = sampler(step)
        return np.concatenate([episode.support.ravel(), episode.query.ravel()])

    def loss_step(batch: LabelledBatch) -> tuple[torch.Tensor, Mapping[str, float]]:
        codes = numbers.to(batch.inputs.device)
        logits = net(batch.inputs[:n_support], codes[:n_support], batch.inputs[n_support:])
        right = (logits.detach().argmax(1) == codes[n_support:]).float().mean()
        return nn.functional.cross_entropy(logits, codes[n_support:]), {"accuracy": float(right)}

    unused = np.zeros(len(inputs), dtype=np.int64)
    return Plan(
        parts=net,
        loss_step=loss_step,
        batches=LabelledBatches(inputs, unused, rows, augment=augment, seed=seed),
        steps=steps,
        optimizer=optimizer,
        task="training on episodes",
    )


def with_rates(net: nn.Module, rates: Mapping[str, float], *, rate: float) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimiser: those whose last name is in ``rates`` have a rate of their own."""
    groups: list[dict[str, Any]] = [{"params": [], "lr": rate}]
    groups += [{"params": [], "lr": own} for own in rates.values()]
    place = {name: index for index, name in enumerate(rates, 1)}
    for name, value in net.named_parameters():
        if value.requires_grad:
            groups[place.get(name.rpartition(".")[2], 0)]["params"].append(value)
    return [group for group in groups if group["params"]]
