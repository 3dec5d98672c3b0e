"""Training a new encoder to be read together with an old one (FaceNet, appendix 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.losses.harmonic import HarmonicTripletLoss
from spaceform.training.loop import History, train
from spaceform.types import Progress, no_progress

Batches = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
"""Maps a step to inputs and labels ``(B,)``; a pure function of the step."""


def fit_harmonic(
    new: nn.Module,
    old: nn.Module,
    batches: Batches,
    *,
    head_steps: int,
    full_steps: int,
    loss: HarmonicTripletLoss | None = None,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[History, History]:
    """Train ``new`` in place so that its vectors may be compared with those of the frozen ``old``; return both stages.

    First the last layer of ``new`` alone (its ``head``, on the output of its ``trunk`` in inference mode), then all of
    it, each with Adam at ``learning_rate``. The steps count on: the second stage begins with batch ``head_steps``.
    ``new`` is normally what :func:`spaceform.heads.compatible.compatible_head` made of a better, independently trained
    encoder. Random choices of the miner follow ``seed`` and the step.

    Raises ``InputError`` when ``new`` has no trunk and head, or the widths of the vectors differ. Costs one pass of
    both encoders a step, with a gradient through ``new`` in the second stage.
    """
    check_integer(head_steps, "head_steps", low=0)
    check_integer(full_steps, "full_steps", low=0)
    check_real(learning_rate, "learning_rate", low=0, open_ends=True)
    trunk, head = getattr(new, "trunk", None), getattr(new, "head", None)
    if not isinstance(trunk, nn.Module) or not isinstance(head, nn.Module):
        raise InputError("new", got=type(new).__name__, expected="a module with a trunk and a head")
    criterion = HarmonicTripletLoss() if loss is None else loss
    was_training = old.training
    old.eval()
    Step = tuple[torch.Tensor, Mapping[str, float]]

    def compared(vectors: torch.Tensor, batch: tuple[torch.Tensor, torch.Tensor]) -> Step:
        with torch.no_grad():
            stored = old(batch[0])
        return criterion.with_figures(vectors, stored, batch[1])

    def head_step(batch: tuple[torch.Tensor, torch.Tensor]) -> Step:
        with torch.no_grad():
            features = trunk(batch[0])
        return compared(head(features), batch)

    new.eval()
    first = train(
        head,
        head_step,
        batches,
        steps=head_steps,
        optimizer=torch.optim.Adam(head.parameters(), lr=learning_rate),
        seed=seed,
        progress=progress,
        task="harmonic head",
    )
    second = train(
        new,
        lambda batch: compared(new(batch[0]), batch),
        lambda step: batches(head_steps + step),
        steps=full_steps,
        optimizer=torch.optim.Adam(new.parameters(), lr=learning_rate),
        seed=seed + 1,
        progress=progress,
        task="harmonic encoder",
    )
    old.train(was_training)
    new.eval()
    return first, second
