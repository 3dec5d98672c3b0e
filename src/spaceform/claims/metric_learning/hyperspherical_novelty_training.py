"""Networks for the claim of hyperspherical novelty: one backbone, the same steps and rows per step, several losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from spaceform.claims.metric_learning.hyperspherical_novelty_data import Task
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.methods.metric_learning.hyperspherical_novelty import NormalizedLinear
from spaceform.nets.inputs import as_tensor
from spaceform.nets.named import named_net
from spaceform.ops.triplets import Mining
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.loop import train
from spaceform.types import FloatArray, Progress

KINDS = ("nsl", "softmax", "raw_features", "raw_weights", "unit_scale", "triplet", "contrastive")
PAIRED = ("triplet", "contrastive")


@dataclass(frozen=True)
class Trained:
    """A trained network: ``embed`` maps inputs to raw vectors (n, d); class rows ``weight (C, d)`` and ``bias (C,)``.

    ``seconds`` of processor time per epoch; ``loss`` is the mean over the last epoch. Losses over pairs have no rows.
    """

    embed: Callable[[np.ndarray], FloatArray]
    weight: FloatArray
    bias: FloatArray
    seconds: float
    loss: float


class PlainLinear(nn.Module):
    """The classifier with constraints taken away: rows or class vectors of any length, with a bias or without.

    ``logits = scale * f(h) . g(w_c) + b_c``; ``f`` brings rows to unit length with ``unit_rows``, ``g`` class vectors
    with ``unit_weight``.
    """

    def __init__(
        self, width: int, n_classes: int, *, unit_rows: bool, unit_weight: bool, bias: bool, scale: float
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_classes, bias=bias)
        self.unit_rows, self.unit_weight, self.scale = unit_rows, unit_weight, scale

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)``."""
        rows = normalize(embeddings, dim=1) if self.unit_rows else embeddings
        weight = normalize(self.linear.weight, dim=1) if self.unit_weight else self.linear.weight
        logits: torch.Tensor = nn.functional.linear(self.scale * rows, weight, self.linear.bias)
        return logits


def fit(kind: str, task: Task, options: Mapping[str, Any], *, seed: int, progress: Progress) -> Trained:
    """Train a network on the base classes of ``task`` with the loss named ``kind``.

    ``options``: ``net``, ``dim``, ``scale``, ``batch``, ``classes`` and ``samples`` (of a batch for losses over pairs),
    ``epochs``, ``learning_rates`` by kind. Every kind gets the same number of steps and, but for classes that run
    short, of rows per step. O(epochs n pixels).
    """
    X, y = task.X[task.split.train], np.searchsorted(task.split.base, task.y[task.split.train])
    net = _net(options, tuple(X.shape[1:]), seed)
    head = _head(kind, options, len(task.split.base), seed)
    losses: dict[str, nn.Module] = {
        "triplet": TripletLoss(mining=Mining.parse("semi_hard")),
        "contrastive": ContrastiveLoss(),
    }
    loss = losses.get(kind)
    per_epoch = max(1, len(X) // options["batch"])
    model = nn.ModuleDict({"net": net, "head": head}).to(_device())
    optimizer = torch.optim.Adam(model.parameters(), lr=options["learning_rates"][kind])
    labels = torch.from_numpy(y)
    rows_of = _plan(kind, y, options, per_epoch, seed)

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = rows_of(step)
        return as_tensor(X[rows]).to(_device()), labels[rows].to(_device())

    def loss_step(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        embeddings = net(batch[0])
        if loss is not None:
            return loss(embeddings, batch[1]), {}
        return cross_entropy(head(embeddings), batch[1]), {}

    begun, steps = time.process_time(), options["epochs"] * per_epoch
    history = train(
        model, loss_step, batches, steps=steps, optimizer=optimizer, seed=seed, progress=progress, task=f"train {kind}"
    )
    seconds = (time.process_time() - begun) / options["epochs"]
    model.eval()
    weight, bias = _rows(head)
    late = history.figures["loss"][-per_epoch:]
    return Trained(lambda inputs: _embed(net, inputs), weight, bias, seconds, float(np.mean(late)))


def _net(options: Mapping[str, Any], shape: tuple[int, ...], seed: int) -> nn.Module:
    """Return the network; ``"linear"`` is the tutorial's embedding, without a bias that brightness would tell."""
    if options["net"] != "linear":
        return named_net(options["net"], shape, options["dim"], seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return nn.Linear(shape[0], options["dim"], bias=False)


def _head(kind: str, options: Mapping[str, Any], n_classes: int, seed: int) -> Any:
    width, scale = options["dim"], options["scale"]
    if kind in PAIRED:
        return nn.Identity()
    if kind in {"nsl", "unit_scale"}:
        scale = 1.0 if kind == "unit_scale" else scale
        return NormalizedLinear(width=width, n_classes=n_classes, scale=scale, seed=derive_seed(seed, "head"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "head"))
        return PlainLinear(
            width,
            n_classes,
            unit_rows=kind == "raw_weights",
            unit_weight=kind == "raw_features",
            bias=kind == "softmax",
            scale=scale if kind == "raw_weights" else 1.0,
        )


def _rows(head: nn.Module) -> tuple[FloatArray, FloatArray]:
    """Return the class rows as the head uses them, and their bias."""
    if isinstance(head, NormalizedLinear):
        weight, bias = head.weight, None
    elif isinstance(head, PlainLinear):
        weight, bias = head.linear.weight, head.linear.bias
        weight = normalize(weight, dim=1) if head.unit_weight else weight
    else:
        return np.empty((0, 0)), np.empty(0)
    found = weight.detach().cpu().double().numpy()
    return found, np.zeros(len(found)) if bias is None else bias.detach().cpu().double().numpy()


def _plan(
    kind: str, y: np.ndarray, options: Mapping[str, Any], per_epoch: int, seed: int
) -> Callable[[int], np.ndarray]:
    """Return the rows of each step: class-balanced for losses over pairs, else every row once an epoch."""
    if kind in PAIRED:
        return MPerClassSampler(
            y,
            classes_per_batch=min(options["classes"], int(y.max()) + 1),
            samples_per_class=options["samples"],
            seed=derive_seed(seed, "batches"),
        )

    def rows_of(step: int) -> np.ndarray:
        epoch, part = divmod(step, per_epoch)
        order = np.random.default_rng(derive_seed(seed, "epoch", epoch)).permutation(len(y))
        return order[part * options["batch"] : (part + 1) * options["batch"]]

    return rows_of


@torch.inference_mode()
def _embed(net: nn.Module, inputs: np.ndarray) -> FloatArray:
    blocks = [inputs[start : start + 512] for start in range(0, len(inputs), 512)]
    return np.concatenate([net(as_tensor(block).to(_device())).cpu().double().numpy() for block in blocks])


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
