"""What estimators share that find classes by training a network on two views of partly labelled rows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_real, check_rows
from spaceform.clustering.partial import PartialLabels, check_n_novel, read_partial
from spaceform.encoders.abstract import NetMaker
from spaceform.encoders.batches import device, in_blocks
from spaceform.encoders.discovery.two_views import TwoViewBatches, TwoViews, Views
from spaceform.errors import InputError
from spaceform.losses.discovery.hybrid import HybridContrastiveLoss, Temperatures, linear_ramp
from spaceform.nets.inputs import check_inputs
from spaceform.nets.named import named_net
from spaceform.nets.standardize import Standardize
from spaceform.rng import as_generator, derive_seed
from spaceform.training.loop import train
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

WEIGHT_DECAY, LAST_RATE = 5e-5, 1e-3
"""Weight decay, not of biases and norms; the share of the learning rate that is left at the end."""

PREDICT_ROWS = 4096
"""Rows that go through the network at once."""

SMALL = 256
"""Up to so many features training takes one thread."""


class DiscoveryNet(nn.Module):
    """Standardisation of vectors, backbone, what leads into the ball, and the classifier or the centres."""

    def __init__(self, backbone: nn.Module, to_ball: nn.Module, last: nn.Module, inputs: np.ndarray) -> None:
        super().__init__()
        self.units: nn.Module = nn.Identity()
        if inputs.ndim == 2:
            self.units = standardize = Standardize(inputs.shape[1])
            standardize.fit_(torch.from_numpy(inputs))
        self.backbone, self.to_ball, self.last = backbone, to_ball, last

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the backbone says, of any length."""
        vectors: torch.Tensor = self.backbone(self.units(x))
        return vectors


