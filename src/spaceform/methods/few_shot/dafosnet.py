"""DAFOS-Net: few-shot classes in a new domain, and queries of no class turned away (Pal et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.distance import DistanceHead
from spaceform.losses.few_shot.balanced import balanced_cross_entropy
from spaceform.losses.few_shot.mode_collapse import aocmc_loss
from spaceform.losses.few_shot.prototypes import (
    prototype_alignment_loss,
    prototype_distances,
    prototype_triplet_loss,
    prototypical_loss,
)
from spaceform.nets.domain_norm import DomainNet
from spaceform.nets.feature_gan import ConditionalFeatureGAN, FeatureGANPair
from spaceform.ops.prototypes import class_prototypes
from spaceform.training.adversarial import AdversarialSteps

__all__ = ["ConditionalFeatureGAN", "DAFOSNet", "DistanceHead", "GANLearners", "Task"]

WEIGHTS = {"classify": 1.0, "triplet": 0.3, "align": 0.1, "outlier": 0.5, "domain": 0.05}
"""Of the terms of the objective. The released weights (40, 0.1, 50, 0.3, 0.05) belong to other forms of its terms."""

CONDITIONS = ("class_mean", "slot")
OUTLIER, INLIER = 0, 1
UNKNOWN = -1
AOCMC_EPS = 1e-3
"""The paper's 1e-8 is below what float32 tells from 0."""


@dataclass(frozen=True)
class Task:
    """Inputs of one domain's part of an episode, with class numbers of the episode.

    ``support`` and ``query`` are of the known classes ``support_targets`` and ``query_targets``, 0 to n_way - 1;
    ``unknown`` of other classes, which ``unknown_targets`` tell apart (from 0) for the GAN alone.
    """

    support: torch.Tensor
    support_targets: torch.Tensor
    query: torch.Tensor
    query_targets: torch.Tensor
    unknown: torch.Tensor
    unknown_targets: torch.Tensor


@dataclass(frozen=True)
class GANLearners:
    """What trains the two GANs, and how many rounds an episode gives them (5 in the paper)."""

    low: AdversarialSteps
    high: AdversarialSteps
    rounds: int = 5


@dataclass(frozen=True)
class _Seen:
    """A task's prototypes, and the rows asked about: queries, then unknown and made-up ones, whose target is -1."""

    prototypes: torch.Tensor
    asked: torch.Tensor
    targets: torch.Tensor
    distances: torch.Tensor


