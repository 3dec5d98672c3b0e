"""Baselines of both claims as learners: fine-tuning (and joint training), learning without forgetting, PASS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from spaceform.checks import check_choice, check_real
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.heads.growing.class_vectors import ClassVectors
from spaceform.heads.growing.prototype_memory import PrototypeMemory
from spaceform.losses.continual.distillation import answer_distillation, feature_distillation
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import wobble

KEEPS = ("nothing", "answers", "prototypes")


@final
class LinearLearner(AbstractContinualLearner):
    """A network with a linear classifier that grows, trained by Adam on the cross-entropy of each task's rows.

    ``keeps="nothing"`` is fine-tuning. ``"answers"`` is learning without forgetting (Li and Hoiem, ECCV 2016): the
    cross-entropy is over the new classes alone, and ``weight`` times a distillation at temperature 2 keeps the answers
    over the old ones. ``"prototypes"`` is PASS (Zhu and others, CVPR 2021) without its turned pictures: logits are
    divided by 0.1, old classes are replayed as prototype plus isotropic noise of the first task's size, and features
    are distilled; both terms with ``weight``.

    ``rate`` of the first task, ``later`` its share in later ones; it falls to a tenth after 0.45 and 0.9 of a task.
    ``views``: pictures are moved a little, as PRD's are.
    """

    noise: torch.Tensor

    def __init__(
        self,
        net: nn.Module,
        *,
        width: int,
        keeps: str = "nothing",
        weight: float = 1.0,
        rate: float = 1e-3,
        later: float = 0.1,
        views: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(net, width=width, seed=seed)
        self.keeps = check_choice(keeps, "keeps", KEEPS)
        self.weight = check_real(weight, "weight", low=0)
        self.rate = check_real(rate, "rate", low=0, open_ends=True)
        self.later = check_real(later, "later", low=0, open_ends=True)
        self.views = views
        self.vectors = ClassVectors(width=width)
        self.memory = PrototypeMemory(width=width)
        self.register_buffer("noise", torch.zeros(()))

    def _begin(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        generator = torch_generator(derive_seed(self.seed, "vectors", len(self.tasks)))
        drawn = torch.rand(self.tasks[-1], self.width, generator=generator) * 2 - 1
        self.vectors.grow(drawn / math.sqrt(self.width))

    def _new_optimizer(self) -> torch.optim.Optimizer:
        trained = [*self.net.parameters(), *self.vectors.parameters()]
        return torch.optim.Adam(trained, lr=self._rates(0.0)[0], weight_decay=2e-4)

    def _rates(self, done: float) -> Sequence[float]:
        return [self.rate * (self.later if len(self.tasks) > 1 else 1.0) * 0.1 ** int(done / 0.45 + 1e-9)]

    def _loss(
        self, inputs: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        rows = wobble(inputs, generator) if self.views else inputs
        features, old = self(rows), self.n_old
        scale = 0.1 if self.keeps == "prototypes" else 1.0
        logits = self.vectors.linear_logits(features) / scale
        if not old or self.keeps == "nothing":
            return cross_entropy(logits, codes), {}
        taught = self._taught(rows)
        if self.keeps == "answers":
            assert self.teacher is not None  # there are old classes
            before = self.teacher["vectors"].linear_logits(taught)  # type: ignore[operator]
            kept = answer_distillation(logits[:, :old], before)
            return cross_entropy(logits[:, old:], codes - old) + self.weight * kept, {}
        drawn = torch.randint(old, (len(codes),), generator=generator)
        noise = torch.randn(len(codes), self.width, generator=generator) * self.noise
        replayed = cross_entropy(self.vectors.linear_logits(self.memory.means.to(noise)[drawn] + noise) / scale, drawn)
        kept = replayed + feature_distillation(features, taught)
        return cross_entropy(logits, codes) + self.weight * kept, {}

    def _finish(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        self.memory.update(self._embedded(inputs), codes)
        if len(self.tasks) == 1:
            self.noise.fill_(self.memory.radius)

    def _teacher_parts(self) -> tuple[str, ...]:
        return ("net", "vectors")

    def _answers(self, features: torch.Tensor) -> torch.Tensor:
        return self.vectors.linear_logits(features)
