"""Many small students that train side by side, so that every method can be tuned alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spaceform.heads.linear.subclasses import class_log_probs
from spaceform.losses.distillation.soft_labels import soft_cross_entropy
from spaceform.rng import derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import train
from spaceform.training.optimizers import make_optimizer
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Trial:
    """One setting of one arm: the targets ``(n, k)`` of the transfer rows, and the loss that takes them.

    Without a ``loss`` the targets are soft labels. ``embeddings``: the loss wants the student's embeddings too.
    """

    arm: str
    setting: dict[str, float]
    targets: FloatArray
    loss: nn.Module | None = None
    embeddings: bool = False


class Students(nn.Module):
    """``m`` perceptrons of equal widths and equal first weights; inputs ``(B, d)``, embeddings ``(m, B, h)``."""

    def __init__(self, m: int, widths: Sequence[int], n_outputs: int, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "students"))
            layers = [nn.Linear(into, out) for into, out in pairwise([*widths, n_outputs])]
        self.weights = nn.ParameterList([layer.weight.detach().T.repeat(m, 1, 1) for layer in layers])
        self.biases = nn.ParameterList([layer.bias.detach().repeat(m, 1, 1) for layer in layers])

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs ``(m, B, K)`` and embeddings ``(m, B, h)``."""
        x = inputs.expand(len(self.weights[0]), *inputs.shape)
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[:-1]:
            x = torch.baddbmm(bias, x, weight).relu()
        return torch.baddbmm(self.biases[-1], x, self.weights[-1]), x


def answers(
    trials: Sequence[Trial],
    X: Tensor,
    y: IntArray,
    transfer: IntArray,
    *,
    hidden: Sequence[int],
    n_outputs: int,
    training: dict[str, Any],
    seed: int,
) -> IntArray:
    """Train a student for each trial on the transfer rows and return their classes ``(m, n)`` for all rows of ``X``.

    All see the same batches and start from the same weights; a sum of losses trains each by its own.
    """
    n_classes = int(y.max()) + 1
    students = Students(len(trials), [X.shape[1], *hidden], n_outputs, seed=seed)
    losses = nn.ModuleList([trial.loss for trial in trials if trial.loss is not None])
    parts = nn.ModuleDict({"students": students, "losses": losses})
    soft = [at for at, trial in enumerate(trials) if trial.loss is None]
    inputs, labels = X[transfer], torch.from_numpy(y)[transfer]
    stacked = torch.from_numpy(np.stack([trials[at].targets for at in soft])).float() if soft else torch.empty(0)
    others = [(at, trial, torch.from_numpy(trial.targets).float()) for at, trial in enumerate(trials) if trial.loss]
    order = torch.arange(len(transfer))
    batches = ShuffledBatches(order, batch_size=training["batch"], seed=derive_seed(seed, "transfer"), min_rows=2)
    steps = training["epochs"] * batches.per_epoch

    def loss_step(batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        outputs, embeddings = students(inputs[batch[0]])
        loss = outputs.new_zeros(())
        if soft:
            loss = len(soft) * soft_cross_entropy(outputs[soft].flatten(0, 1), stacked[:, batch[0]].flatten(0, 1))
        for at, trial, targets in others:
            given = (outputs[at], embeddings[at]) if trial.embeddings else (outputs[at],)
            loss = loss + trial.loss(*given, targets[batch[0]], labels[batch[0]])  # type: ignore[misc]
        return loss, {}

    optimizer, schedule = make_optimizer("adam", parts.parameters(), rate=training["rate"], steps=steps)
    with one_thread():
        train(parts, loss_step, batches, steps=steps, optimizer=optimizer, schedule=schedule, seed=seed)
        with torch.inference_mode():
            found = [students(block)[0] for block in X.split(512)]
    classes = [torch.stack([class_log_probs(one, n_classes).argmax(1) for one in block]) for block in found]
    return torch.cat(classes, 1).numpy()
