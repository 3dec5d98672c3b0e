"""PRD: contrastive features, one prototype per class, distilled relations of old prototypes to new rows (ICML 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn.functional import normalize

from spaceform.checks import check_choice, check_real
from spaceform.encoders.abstract import NetMaker
from spaceform.encoders.continual.classifier import AbstractContinualClassifier
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.errors import InputError
from spaceform.heads.growing.class_vectors import ClassVectors
from spaceform.losses.continual.distillation import AXES, PrototypeAttractionLoss, RelationDistillationLoss
from spaceform.losses.supcon import supcon
from spaceform.nets.mlp import mlp
from spaceform.nets.standardize import Standardize
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import wobble
from spaceform.training.distributed import gather, gather_with_grad

__all__ = ["ClassVectors", "PRDClassifier", "PRDLearner", "PrototypeAttractionLoss", "RelationDistillationLoss"]

BASE_TEMPERATURE = 0.07
MOVES = ("both", "features", "prototypes")
FALLS = (120 / 220, 160 / 220)
"""Shares of the first task after which its rate falls to a tenth; later tasks keep one rate."""


@final
class PRDLearner(AbstractContinualLearner):
    """The learner of PRD, with the contract of :class:`AbstractContinualLearner`.

    A batch is seen in two views. With features f, projections z = g(f) and prototypes theta, its loss is

        T / 0.07 SupCon(z; T) + prototype_weight mean(1 - cos(theta_y, stop f))
        + distill_weight RelationDistillation(f, theta_old; f_teacher, theta_teacher)          from the second task on.

    The second term moves prototypes of the task's classes only; the third the network and the old prototypes, which so
    follow its drift. ``moves`` restricts the third to "features" or "prototypes". The teacher answers in evaluation
    mode, or with the batch's statistics (``teacher_bn="batch"``, the released code). Prototypes and network have SGD
    of momentum 0 and 0.9; the optimiser is made anew for each task.

    Parameters beyond those of :class:`PRDClassifier`: ``prototype_rate`` (None: that of the network). Views of vectors
    are rows plus noise in units of the first task's deviations, those of pictures
    :func:`spaceform.training.augment.wobble`. O((2B)^2 d + 2B C d) per step, and a pass of the teacher.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        width: int,
        prototype_weight: float = 2.0,
        distill_weight: float = 4.0,
        axis: str = "prototypes",
        distill_temperature: float = 1.0,
        temperature: float = 0.1,
        noise: float = 0.2,
        moves: str = "both",
        teacher_bn: str = "running",
        learning_rates: tuple[float, float] = (0.01, 0.01),
        seed: int = 0,
    ) -> None:
        super().__init__(net, width=width, seed=seed)
        self.prototype_weight = check_real(prototype_weight, "prototype_weight", low=0)
        self.distill_weight = check_real(distill_weight, "distill_weight", low=0)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.noise = check_real(noise, "noise", low=0)
        self.moves = check_choice(moves, "moves", MOVES)
        self.teacher_bn = check_choice(teacher_bn, "teacher_bn", ("running", "batch"))
        self.learning_rates = [check_real(rate, "learning_rates", low=0, open_ends=True) for rate in learning_rates]
        self.attraction = PrototypeAttractionLoss()
        self.relation = RelationDistillationLoss(axis=check_choice(axis, "axis", AXES), temperature=distill_temperature)
        self.vectors = ClassVectors(width=width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "projector"))
            self.projector = mlp((width, width, max(1, width // 4)), norm=None)

    def views(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return two views of a batch ``(B, ...)``, one after the other: ``(2B, ...)``."""
        if inputs.ndim == 4:
            return torch.cat([wobble(inputs, generator), wobble(inputs, generator)])
        scale = next((layer.scale for layer in self.net.modules() if isinstance(layer, Standardize)), torch.ones(()))
        drawn = torch.randn(2, *inputs.shape, generator=generator).to(inputs)
        return torch.cat(list(inputs + self.noise * scale * drawn))

    def _begin(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        generator = torch_generator(derive_seed(self.seed, "vectors", len(self.tasks)))
        drawn = torch.rand(self.tasks[-1], self.width, generator=generator) * 2 - 1
        self.vectors.grow(drawn / self.width**0.5)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        network = [*self.net.parameters(), *self.projector.parameters()]
        rates = self._rates(0.0)
        return torch.optim.SGD(
            [
                {"params": network, "lr": rates[0], "momentum": 0.9, "weight_decay": 1e-4},
                {"params": [self.vectors.vectors], "lr": rates[1], "momentum": 0.0, "weight_decay": 0.0},
            ],
            lr=rates[0],
        )

    def _rates(self, done: float) -> Sequence[float]:
        falls = sum(done >= share - 1e-9 for share in FALLS) if len(self.tasks) == 1 else 0
        return [rate * 0.1**falls for rate in self.learning_rates]

    def _loss(
        self, inputs: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        rows = self.views(inputs, generator)
        features, targets = gather_with_grad(self(rows)), gather(codes.repeat(2))
        contrast = self._contrast(features, targets)
        attracted = self.attraction(features, targets, self.vectors.rows)
        loss = contrast + self.prototype_weight * attracted
        figures = {"contrast": contrast.detach().item(), "attracted": attracted.detach().item()}
        if self.n_old and self.distill_weight:
            kept = self._relations(features, gather(self._taught(rows)))
            loss, figures["kept"] = loss + self.distill_weight * kept, kept.detach().item()
        return loss, figures

    def _contrast(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        z = normalize(self.projector(features), dim=1)
        others = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        same = targets[:, None] == targets[None, :]
        return (self.temperature / BASE_TEMPERATURE) * supcon(
            z @ z.T, same, others, temperature=self.temperature
        ).mean()

    def _relations(self, features: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        assert self.teacher is not None  # noqa: S101  # there are old classes
        old = self.n_old
        prototypes: torch.Tensor = self.vectors.rows[:old]
        kept: torch.Tensor = self.relation(
            features.detach() if self.moves == "prototypes" else features,
            prototypes.detach() if self.moves == "features" else prototypes,
            taught,
            self.teacher["vectors"].rows,
            groups=self.tasks[:-1],
        )
        return kept

    def _teacher_parts(self) -> tuple[str, ...]:
        return ("net", "vectors")

    def _teacher_mode(self, teacher: nn.ModuleDict) -> None:
        teacher.train(self.teacher_bn == "batch" and self.training)

    def _answers(self, features: torch.Tensor) -> torch.Tensor:
        return self.vectors.cosine_logits(features)


@final
class PRDClassifier(AbstractContinualClassifier):
    """Classes that arrive in tasks, by contrastive features and prototypes that follow their drift; no old row is kept.

    The loss is that of :class:`PRDLearner`; a row gets the class whose prototype has the largest cosine with its
    features, among all seen or, with ``predict(X, task=...)``, among those of one task. ``fit`` learns a first task,
    each ``partial_fit`` one more.

    Parameters
    ----------
    embedding_dim : dimensions of the features, 512 in the paper (ResNet-18). net : see
        :class:`~spaceform.encoders.continual.classifier.AbstractContinualClassifier`; its output passes a ReLU.
    prototype_weight : of the attraction of prototypes (2). distill_weight : of the distilled relations (4).
    axis : "prototypes", softmax over the classes of a task, as in the released code; "samples", over the batch, as in
        the text, which wants a ``distill_temperature`` near 0.05.
    distill_temperature : 1. temperature : of the contrastive loss (0.1).
    noise : deviation of the noise in the views of vectors, in units of the first task's columns; pictures are moved.
    epochs : of the first task (220) and of each later one (100). learning_rates : of network and prototypes (0.01).
    batch_size : 128, before the two views. random_state : seed, an integer.

    Attributes
    ----------
    classes_ : labels in order of arrival. net_ : the learner, with ``vectors`` (the prototypes) and ``teacher``.
    history_ : of the last task.

    Raises
    ------
    InputError : NaN; labels of an earlier task; labels outside ``classes``, classes without rows; a task not yet seen.

    Cost: O(epochs n (B + C) d), the network twice, and a copy of it in memory. A task of one class keeps nothing with
    ``axis="prototypes"``: its softmax is constant.

    Examples
    --------
    >>> X = torch.randn(60, 4, generator=torch_generator(0)).numpy() + 4 * torch.eye(4).repeat(15, 1).numpy()
    >>> y = [0, 1, 2, 3] * 15
    >>> first, later = [c < 2 for c in y], [c > 1 for c in y]
    >>> model = PRDClassifier(embedding_dim=16, epochs=(9, 9), batch_size=16, random_state=0)
    >>> model.partial_fit(X[first], [c for c in y if c < 2]).partial_fit(X[later], [c for c in y if c > 1]).classes_
    array([0, 1, 2, 3])
    """

    KIND: ClassVar[str] = "prd"

    def __init__(
        self,
        *,
        embedding_dim: int = 512,
        net: str | NetMaker = "auto",
        prototype_weight: float = 2.0,
        distill_weight: float = 4.0,
        axis: str = "prototypes",
        distill_temperature: float = 1.0,
        temperature: float = 0.1,
        noise: float = 0.2,
        epochs: tuple[int, int] = (220, 100),
        learning_rates: tuple[float, float] = (0.01, 0.01),
        batch_size: int = 128,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.net = net
        self.prototype_weight = prototype_weight
        self.distill_weight = distill_weight
        self.axis = axis
        self.distill_temperature = distill_temperature
        self.temperature = temperature
        self.noise = noise
        self.epochs = epochs
        self.learning_rates = learning_rates
        self.batch_size = batch_size
        self.random_state = random_state

    def _learner(self, net: nn.Module, seed: int) -> AbstractContinualLearner:
        if len(self.learning_rates) != 2:
            raise InputError("learning_rates", got=self.learning_rates, expected="two: of network and prototypes")
        return PRDLearner(
            net,
            width=self.embedding_dim,
            prototype_weight=self.prototype_weight,
            distill_weight=self.distill_weight,
            axis=self.axis,
            distill_temperature=self.distill_temperature,
            temperature=self.temperature,
            noise=self.noise,
            learning_rates=self.learning_rates,
            seed=seed,
        )
