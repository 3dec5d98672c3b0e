"""Features made up where there are few: a small conditional GAN over embeddings (DAFOS-Net)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.prototypes import class_prototypes
from spaceform.losses.few_shot.mode_collapse import aocmc_loss
from spaceform.nets.mlp import mlp

MAKES, JUDGES = (32, 48), (48, 32, 16, 8)
"""Hidden widths of generator and discriminator in the paper."""

AOCMC_EPS = 1e-3
"""The paper's 1e-8 is below what float32 tells from 0."""

Part = tuple[torch.Tensor, torch.Tensor, int]
"""Features ``(n, dim)``, their class numbers ``(n,)``, and their domain."""


class Learner(Protocol):
    """What takes a step of the discriminator and one of the generator, such as ``training.adversarial`` has."""

    def round(
        self, judge_loss: Callable[[], torch.Tensor], maker_loss: Callable[[], torch.Tensor]
    ) -> tuple[float, float]:
        """Take both steps and return both losses."""
        ...

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """See a step of the training loop."""
        ...


@dataclass(frozen=True)
class GANLearners:
    """What trains the two GANs of a pair, and how many rounds an episode gives them (5 in the paper)."""

    low: Learner
    high: Learner
    rounds: int = 5


class ConditionalFeatureGAN(nn.Module):
    """Generator ``[noise; condition] -> feature`` and discriminator ``[feature; condition] -> logit``, both small.

    ``noise ~ N(0, sigma^2)`` of ``noise_dim`` numbers; layers 32 - 48 - ``dim`` with ReLU after each, so features are
    never negative, as those of a network that ends in ReLU; the discriminator 48 - 32 - 16 - 8 - 1. Binary
    cross-entropy on logits, the generator's in the form that does not saturate.

    Parameters: ``dim`` of features, ``cond_dim`` of conditions; ``sigma`` 0.2 for features of known classes and 1 for
    those of unknown ones. A condition has to say the same of a class in every episode, such as its mean feature; its
    position in the episode teaches the generator nothing. Raises ``InputError`` for other widths. O(n dim) per call.

    >>> gan = ConditionalFeatureGAN(4, 3, sigma=0.2)
    >>> features, noise = gan.generate(torch.eye(3))
    >>> features.shape, noise.shape, bool((features >= 0).all())
    (torch.Size([3, 4]), torch.Size([3, 8]), True)
    """

    def __init__(self, dim: int, cond_dim: int, *, noise_dim: int = 8, sigma: float = 1.0) -> None:
        super().__init__()
        self.dim = check_integer(dim, "dim", low=1)
        self.cond_dim = check_integer(cond_dim, "cond_dim", low=1)
        self.noise_dim = check_integer(noise_dim, "noise_dim", low=1)
        self.sigma = check_real(sigma, "sigma", low=0, open_ends=True)
        made = mlp((noise_dim + cond_dim, *MAKES, dim), norm=None)
        self.generator = nn.Sequential(*made, nn.ReLU())
        self.discriminator = mlp((dim + cond_dim, *JUDGES, 1), norm=None)

    def generate(
        self, conditions: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features ``(n, dim)`` for ``conditions (n, cond_dim)``, and their noise ``(n, noise_dim)``."""
        if conditions.ndim != 2 or conditions.shape[1] != self.cond_dim:
            raise InputError("conditions", got=f"shape {tuple(conditions.shape)}", expected=f"(n, {self.cond_dim})")
        draws = torch.randn(len(conditions), self.noise_dim, generator=generator)
        noise = (self.sigma * draws).to(conditions)
        return self.generator(torch.cat([noise, conditions], 1)), noise

    def judge(self, features: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return logits ``(n,)``, larger for features ``(n, dim)`` that look real under their conditions."""
        logits: torch.Tensor = self.discriminator(torch.cat([features, conditions], 1))
        return logits[:, 0]

    def discriminator_loss(self, real: torch.Tensor, made: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of real features as 1 and of made ones as 0, whose generator gets no gradient."""
        seen, invented = self.judge(real, conditions), self.judge(made.detach(), conditions)
        return (functional.softplus(-seen) + functional.softplus(invented)).mean()

    def generator_loss(self, made: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of made features as 1."""
        return functional.softplus(-self.judge(made, conditions)).mean()


class FeatureGANPair(nn.Module):
    """A low-noise GAN for features of known classes and a high-noise one for those of unknown classes.

    The condition of a feature is its class and its domain: ``slots`` None takes the mean feature of the class, which
    says the same in every episode; a number takes a one-hot of the class's place in the episode, as the released code
    does. Parameters: ``dim`` of features; ``n_domains``; ``slots``; ``sigmas`` of low and high noise.
    """

    def __init__(
        self, dim: int, *, n_domains: int = 2, slots: int | None = None, sigmas: tuple[float, float] = (0.2, 1.0)
    ) -> None:
        super().__init__()
        self.n_domains = check_integer(n_domains, "n_domains", low=1)
        self.slots = slots
        width = (dim if slots is None else check_integer(slots, "slots", low=2)) + n_domains
        self.low, self.high = (ConditionalFeatureGAN(dim, width, sigma=sigma) for sigma in sigmas)

    def conditions(self, features: torch.Tensor, targets: torch.Tensor, domain: int) -> torch.Tensor:
        """Return the condition ``(n, width)`` of each of ``features (n, dim)`` of classes ``targets (n,)``, constant.

        Raises ``InputError`` for a class without a slot, which the released code gives a condition of zeros.
        """
        count = int(targets.max()) + 1
        if self.slots is None:
            told = class_prototypes(features.detach(), targets, count)[targets]
        elif count > self.slots:
            raise InputError("targets", got=f"class {count - 1}", expected=f"numbers 0 to {self.slots - 1}, the slots")
        else:
            told = functional.one_hot(targets, self.slots).to(features)
        where = functional.one_hot(torch.full_like(targets, domain), self.n_domains).to(features)
        return torch.cat([told, where], 1)

    def invent(
        self,
        features: torch.Tensor,
        targets: torch.Tensor,
        domain: int,
        *,
        high: bool,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Return a made-up feature ``(n, dim)`` for each real one, without gradient."""
        with torch.no_grad():
            gan = self.high if high else self.low
            return gan.generate(self.conditions(features, targets, domain), generator=generator)[0]

    def learn(
        self,
        known: Sequence[Part],
        strange: Sequence[Part],
        learners: GANLearners,
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, float]:
        """Take the rounds of an episode and return the last losses; the features get no gradient.

        The low-noise GAN learns ``known`` features; the high-noise one ``strange`` ones, and the term against mode
        collapse. All domains go in one batch. O(rounds rows dim).
        """
        real_low, real_high = (torch.cat([rows.detach() for rows, _, _ in parts]) for parts in (known, strange))
        told_low, told_high = (torch.cat([self.conditions(*part) for part in parts]) for parts in (known, strange))
        n = min(len(real_low), len(real_high))
        figures: dict[str, float] = {}
        for _ in range(check_integer(learners.rounds, "rounds", low=1)):
            low, low_noise = self.low.generate(told_low, generator=generator)
            high, high_noise = self.high.generate(told_high, generator=generator)
            apart = aocmc_loss(low_noise[:n], high_noise[:n], low.detach()[:n], high[:n], eps=AOCMC_EPS)
            figures["low_judge"], figures["low_maker"] = _play(
                self.low, learners.low, real_low, low, told_low, extra=real_low.new_zeros(())
            )
            figures["high_judge"], figures["high_maker"] = _play(
                self.high, learners.high, real_high, high, told_high, extra=apart
            )
        return figures


def _play(
    gan: ConditionalFeatureGAN,
    learner: Learner,
    real: torch.Tensor,
    made: torch.Tensor,
    told: torch.Tensor,
    *,
    extra: torch.Tensor,
) -> tuple[float, float]:
    """Let the discriminator learn, then the generator, whose loss has the ``extra`` term."""
    judge = partial(gan.discriminator_loss, real, made, told)
    return learner.round(judge, lambda: gan.generator_loss(made, told) + extra)
