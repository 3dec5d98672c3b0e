"""What estimators share that find classes by training a network on two views of partly labelled rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClusterMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.clustering.partial import PartialLabels, check_n_novel, read_partial
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.batches import device, in_blocks
from spaceform.encoders.discovery.views import TwoViewBatches, TwoViews, ViewFn
from spaceform.encoders.plan import Plan
from spaceform.losses.discovery.hybrid import HybridContrastiveLoss, Temperatures, linear_ramp
from spaceform.nets.standardize import Standardize
from spaceform.rng import derive_seed
from spaceform.training.loop import Callback
from spaceform.training.optimizers import warmup_cosine
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, PathLike, Progress, no_progress

WEIGHT_DECAY, LAST_RATE = 5e-5, 1e-3
"""Weight decay, not of biases and norms; the share of the learning rate that is left at the end."""

SMALL = 256
"""Up to so many features training takes one thread."""


class DiscoveryNet(nn.Module):
    """Standardisation of vectors, backbone, what leads into the ball, and the classifier or the centres.

    ``shape`` of an input: of vectors ``(d,)``, whose units :meth:`learn_units` takes, or of pictures.
    """

    last: Any

    def __init__(self, backbone: nn.Module, to_ball: nn.Module, last: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.units: nn.Module = Standardize(shape[0]) if len(shape) == 1 else nn.Identity()
        self.backbone, self.to_ball, self.last = backbone, to_ball, last

    def learn_units(self, inputs: np.ndarray) -> None:
        """Take mean and deviation of vectors ``(n, d)``; of pictures there is nothing to learn."""
        if isinstance(self.units, Standardize):
            self.units.learn(torch.from_numpy(inputs))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the backbone says, of any length."""
        vectors: torch.Tensor = self.backbone(self.units(x))
        return vectors


class AbstractDiscoverer(ClusterMixin, AbstractEncoder):
    """An encoder that is trained on two views of every row and names the rows: old classes and new ones.

    A subclass has at least the hyper-parameters below, makes what follows the backbone in ``_parts`` (when ``classes_``
    are known), says by ``_loss`` what a batch costs, and sets ``labels_`` in ``_name_rows``. ``last_rate``: the
    constant rate of ``net_.last``, where that is trained.
    """

    n_novel: int | None
    curvature: float | None
    clip_radius: float
    distance_weight: float
    angle_temperatures: Temperatures
    epochs: int
    batch_size: int
    learning_rate: float
    last_rate: ClassVar[float | None] = None
    net_: DiscoveryNet
    labels_: IntArray

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        views: ViewFn | None = None,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)``, -1 where unlabelled, name every row, and return self.

        ``X``: vectors ``(n, d)``, which are standardised, or pictures ``(n, size, size[, channels])``. ``views(rows,
        generator)`` returns new views of rows given by number: what the two positives of the contrastive loss share is
        what the features will hold. None: small changes of pictures, noise on vectors.

        With a ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated. ``callbacks`` may end training early.
        """
        inputs = self._inputs(X, fitting=True)
        check_integer(self.random_state, "random_state", low=0)
        partial = read_partial(y, len(inputs))
        self._check(partial)
        self.classes_ = partial.classes
        with one_thread() if inputs.ndim == 2 and inputs.shape[1] <= SMALL else nullcontext():
            self._run(
                self._plan_of(inputs, partial, views),
                (inputs, partial.codes),
                checkpoint=checkpoint,
                every=every,
                callbacks=callbacks,
                progress=progress,
                options={"views": views is not None},
            )
        self._name_rows(inputs, partial, derive_seed(self.random_state, "clusters"))
        return self

    def fit_predict(self, X: ArrayLike, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def points(self, X: ArrayLike) -> FloatArray:
        """Return the points ``(n, d)`` of the ball that the contrastive loss compares (flat: clipped rows)."""
        check_is_fitted(self, "net_")
        return in_blocks(lambda x: self.net_.to_ball(self.net_.features(x)), self._inputs(X, fitting=False))

    def __sklearn_tags__(self) -> Tags:
        """Say that rows need no labels."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    @abstractmethod
    def _parts(self) -> tuple[nn.Module, nn.Module]:
        """Return what leads from features into the ball, and the classifier or the centres, freshly drawn."""

    @abstractmethod
    def _loss(
        self, batch: TwoViews, loss: HybridContrastiveLoss, weight: float
    ) -> tuple[torch.Tensor, Mapping[str, float]]: ...

    @abstractmethod
    def _name_rows(self, inputs: np.ndarray, partial: PartialLabels, seed: int) -> None: ...

    def _check(self, partial: PartialLabels) -> None:
        if self.n_novel is not None:
            check_n_novel(self.n_novel, int(partial.unlabelled.sum()), low=0 if len(partial.classes) else 1)
        check_integer(self.epochs, "epochs", low=1)
        check_integer(self.embedding_dim, "embedding_dim", low=1)
        check_real(self.distance_weight, "distance_weight", low=0, high=1)
        check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)

    def _inputs(self, X: ArrayLike, *, fitting: bool) -> np.ndarray:
        return np.ascontiguousarray(super()._inputs(X, fitting=fitting))  # sums over rows must not depend on strides

    def _new_net(self, seed: int) -> DiscoveryNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            to_ball, last = self._parts()
        backbone = self._backbone(self.embedding_dim, seed=derive_seed(seed, "net"))
        return DiscoveryNet(backbone, to_ball, last, self.input_shape_).to(device())

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.net_.features(batch), dim=1)

    def _plan_of(self, inputs: np.ndarray, partial: PartialLabels, views: ViewFn | None) -> Plan:
        """Make ``net_`` afresh and return how it is trained."""
        seed = self.random_state
        self.net_ = self._new_net(seed)
        self.net_.learn_units(inputs)
        batches = TwoViewBatches(inputs, partial.codes, batch_size=self.batch_size, seed=seed, views=views)
        loss = HybridContrastiveLoss(curvature=self.curvature, angle_temperatures=self.angle_temperatures)
        steps = self.epochs * batches.per_epoch
        optimizer, schedule = self._optimizer(steps)

        def loss_step(batch: TwoViews) -> tuple[torch.Tensor, Mapping[str, float]]:
            return self._loss(batch, loss, linear_ramp(batch.epoch, self.epochs, self.distance_weight))

        return Plan(
            parts=self.net_,
            loss_step=loss_step,
            batches=batches,
            steps=steps,
            optimizer=optimizer,
            schedule=schedule,
            task=type(self).__name__,
        )

    def _optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Return Adam; the rate falls by a cosine, that of the classifier, if there is one, stays."""
        parts = [self.net_.backbone, self.net_.to_ball]
        own = [value for part in parts for value in part.parameters() if value.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [value for value in own if value.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [value for value in own if value.ndim <= 1]},
        ]
        rules = [lambda step: warmup_cosine(step, warmup=0, total=steps, rate=1, lowest=LAST_RATE)] * 2
        if self.last_rate is not None:
            groups.append({"params": list(self.net_.last.parameters()), "lr": self.last_rate})
            rules.append(lambda step: 1.0)
        adam = torch.optim.Adam(groups, lr=self.learning_rate)
        return adam, torch.optim.lr_scheduler.LambdaLR(adam, rules)


class Centers(nn.Module):
    """Cluster centres ``(K, width)``, none at first, so that the state of the network is all that was learned."""

    centers: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.zeros(0, width))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}centers")
        if saved is not None:  # as many as were found, which fresh centres can't know
            self.centers = self.centers.new_zeros(len(saved), self.centers.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)