@final
class DAFOSNet(nn.Module):
    """Backbone, heads and feature GANs of DAFOS-Net, and what an episode over two domains costs them.

    ``l1 L_C + l2 L_PD + l3 L_Align + l4 L_OUT + l5 L_DC``: a softmax over negative distances to the prototypes of the
    query's own domain; a hinge per prototype; the distance between the domains' mean prototypes; and cross-entropies of
    two heads that see the distances alone and say known or unknown, and which domain.

    Parameters
    ----------
    backbone : maps inputs to features ``(B, dim)``; its batch norms are kept apart by domain (in place).
    n_way : known classes of an episode, >= 2; the heads are tied to it unless ``nearest`` is given.
    dim : width of the features; 64 in the paper.
    n_domains : 2, source and target; 1 trains on one domain, without the terms that compare two.
    gan : let a low-noise GAN add to the supports and a high-noise one to the unknown queries.
    condition : what tells the GANs the class: ``"class_mean"``, its mean feature, or ``"slot"``, its place in the
        episode as in the released code, which means another class every time.
    weights : of the terms ``classify, triplet, align, outlier, domain``; those left out keep :data:`WEIGHTS`.
    temperature : divides squared distances; 1 is the paper's formula, ``dim`` the released code's mean over dimensions.
    margin : of the hinge, in units of the distance; 0.5 in the paper.
    sort, nearest : of the heads, see :class:`spaceform.heads.distance.DistanceHead`; the paper's is ``sort=False``.
    separate : False shares batch norms between the domains (the ablation).

    Raises
    ------
    InputError : wrong widths or domains, unknown names of weights, a class of an episode without support.

    Cost: the backbone once over an episode, then O(queries n_way dim).

    Examples
    --------
    >>> net = DAFOSNet(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()), n_way=2, dim=8, gan=False)
    >>> X, y = torch.randn(6, 6), torch.tensor([0, 0, 0, 1, 1, 1])
    >>> sorted(net.episode_loss([Task(X, y, X + 1, y, X - 5, y)] * 2))
    ['align', 'classify', 'domain', 'outlier', 'total', 'triplet']
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        n_way: int,
        dim: int = 64,
        n_domains: int = 2,
        gan: bool = True,
        condition: str = "class_mean",
        weights: Mapping[str, float] | None = None,
        temperature: float = 8.0,
        margin: float = 0.5,
        sort: bool = True,
        nearest: int | None = None,
        separate: bool = True,
    ) -> None:
        super().__init__()
        self.n_way = check_integer(n_way, "n_way", low=2)
        self.dim = check_integer(dim, "dim", low=1)
        self.n_domains = check_integer(n_domains, "n_domains", low=1, high=2)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.margin = check_real(margin, "margin", low=0)
        self.weights = _weights(weights)
        self.backbone = DomainNet(backbone, n_domains=n_domains, shared=not separate)
        self.outlier_head = DistanceHead(n_way, sort=sort, nearest=nearest)
        self.domain_head = DistanceHead(n_way, sort=sort, nearest=nearest)
        slots = n_way if check_choice(condition, "condition", CONDITIONS) == "slot" else None
        self.gans = FeatureGANPair(dim, n_domains=n_domains, slots=slots) if gan else None

    def episode_loss(
        self,
        tasks: Sequence[Task],
        *,
        invent: bool = True,
        learners: GANLearners | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the objective by name, unweighted, and their weighted sum ``total``.

        ``tasks``: one per domain, the source first. ``invent`` False leaves made-up features out (a warm-up);
        ``learners`` train the GANs on the episode's features first. ``generator`` draws their noise. Absent are terms
        of weight 0, and those that compare domains when there is one.
        """
        if len(tasks) != self.n_domains:
            raise InputError("tasks", got=f"{len(tasks)} tasks", expected=f"{self.n_domains}, one per domain")
        features = [self._features(task, domain) for domain, task in enumerate(tasks)]
        if learners is not None:
            self._train_gans(tasks, features, learners, generator)
        pair = self.gans if invent else None
        seen = []
        for domain, (task, (support, query, strange)) in enumerate(zip(tasks, features, strict=True)):
            targets = task.support_targets
            if pair is not None:
                made = pair.invent(support, targets, domain, high=False, generator=generator)
                support, targets = torch.cat([support, made]), torch.cat([targets, targets])
                made = pair.invent(strange, task.unknown_targets, domain, high=True, generator=generator)
                strange = torch.cat([strange, made])
            seen.append(self._see(class_prototypes(support, targets, self.n_way), query, task.query_targets, strange))
        return self._objective(seen)

    @torch.no_grad()
    def predict(
        self, support: torch.Tensor, y: torch.Tensor, query: torch.Tensor, *, domain: int = 1
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the class of each query, -1 where it is of none, and the probability ``(n,)`` that it is of one.

        ``support`` and ``query`` are inputs of one ``domain`` (1: the target), ``y`` integer labels >= 0 of ``n_way``
        classes. Prototypes are of the real supports alone; batch norms use their running statistics, and the mode of
        the network is left as it was. Raises ``InputError`` for NaN, -1 among the labels, a domain out of range, and
        another number of classes than the head reads.
        """
        if not (torch.isfinite(support).all() and torch.isfinite(query).all()):
            raise InputError("query", got="NaN or an infinity", expected="finite inputs")
        if y.shape != support.shape[:1] or bool((y < 0).any()):
            raise InputError(
                "y", got="another length, or -1", expected="a class >= 0 per support", remedy="-1 is the answer 'none'"
            )
        was_training = self.training
        self.eval()
        try:
            classes, targets = torch.unique(y, return_inverse=True)
            prototypes = class_prototypes(self.backbone(support, domain), targets, len(classes))
            distances = prototype_distances(self.backbone(query, domain), prototypes, temperature=self.temperature)
            score = self.outlier_head(distances).softmax(1)[:, INLIER]
        finally:
            self.train(was_training)
        return torch.where(score >= 0.5, classes[distances.argmin(1)], UNKNOWN), score

    def _features(self, task: Task, domain: int) -> list[torch.Tensor]:
        """Return features of supports, queries and unknown queries, which go through the backbone as one batch."""
        parts = [task.support, task.query, task.unknown]
        rows = self.backbone(torch.cat(parts), domain)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise InputError("backbone", got=f"features of shape {tuple(rows.shape)}", expected=f"(B, {self.dim})")
        return list(rows.split([len(part) for part in parts]))

    def _see(
        self, prototypes: torch.Tensor, query: torch.Tensor, query_targets: torch.Tensor, strange: torch.Tensor
    ) -> _Seen:
        asked = torch.cat([query, strange])
        targets = torch.cat([query_targets, query_targets.new_full((len(strange),), UNKNOWN)])
        return _Seen(
            prototypes, asked, targets, prototype_distances(asked, prototypes, temperature=self.temperature)
        )

    def _objective(self, seen: Sequence[_Seen]) -> dict[str, torch.Tensor]:
        wanted = {name for name, weight in self.weights.items() if weight > 0}
        wanted -= {"align", "domain"} if len(seen) == 1 else set()
        distances, targets = torch.cat([one.distances for one in seen]), torch.cat([one.targets for one in seen])
        known = targets != UNKNOWN
        terms: dict[str, torch.Tensor] = {}
        if "classify" in wanted:
            terms["classify"] = prototypical_loss(distances[known], targets[known])
        if "triplet" in wanted:
            hinge = partial(prototype_triplet_loss, margin=self.margin, temperature=self.temperature)
            terms["triplet"] = torch.stack([hinge(one.prototypes, one.asked, one.targets) for one in seen]).sum()
        if "align" in wanted:
            plain = distances.new_ones(self.dim), distances.new_zeros(self.dim)
            affine = self.backbone.last_affine(self.dim) or [plain, plain]
            terms["align"] = prototype_alignment_loss(seen[0].prototypes, seen[1].prototypes, *affine)
        if "outlier" in wanted:
            answers = torch.where(known, INLIER, OUTLIER)
            terms["outlier"] = balanced_cross_entropy(self.outlier_head(distances), answers)
        if "domain" in wanted:
            domains = torch.cat([torch.full_like(one.targets, domain) for domain, one in enumerate(seen)])
            terms["domain"] = balanced_cross_entropy(self.domain_head(distances), domains)
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}

    def _train_gans(
        self,
        tasks: Sequence[Task],
        features: Sequence[list[torch.Tensor]],
        learners: GANLearners,
        generator: torch.Generator | None,
    ) -> None:
        """Let the low-noise GAN learn supports and the high-noise one unknown queries, both domains in one batch."""
        pair = self.gans
        if pair is None:
            raise InputError("learners", got="learners for a network without GANs", expected="gan=True")
        known = [(f[0].detach(), task.support_targets) for f, task in zip(features, tasks, strict=True)]
        strange = [(f[2].detach(), task.unknown_targets) for f, task in zip(features, tasks, strict=True)]
        told_low, told_high = (
            torch.cat([pair.conditions(rows, targets, domain) for domain, (rows, targets) in enumerate(parts)])
            for parts in (known, strange)
        )
        real_low, real_high = (torch.cat([rows for rows, _ in parts]) for parts in (known, strange))
        n = min(len(real_low), len(real_high))
        for _ in range(learners.rounds):
            low, low_noise = pair.low.generate(told_low, generator=generator)
            high, high_noise = pair.high.generate(told_high, generator=generator)
            apart = aocmc_loss(low_noise[:n], high_noise[:n], low.detach()[:n], high[:n], eps=AOCMC_EPS)
            for gan, learner, real, made, told, extra in (
                (pair.low, learners.low, real_low, low, told_low, 0.0),
                (pair.high, learners.high, real_high, high, told_high, apart),
            ):
                judge = partial(gan.discriminator_loss, real, made, told)
                learner.round(judge, partial(_maker_loss, gan, made, told, extra))


def _maker_loss(
    gan: ConditionalFeatureGAN, made: torch.Tensor, told: torch.Tensor, extra: torch.Tensor | float
) -> torch.Tensor:
    return gan.generator_loss(made, told) + extra


def _weights(given: Mapping[str, float] | None) -> dict[str, float]:
    weights = {**WEIGHTS, **(given or {})}
    for name, value in weights.items():
        check_choice(name, "weights", tuple(WEIGHTS))
        check_real(value, f"weights[{name!r}]", low=0)
    if not any(weights[name] for name in ("classify", "triplet", "outlier")):
        raise InputError("weights", got="zeros", expected="classify, triplet or outlier above 0")
    return weights