class AbstractDiscoverer(ClusterMixin, TransformerMixin, BaseEstimator, ABC):
    """An estimator that trains a network on two views of every row and names the rows: old classes and new ones.

    A subclass has at least the hyper-parameters below, makes its network by ``_new_model``, says by ``_loss`` what a
    batch costs, and sets ``labels_`` and ``cluster_names_`` in ``_name_rows``. ``last_rate``: the constant rate of
    ``model_.last``, where that is trained.
    """

    n_novel: int | None
    curvature: float | None
    clip_radius: float
    distance_weight: float
    angle_temperatures: Temperatures
    embedding_dim: int
    net: str | NetMaker
    epochs: int
    batch_size: int
    learning_rate: float
    random_state: RandomState
    last_rate: ClassVar[float | None] = None

    def fit(
        self, X: Any, y: ArrayLike | None = None, *, views: Views | None = None, progress: Progress = no_progress
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)``, -1 where unlabelled, name every row, and return self.

        ``X``: vectors ``(n, d)``, which are standardised, or pictures ``(n, size, size[, channels])``. ``views(rows,
        generator)`` returns new views of rows given by number: what the two positives of the contrastive loss share is
        what the features will hold. None: small changes of pictures, noise on vectors.
        """
        inputs = self._inputs(X, fitting=True)
        partial = read_partial(y, len(inputs))
        self._check(partial)
        seed = int(as_generator(self.random_state).integers(2**31))
        self.classes_ = partial.classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            self.model_ = self._new_model(inputs, partial, derive_seed(seed, "net")).to(device())
        batches = TwoViewBatches(inputs, partial.codes, batch_size=self.batch_size, seed=seed, views=views)
        loss = HybridContrastiveLoss(curvature=self.curvature, angle_temperatures=self.angle_temperatures)
        steps = self.epochs * batches.per_epoch
        optimizer, schedule = self._optimizer(max(1, steps))

        def loss_step(batch: TwoViews) -> tuple[torch.Tensor, dict[str, float]]:
            return self._loss(batch, loss, linear_ramp(batch.epoch, self.epochs, self.distance_weight))

        with one_thread() if inputs.ndim == 2 and inputs.shape[1] <= SMALL else nullcontext():
            self.history_ = train(
                self.model_,
                loss_step,
                batches,
                steps=steps,
                optimizer=optimizer,
                schedule=schedule,
                seed=seed,
                progress=progress,
                task=type(self).__name__,
            )
        self.model_.eval()
        self._name_rows(inputs, partial, derive_seed(seed, "clusters"))
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def transform(self, X: Any) -> FloatArray:
        """Return backbone features ``(n, embedding_dim)`` float32 of unit length."""
        check_is_fitted(self, "model_")
        return self._features(self._inputs(X, fitting=False))

    def points(self, X: Any) -> FloatArray:
        """Return the points ``(n, d)`` of the ball that the contrastive loss compares (flat: clipped rows)."""
        check_is_fitted(self, "model_")
        return self._forward(self._inputs(X, fitting=False), lambda x: self.model_.to_ball(self.model_.features(x)))

    def __sklearn_tags__(self) -> Tags:
        """Say that vectors come out as float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @abstractmethod
    def _new_model(self, inputs: np.ndarray, partial: PartialLabels, seed: int) -> DiscoveryNet: ...

    @abstractmethod
    def _loss(
        self, batch: TwoViews, loss: HybridContrastiveLoss, weight: float
    ) -> tuple[torch.Tensor, dict[str, float]]: ...

    @abstractmethod
    def _name_rows(self, inputs: np.ndarray, partial: PartialLabels, seed: int) -> None: ...

    def _check(self, partial: PartialLabels) -> None:
        if self.n_novel is not None:
            check_n_novel(self.n_novel, int(partial.unlabelled.sum()), low=0 if len(partial.classes) else 1)
        check_integer(self.epochs, "epochs", low=1)
        check_integer(self.embedding_dim, "embedding_dim", low=1)
        check_real(self.distance_weight, "distance_weight", low=0, high=1)
        check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)

    def _inputs(self, X: Any, *, fitting: bool) -> np.ndarray:
        """Return pictures or float32 vectors of the shape that was fitted."""
        if (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) in {3, 4}:
            pictures = check_inputs(X)
            if fitting:
                self.n_features_in_ = int(np.prod(pictures.shape[1:]))
            elif self.n_features_in_ != int(np.prod(pictures.shape[1:])):
                raise InputError("X", got=f"pictures of shape {pictures.shape[1:]}", expected="the shape seen in fit")
            return pictures
        return np.ascontiguousarray(check_rows(self, X, fitting=fitting), dtype=np.float32)

    def _backbone(self, inputs: np.ndarray, seed: int) -> nn.Module:
        shape = tuple(inputs.shape[1:])
        if isinstance(self.net, str):
            return named_net(self.net, shape, self.embedding_dim, seed=seed)
        return self.net(shape, self.embedding_dim)

    def _optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Return Adam; the rate falls by a cosine, that of the classifier, if there is one, stays."""
        parts = [self.model_.backbone, self.model_.to_ball]
        own = [value for part in parts for value in part.parameters() if value.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [value for value in own if value.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [value for value in own if value.ndim <= 1]},
        ]
        rules = [lambda step: LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * min(1, step / steps))) / 2] * 2
        if self.last_rate is not None:
            groups.append({"params": list(self.model_.last.parameters()), "lr": self.last_rate})
            rules.append(lambda step: 1.0)
        adam = torch.optim.Adam(groups, lr=self.learning_rate)
        return adam, torch.optim.lr_scheduler.LambdaLR(adam, rules)

    def _features(self, inputs: np.ndarray) -> FloatArray:
        return self._forward(inputs, lambda x: nn.functional.normalize(self.model_.features(x), dim=1))

    def _forward(self, inputs: np.ndarray, function: Any) -> FloatArray:
        return in_blocks(function, inputs, PREDICT_ROWS)


class Centers(nn.Module):
    """Cluster centres, so that ``model_.state_dict()`` is all that was learned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.zeros(0, width))
