"""An encoder trained by any loss of metric learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches, device
from spaceform.encoders.devices import shared
from spaceform.encoders.named_loss import make_loss
from spaceform.encoders.plan import Plan, with_own_rate
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.averaging import WeightAverage
from spaceform.training.distributed import gather, gather_with_grad
from spaceform.training.loop import Callback
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
    loss_options : options of a loss given by name, checked against its signature; text stands for objects that are made
        from it, as in ``{"mining": "semi_hard:vgg"}``.
    embedding_dim : dimensions of the vectors.
    classes_per_batch, samples_per_class : of each batch.
    steps : optimiser steps; 0 leaves the random start, which is a floor to compare with.
    learning_rate : of the network (Adam, with one rise and fall of the rate); None takes 2e-3.
    loss_rate_factor : by what the rate of the loss's own parameters is higher: 5 makes it 1e-2 at the default rate,
        what Proxy Anchor sets for class vectors (Kim and others, CVPR 2020).
    net : a name of :func:`spaceform.nets.named.named_net` (which may be ``"transformers:FOLDER"`` or
        ``"package.module:function"``), or a function of input shape and dimensions that returns a module.
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
        loss_rate_factor: float = 5.0,
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
        devices: int = 1,
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.

        With several ``devices`` as many processes embed a part of each batch; the loss is that of the whole batch, so
        the weights are those of one process up to rounding. Batch normalization is the exception: each process
        normalises its part by itself, as everywhere where models train so. Needs the extra ``dist``.
        """
        data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        check_real(self.loss_rate_factor, "loss_rate_factor", low=0, open_ends=True)
        plan = self.plan(*data)
        return self._run(
            plan,
            data,
            checkpoint=checkpoint,
            every=every,
            callbacks=callbacks,
            devices=devices,
            progress=progress,
        )

    @property
    def learned(self) -> nn.Module:
        """Return network and loss."""
        return nn.ModuleDict({"net": super().learned, "loss": self.loss_})

    def plan(self, inputs: np.ndarray, codes: NDArray[np.int64], *, fabric: Any = None) -> Plan:
        """Make ``net_`` and ``loss_`` afresh and return how they are trained, as one rank of ``fabric`` or alone.

        ``inputs`` and ``codes`` have passed the door.
        """
        seed = self.random_state
        sampler = self._sampler(codes)
        self.net_ = self._new_net(seed)
        loss = make_loss(
            self.loss, self.loss_options or {}, n_classes=len(self.classes_), width=self.embedding_dim, seed=seed
        )
        self.loss_ = loss.to(device())
        part, net = shared(self.net_, fabric)
        parts = self.learned
        rate = LEARNING_RATES["adam"] if self.learning_rate is None else self.learning_rate
        groups = with_own_rate(self.net_, self.loss_, rate=rate, factor=self.loss_rate_factor)
        optimizer, schedule = make_optimizer("adam", groups, rate=self.learning_rate, steps=self.steps)

        def loss_step(batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
            return self.loss_(gather_with_grad(net(batch.inputs)), gather(batch.labels)), {}

        return Plan(
            parts=parts,
            loss_step=loss_step,
            batches=LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed, part=part),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            average=None if self.decay is None else WeightAverage(parts, decay=self.decay),
        )

    def _sampler(self, codes: NDArray[np.int64]) -> MPerClassSampler:
        return MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            seed=derive_seed(self.random_state, "batches"),
        )
