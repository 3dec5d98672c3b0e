"""ECAML: a metric loss with energy confusion in the last layer (Chen and Deng, AAAI 2019)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self, cast, final

import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches
from spaceform.encoders.named_loss import make_loss
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.heads.confused import ConfusedHead
from spaceform.losses.binomial_deviance import BinomialDevianceLoss
from spaceform.losses.regularizers.energy_confusion import EnergyConfusion, row_norm_penalty
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.loop import Callback
from spaceform.training.optimizers import make_optimizer
from spaceform.types import PathLike, Progress, no_progress

__all__ = ["BinomialDevianceLoss", "ConfusedHead", "ECAMLLoss", "ECAMLTransformer", "EnergyConfusion"]

SHORT_ROW = 0.3
"""Rows of the layer below this norm are under the unstable equilibrium (0.391 at the published weight) and vanish."""


@final
class ECAMLLoss(nn.Module):
    """Metric loss of all parameters, plus confusion and norm guard of the last layer alone.

    ``L = L_m(a) + weight * log E(a') + R(W)`` with the two outputs of a :class:`ConfusedHead` and
    ``R = guard / N sum_k (|w_k|^2 - 1)^2``. Features minimise ``L_m``; the layer minimises all of it. There is one
    optimiser step, no alternation and no reversed gradient. Row by row ``|w_k|^2`` tends to
    ``1 - weight N e_k / (2 guard E)`` with ``e_k`` the energy of the unit row: what separates the seen classes most is
    damped most.

    Parameters: ``metric_loss``, any loss over embeddings and labels (None: the paper's binomial deviance);
    ``confusion`` (None: all pairs, without its own guard); ``weight >= 0`` (0.13, the code's for Cars); ``guard >= 0``
    (0.5, its code). With ``weight=0`` the confusion is not computed, so nothing of it is left but the guard.

    Warns when ``weight > guard / 2``, where the rows have no equilibrium and shrink for ever: raise the guard with the
    weight. Warns when a row has fallen below norm 0.3. Raises what the parts raise: ``InputError`` for NaN and labels
    of another length, ``NoPairsError`` for a batch of one class. O(cost of ``metric_loss`` + B d + N f).

    >>> head = ConfusedHead(linear=nn.Linear(3, 2))
    >>> total, parts = ECAMLLoss()(head, torch.eye(3).repeat(2, 1), torch.tensor([0, 1, 2, 0, 1, 2]))
    >>> sorted(parts)
    ['energy', 'guard', 'metric_loss']
    """

    def __init__(
        self,
        *,
        metric_loss: nn.Module | None = None,
        confusion: EnergyConfusion | None = None,
        weight: float = 0.13,
        guard: float = 0.5,
    ) -> None:
        super().__init__()
        self.metric_loss = BinomialDevianceLoss() if metric_loss is None else metric_loss
        self.confusion = EnergyConfusion(scale_guard=0.0) if confusion is None else confusion
        self.weight = check_real(weight, "confusion_weight", low=0)
        self.guard = check_real(guard, "guard", low=0)
        if self.weight > self.guard / 2:
            warnings.warn(
                f"confusion_weight {self.weight:g} is above half the guard {self.guard:g}: the rows of the layer have "
                f"no equilibrium and shrink for ever; a guard of {2 * self.weight:g} or more holds them",
                UserWarning,
                stacklevel=2,
            )

    def forward(
        self,
        head: ConfusedHead,
        features: torch.Tensor,
        labels: torch.Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the scalar loss of ``features (B, f)`` with ``labels (B,)``, and its parts as numbers.

        ``metric_loss``, ``guard`` (with its strength) and, unless the weight is 0, ``energy`` (the log of E, without
        its weight). ``generator`` draws the pairs of a confusion that draws.
        """
        embeddings, confused = head(features)
        total = self.metric_loss(embeddings, labels)
        parts = {"metric_loss": float(total.detach())}
        if self.weight:
            energy = self.confusion(confused, labels, generator=generator)
            total = total + self.weight * energy
            parts["energy"] = float(energy.detach())
        penalty = row_norm_penalty(head.linear.weight, strength=self.guard)
        shortest = float(head.linear.weight.detach().norm(dim=1).min())
        if shortest < SHORT_ROW:
            warnings.warn(
                f"a row of the embedding layer has norm {shortest:.2f}, below {SHORT_ROW}: it is vanishing; "
                "lower the confusion weight or raise the guard",
                RuntimeWarning,
                stacklevel=2,
            )
        return total + penalty, parts | {"guard": float(penalty.detach())}

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"weight={self.weight}, guard={self.guard}"


class _ConfusedNet(nn.Module):
    """Features, and the head that makes embeddings of them."""

    def __init__(self, trunk: nn.Module, head: ConfusedHead) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = self.head.linear(self.trunk(inputs))
        return embeddings


@final
class ECAMLTransformer(AbstractEncoder):
    """Encoder for classes that were never seen, trained with energy confusion in its last layer.

    On vectors (features of any frozen network) it is that layer alone, exactly the part of ECAML that confusion
    trains; on pictures, or with a named ``net``, what comes before the layer is trained too, by the metric loss alone.

    Parameters
    ----------
    embedding_dim : dimensions of the embedding; 512 in the paper.
    loss : a name such as ``"binomial_deviance"`` (the paper's first), ``"triplet"`` or ``"contrastive"``, or a loss
        module.
    confusion_weight : of the log energy, >= 0; 0.13 in the authors' code for Cars. 0 leaves the loss with the guard.
    guard : strength of the pull of the layer's rows to unit length; 0.5 in the code. At least twice the weight.
    classes_per_batch, samples_per_class : 65 x 2 in the code; fewer classes than that are all taken.
    steps : optimiser steps.
    learning_rate : of Adam, for the features; the code has 1e-5 for a pre-trained network.
    head_rate_factor : by what the rate of the layer is higher; 10 in the code. Its bias has twice the layer's.
    net : ``"auto"`` (vectors: the layer alone; pictures: a small convolutional net), a name of
        :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a module
        with a ``trunk`` and a linear ``head``.
    augment : turn, shift, scale and tint pictures a little at every step.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : trunk and :class:`ConfusedHead`. history_ : metric loss, energy and guard at every step. classes_ : labels
    seen. input_shape_ : of one input. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : NaN, labels of another length, fewer than two classes, no class with two rows, a negative weight,
    a network without linear last layer, another width in ``transform``.

    Cost: O(steps x (net + B^2 d)) for batches of B rows.
    Traps: expect little where the features know no more than the seen classes need; the weight is to be chosen on
    held-out classes. Confusion does not make classes that were seen easier to tell: their fit gets worse.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 6
    >>> X = rng.normal(size=(6, 8))[y] + 0.3 * rng.normal(size=(60, 8))
    >>> ECAMLTransformer(embedding_dim=4, steps=20).fit(X, y).transform(X).shape
    (60, 4)
    """

    KIND: ClassVar[str] = "ecaml"

    def __init__(
        self,
        *,
        embedding_dim: int = 512,
        loss: str | nn.Module = "binomial_deviance",
        confusion_weight: float = 0.13,
        guard: float = 0.5,
        classes_per_batch: int = 65,
        samples_per_class: int = 2,
        steps: int = 400,
        learning_rate: float = 1e-3,
        head_rate_factor: float = 10.0,
        net: str | NetMaker = "auto",
        augment: bool = True,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.loss = loss
        self.confusion_weight = confusion_weight
        self.guard = guard
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps = steps
        self.learning_rate = learning_rate
        self.head_rate_factor = head_rate_factor
        self.net = net
        self.augment = augment
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: vectors ``(n, d)``, or pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1]. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when repeated.
        ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        check_integer(self.embedding_dim, "embedding_dim", low=1)
        check_integer(self.steps, "steps", low=0)
        seed = self.random_state
        rate = check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        factor = check_real(self.head_rate_factor, "head_rate_factor", low=0, open_ends=True)
        metric = make_loss(self.loss, {}, n_classes=len(self.classes_), width=self.embedding_dim, seed=seed)
        if any(value.requires_grad for value in metric.parameters()):
            raise InputError("loss", got=f"{self.loss!r}, which learns", expected="a loss over pairs or triplets")
        criterion = ECAMLLoss(metric_loss=metric, weight=self.confusion_weight, guard=self.guard)
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            seed=derive_seed(seed, "batches"),
        )
        net = self._new_net(seed)
        self.net_: nn.Module = net
        head = net.head.linear
        groups: list[dict[str, Any]] = [{"params": [head.weight], "lr": rate * factor}]
        groups += [] if head.bias is None else [{"params": [head.bias], "lr": 2 * rate * factor}]
        trunk = list(net.trunk.parameters())
        groups += [{"params": trunk, "lr": rate}] if trunk else []
        optimizer, schedule = make_optimizer("adam", groups, rate=rate, steps=self.steps)

        def loss_step(batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
            return cast(
                "tuple[torch.Tensor, dict[str, float]]",
                criterion(net.head, net.trunk(batch.inputs), batch.labels, generator=batch.generator),
            )

        plan = Plan(
            parts=net,
            loss_step=loss_step,
            batches=LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
        )
        return self._run(plan, data, checkpoint=checkpoint, every=every, callbacks=callbacks, progress=progress)

    def _new_net(self, seed: int) -> _ConfusedNet:
        if self.net == "auto" and len(self.input_shape_) == 1:
            trunk: nn.Module = nn.Identity()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed(seed, "weights"))
                linear: nn.Module | None = nn.Linear(self.input_shape_[0], self.embedding_dim)
        else:
            trunk, linear = _split(self._backbone(self.embedding_dim, seed=seed))
        if not isinstance(linear, nn.Linear):
            raise InputError("net", got=f"a network ending in {type(linear).__name__}", expected="a linear last layer")
        return _ConfusedNet(trunk, ConfusedHead(linear=linear))


def _split(net: nn.Module) -> tuple[nn.Module, nn.Module | None]:
    """Return what comes before the last layer of a network, and that layer."""
    if isinstance(net, nn.Sequential):
        return net[:-1], net[-1]
    return getattr(net, "trunk", nn.Identity()), getattr(net, "head", None)
