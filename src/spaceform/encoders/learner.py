"""An encoder trained by any loss of metric learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches
from spaceform.encoders.named_loss import make_loss
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.averaging import WeightAverage
from spaceform.training.loop import Callback, History, train
from spaceform.training.optimizers import LEARNING_RATES, make_optimizer
from spaceform.types import PathLike, Progress, no_progress


@final
class MetricLearner(AbstractEncoder):
    """Encoder, trained with any loss over the embeddings and labels of class-balanced batches.

    Parameters
    ----------
    loss : a name (:func:`spaceform.encoders.named_loss.loss_classes` lists them: ``"triplet"``, ``"multi_similarity"``,
        ``"proxy_anchor"``, ...), or a module called with embeddings and labels, such as
        ``TripletLoss() + 0.1 * SupConLoss()``; its parameters (class vectors) are trained too.
    loss_options : options of a loss given by name, checked against its signature.
    embedding_dim : dimensions of the vectors.
    classes_per_batch, samples_per_class : of each batch.
    steps : optimiser steps; 0 leaves the random start, which is a floor to compare with.
    learning_rate : of the network (Adam, with one rise and fall of the rate); None takes 2e-3.
    loss_rate_factor : by what the rate of the loss's own parameters is higher; 100 is usual for proxies (Kim and
        others, CVPR 2020).
    net : a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a
        module.
    augment : turn, shift, scale and tint pictures a little at every step.
    decay : of the moving average of the weights, which is what is kept; None keeps the last weights.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained network. loss_ : the loss with what it learned. history_ : what training recorded.
    classes_ : labels seen. input_shape_ : ``(size, size, channels)`` or ``(d,)``. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : inputs of another shape or dtype, labels of another length, fewer than two classes, no class with
    two rows, unknown losses and options, inputs of another shape in ``transform``.

    Cost: O(steps x batch x pixels) and the loss. A CUDA device is used where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    >>> learner = MetricLearner(loss="proxy_anchor", embedding_dim=8, classes_per_batch=2, samples_per_class=2, steps=2)
    >>> learner.fit(pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]).transform(pictures).shape
    (12, 8)
    """

    KIND: ClassVar[str] = "learner"

    def __init__(
        self,
        *,
        loss: str | nn.Module = "multi_similarity",
        loss_options: Mapping[str, Any] | None = None,
        embedding_dim: int = 128,
        classes_per_batch: int = 32,
        samples_per_class: int = 4,
        steps: int = 400,
        learning_rate: float | None = None,
        loss_rate_factor: float = 100.0,
        net: str | NetMaker = "auto",
        augment: bool = True,
        decay: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.loss = loss
        self.loss_options = loss_options
        self.embedding_dim = embedding_dim
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps = steps
        self.learning_rate = learning_rate
        self.loss_rate_factor = loss_rate_factor
        self.net = net
        self.augment = augment
        self.decay = decay
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
        inputs, codes = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        check_real(self.loss_rate_factor, "loss_rate_factor", low=0, open_ends=True)
        seed = check_integer(self.random_state, "random_state", low=0)
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            seed=derive_seed(seed, "batches"),
        )
        self.net_ = self._new_net(seed)
        self.loss_ = make_loss(
            self.loss, self.loss_options or {}, n_classes=len(self.classes_), width=self.embedding_dim, seed=seed
        )
        saves = self._saves(checkpoint, every, (inputs, codes), {})
        batches = LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed)
        parts = nn.ModuleDict({"net": self.net_, "loss": self.loss_}).to(next(self.net_.parameters()).device)
        if self.steps == 0:
            self.history_ = History()
        else:
            optimizer, schedule = make_optimizer("adam", self._groups(), rate=self.learning_rate, steps=self.steps)
            average = None if self.decay is None else WeightAverage(parts, decay=self.decay)
            self.history_ = train(
                parts,
                self._loss_step,
                batches,
                steps=self.steps,
                optimizer=optimizer,
                schedule=schedule,
                average=average,
                seed=seed,
                checkpoint=saves,
                callbacks=callbacks,
                progress=progress,
                task="training the encoder",
            )
            if average is not None:
                average.copy_to(parts)
        self.net_.eval()
        return self

    def _loss_step(self, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
        return self.loss_(self.net_(batch.inputs), batch.labels), {}

    def _groups(self) -> list[dict[str, Any]]:
        rate = LEARNING_RATES["adam"] if self.learning_rate is None else self.learning_rate
        groups: list[dict[str, Any]] = [{"params": list(self.net_.parameters())}]
        own = [value for value in self.loss_.parameters() if value.requires_grad]
        return [*groups, {"params": own, "lr": rate * self.loss_rate_factor}] if own else groups

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        return settings if isinstance(self.loss, str) else settings | {"loss": repr(self.loss)}
