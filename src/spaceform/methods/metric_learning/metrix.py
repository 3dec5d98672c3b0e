"""Metrix: an encoder that also learns from mixed examples with fractional labels (Venkataramanan et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self, final

import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches, device
from spaceform.encoders.named_loss import make_loss
from spaceform.encoders.plan import Plan, with_own_rate
from spaceform.losses.generic_pair import GenericPairLoss
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.mixing.positivity import acts_as_positive, positivity, positivity_threshold
from spaceform.metrics.utilization import alignment, uniformity, utilization
from spaceform.nets.halves import halves
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.loop import Callback
from spaceform.training.optimizers import LEARNING_RATES, make_optimizer
from spaceform.types import PathLike, Progress, no_progress

__all__ = [
    "FormLoss",
    "GenericPairLoss",
    "Metrix",
    "MetrixLoss",
    "acts_as_positive",
    "alignment",
    "positivity",
    "positivity_threshold",
    "uniformity",
    "utilization",
]

LEVELS = ("feature", "embedding", "input")

PAPER_OPTIONS: dict[str, dict[str, Any]] = {
    "multi_similarity": {"alpha": 17.97, "beta": 75.66, "base": 0.77, "epsilon": 0.39},
    "contrastive": {"negative_margin": 0.5},
    "proxy_anchor": {"alpha": 32.0, "margin": 0.1},
}
"""Settings of the losses in the paper's code."""

CLASS_VECTOR_RATE = 100.0
"""By what class vectors learn faster than the network, as in the code of Proxy Anchor, which the paper extends."""


@final
class Metrix(AbstractEncoder):
    """Encoder, trained with a loss of metric learning and with the same loss on mixed examples with fractional labels.

    ``L = mean_a [ l(a) + weight lt(a) ]``: lt is l over mixtures ``share p + (1 - share) n`` of a positive (or the
    anchor itself) and a negative, whose label is ``share ~ Beta(alpha, alpha)``.

    Parameters
    ----------
    loss : a name (``"multi_similarity"``, ``"contrastive"`` and ``"proxy_anchor"`` with the settings of the paper's
        code, ``"binomial_deviance"``, ...) or a module with its own settings; those that
        :class:`~spaceform.losses.mixing.metrix_loss.MetrixLoss` lists.
    level : what is mixed: ``"feature"`` maps of the network before its last non-linear layers (the paper's choice),
        ``"embedding"`` vectors, which costs least, or ``"input"`` pictures, which costs a second pass.
    weight : of the mixed term, 0.4 in the paper; 0 trains the plain loss.
    alpha : of the Beta distribution of shares, 2 in the paper.
    embedding_dim : dimensions of the vectors; 512 in the paper.
    classes_per_batch, samples_per_class : of each batch.
    steps : optimiser steps; 0 leaves the random start.
    learning_rate : of the network (Adam, one rise and fall); None takes 2e-3. Proxies learn at 100 times that.
    net : a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a
        module; mixing features needs one that :func:`spaceform.nets.halves.halves` can cut.
    augment : turn, shift, scale and tint pictures a little at every step.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained network. loss_ : the loss with what it learned. history_ : what training recorded, ``clean`` and
    ``mixed`` apart. classes_ : labels seen. input_shape_ : ``(size, size, channels)`` or ``(d,)``. dim, fingerprint.

    Raises
    ------
    InputError : inputs of another shape or dtype, labels of another length, fewer than two classes, no class with
    two rows, losses without fractional labels, features of a network that can't be cut.

    Cost: O(steps x batch x pixels); mixing vectors adds about B^2 K numbers, features one pass of the head, inputs one
    pass of the network. A CUDA device is used where there is one.

    Traps: features of losses over class vectors (all but ``"proxy_anchor"``) can't be mixed; batch normalisation
    behind the cut sees mixtures as batches of their own, and they move its running statistics.

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    >>> encoder = Metrix(embedding_dim=8, classes_per_batch=2, samples_per_class=2, steps=2)
    >>> encoder.fit(pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]).transform(pictures).shape
    (12, 8)
    """

    KIND: ClassVar[str] = "metrix"

    def __init__(
        self,
        *,
        loss: str | nn.Module = "multi_similarity",
        level: str = "feature",
        weight: float = 0.4,
        alpha: float = 2.0,
        embedding_dim: int = 512,
        classes_per_batch: int = 20,
        samples_per_class: int = 5,
        steps: int = 400,
        learning_rate: float | None = None,
        net: str | NetMaker = "auto",
        augment: bool = True,
        random_state: int = 0,
    ) -> None:
        self.loss = loss
        self.level = level
        self.weight = weight
        self.alpha = alpha
        self.embedding_dim = embedding_dim
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps = steps
        self.learning_rate = learning_rate
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

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        check_choice(self.level, "level", LEVELS)
        seed = self.random_state
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            seed=derive_seed(seed, "batches"),
        )
        self.net_ = self._new_net(seed)
        self.loss_ = self._new_loss(seed).to(device())
        trunk, head = halves(self.net_) if self.level == "feature" else (nn.Identity(), self.net_)
        rate = LEARNING_RATES["adam"] if self.learning_rate is None else self.learning_rate
        groups = with_own_rate(self.net_, self.loss_, rate=rate, factor=CLASS_VECTOR_RATE)
        optimizer, schedule = make_optimizer("adam", groups, rate=self.learning_rate, steps=self.steps)

        def loss_step(batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
            features: torch.Tensor = trunk(batch.inputs)
            mixing: dict[str, Any] = {}
            if self.level != "embedding" and self.weight > 0:
                mixing = {"features": features, "head": head}
            return self.loss_.with_figures(head(features), batch.labels, generator=batch.generator, **mixing)

        plan = Plan(
            parts=self.learned,
            loss_step=loss_step,
            batches=LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
        )
        return self._run(plan, data, checkpoint=checkpoint, every=every, callbacks=callbacks, progress=progress)

    @property
    def learned(self) -> nn.Module:
        """Return network and loss."""
        return nn.ModuleDict({"net": super().learned, "loss": self.loss_})

    def _new_loss(self, seed: int) -> MetrixLoss:
        options = PAPER_OPTIONS.get(self.loss, {}) if isinstance(self.loss, str) else {}
        inner = make_loss(self.loss, options, n_classes=len(self.classes_), width=self.embedding_dim, seed=seed)
        check_real(self.weight, "weight", low=0)
        return MetrixLoss(loss=inner, alpha=self.alpha, weight=self.weight)
