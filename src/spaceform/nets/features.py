"""What enters a layer of a network, for all rows of a stream of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from spaceform.errors import InputError
from spaceform.types import FloatArray


def iter_embeddings(model: nn.Module, batches: Iterable[Tensor], layer: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what enters ``layer`` and what ``model`` answers, for each batch of inputs, without gradients.

    The model answers in evaluation mode and is left in its own. Nothing is kept, so that a stream of any length can be
    summed up. Raises ``InputError`` when ``layer`` is not part of the model or is not run once a batch.
    """
    if all(layer is not part for part in model.modules()):
        raise InputError("layer", got=type(layer).__name__, expected="a layer of the model")
    modes = {part: part.training for part in model.modules()}
    try:
        model.eval()
        for batch in batches:
            seen: list[Tensor] = []
            hook = layer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
            try:
                with torch.inference_mode():
                    outputs = model(batch)
            finally:
                hook.remove()
            if len(seen) != 1:
                raise InputError("layer", got=f"a layer that ran {len(seen)} times", expected="once a batch")
            yield seen[0].flatten(1), outputs
    finally:
        for part, mode in modes.items():
            part.training = mode


def collect_embeddings(model: nn.Module, batches: Iterable[Tensor], layer: nn.Module) -> tuple[FloatArray, FloatArray]:
    """Return what enters ``layer (n, D)`` and what the model answers ``(n, C)`` for all batches; as above.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> [part.shape for part in collect_embeddings(net, torch.zeros(5, 3).split(2), net[2])]
    [(5, 4), (5, 2)]
    """
    found = [
        (entering.cpu().numpy(), answer.cpu().numpy()) for entering, answer in iter_embeddings(model, batches, layer)
    ]
    if not found:
        raise InputError("batches", got="none", expected="one or more batches")
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])
