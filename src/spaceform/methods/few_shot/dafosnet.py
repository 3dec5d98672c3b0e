"""DAFOS-Net: few-shot classes in a new domain, and queries of no class turned away (Pal et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import device
from spaceform.encoders.open_set_tasks import SOURCE, TARGET, OpenSetTasks, Task
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.heads.distance import DistanceHead
from spaceform.heads.open_set import OpenSetPrototypeClassifier
from spaceform.heads.prototypes import class_prototypes
from spaceform.losses.few_shot.balanced import balanced_cross_entropy
from spaceform.losses.few_shot.prototypes import (
    prototype_alignment_loss,
    prototype_distances,
    prototype_triplet_loss,
    prototypical_loss,
)
from spaceform.nets.domains.domain_norm import DomainNet
from spaceform.nets.domains.feature_gan import ConditionalFeatureGAN, FeatureGANPair, GANLearners
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.adversarial import AdversarialSteps
from spaceform.training.loop import Callback
from spaceform.training.optimizers import make_optimizer
from spaceform.types import PathLike, Progress, no_progress

__all__ = ["ConditionalFeatureGAN", "DAFOSEncoder", "DAFOSNet", "DistanceHead", "OpenSetPrototypeClassifier"]

WEIGHTS = {"classify": 1.0, "triplet": 0.3, "align": 0.1, "outlier": 0.5, "domain": 0.05}
"""Of the terms of the objective. The released weights (40, 0.1, 50, 0.3, 0.05) belong to other forms of its terms."""

CONDITIONS = ("class_mean", "slot")
OUTLIER, INLIER = 0, 1
UNKNOWN = -1
GAN_RATE, GAN_SHARE = 1e-3, 0.3
"""Rate and Reptile's share. With the paper's 1e-4 and 0.003 five rounds in 300 episodes come to five steps of Adam."""
WARM_UP = 1 / 3
"""Share of the steps before made-up features enter: a GAN that has learned nothing only disturbs."""


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
    >>> sorted(net.episode_loss(dict.fromkeys((0, 1), Task(X, y, X + 1, y, X - 5, y))))
    ['align', 'classify', 'domain', 'outlier', 'total', 'triplet']
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        n_way: int,
        dim: int = 64,
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
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.margin = check_real(margin, "margin", low=0)
        self.weights = _weights(weights)
        self.backbone = DomainNet(backbone, n_domains=2, shared=not separate)
        self.outlier_head = DistanceHead(n_way, sort=sort, nearest=nearest)
        self.domain_head = DistanceHead(n_way, sort=sort, nearest=nearest)
        slots = n_way if check_choice(condition, "condition", CONDITIONS) == "slot" else None
        self.gans = FeatureGANPair(dim, n_domains=2, slots=slots) if gan else None

    def episode_loss(
        self,
        tasks: Mapping[int, Task],
        *,
        invent: bool = True,
        learners: GANLearners | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the objective by name, unweighted, and their weighted sum ``total``.

        ``tasks`` of domains 0 (source) and 1 (target), or of one of them. ``invent`` False leaves made-up features out
        (a warm-up); ``learners`` train the GANs on the episode's features first. ``generator`` draws their noise.
        Absent are terms of weight 0, and those that compare domains when there is one.
        """
        if not tasks or not set(tasks) <= {SOURCE, TARGET}:
            raise InputError("tasks", got=f"domains {sorted(tasks)}", expected="0, 1 or both")
        features = {domain: self._features(task, domain) for domain, task in tasks.items()}
        if learners is not None and self.gans is not None:
            known = [(rows[0], tasks[domain].support_targets, domain) for domain, rows in features.items()]
            strange = [(rows[2], tasks[domain].unknown_targets, domain) for domain, rows in features.items()]
            self.gans.learn(known, strange, learners, generator=generator)
        pair = self.gans if invent else None
        seen = {}
        for domain, task in tasks.items():
            (support, query, unknown), targets = features[domain], task.support_targets
            if pair is not None:
                made = pair.invent(support, targets, domain, high=False, generator=generator)
                support, targets = torch.cat([support, made]), torch.cat([targets, targets])
                made = pair.invent(unknown, task.unknown_targets, domain, high=True, generator=generator)
                unknown = torch.cat([unknown, made])
            prototypes = class_prototypes(support, targets, self.n_way)
            seen[domain] = self._see(prototypes, query, task.query_targets, unknown)
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
        return _Seen(prototypes, asked, targets, prototype_distances(asked, prototypes, temperature=self.temperature))

    def _objective(self, seen: Mapping[int, _Seen]) -> dict[str, torch.Tensor]:
        wanted = {name for name, weight in self.weights.items() if weight > 0}
        wanted -= {"align", "domain"} if len(seen) == 1 else set()
        distances = torch.cat([one.distances for one in seen.values()])
        targets = torch.cat([one.targets for one in seen.values()])
        known = targets != UNKNOWN
        terms: dict[str, torch.Tensor] = {}
        if "classify" in wanted:
            terms["classify"] = prototypical_loss(distances[known], targets[known])
        if "triplet" in wanted:
            hinge = partial(prototype_triplet_loss, margin=self.margin, temperature=self.temperature)
            terms["triplet"] = torch.stack(
                [hinge(one.prototypes, one.asked, one.targets) for one in seen.values()]
            ).sum()
        if "align" in wanted:
            plain = distances.new_ones(self.dim), distances.new_zeros(self.dim)
            affine = self.backbone.last_affine(self.dim) or [plain, plain]
            terms["align"] = prototype_alignment_loss(seen[SOURCE].prototypes, seen[TARGET].prototypes, *affine)
        if "outlier" in wanted:
            answers = torch.where(known, INLIER, OUTLIER)
            terms["outlier"] = balanced_cross_entropy(self.outlier_head(distances), answers)
        if "domain" in wanted:
            domains = torch.cat([torch.full_like(one.targets, domain) for domain, one in seen.items()])
            terms["domain"] = balanced_cross_entropy(self.domain_head(distances), domains)
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}


@final
class DAFOSEncoder(AbstractEncoder):
    """Encoder, trained by the open-set episodes of DAFOS-Net, which makes features of the target domain.

    Every step is a task of known and unknown classes in the source, one in the target, and the objective of
    :class:`DAFOSNet` (``net_``). Without domains it is one task, and the terms that compare domains are left out.

    Parameters
    ----------
    embedding_dim : dimensions of the features, which are not negative; 64 in the paper.
    n_way : known classes of a task, and as many unknown ones; 5 in the paper.
    shots : supports of a class; one number, or source and target, which has fewer rows.
    queries : queries of a class, known or unknown.
    gan : ``"class_mean"`` or ``"slot"`` (what tells the feature GANs a class, see :class:`DAFOSNet`), or None for none,
        which did better in small runs.
    weights, temperature, separate : as in :class:`DAFOSNet`.
    steps : episodes. learning_rate : of Adam, which rises and falls once; 1e-4 in the paper.
    net : a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a
        module; batch norm and ReLU are put after it.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained :class:`DAFOSNet`. history_ : the terms at each step. classes_ : labels seen.
    input_shape_ : ``(size, size, channels)`` or ``(d,)``. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : inputs, labels or domains of another form, fewer than 2 ``n_way`` classes with rows enough in a domain.

    Cost: O(steps x episode x pixels).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(24, 6))
    >>> encoder = DAFOSEncoder(embedding_dim=8, n_way=2, shots=1, queries=2, steps=2, net="mlp")
    >>> encoder.fit(X, np.arange(24) % 8, domains=np.arange(24) % 8 // 4).transform(X).shape
    (24, 8)
    """

    KIND: ClassVar[str] = "dafosnet"
    net_: DAFOSNet

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        n_way: int = 5,
        shots: int | tuple[int, int] = 5,
        queries: int = 5,
        gan: str | None = None,
        weights: Mapping[str, float] | None = None,
        temperature: float = 8.0,
        separate: bool = True,
        steps: int = 300,
        learning_rate: float = 1e-3,
        net: str | NetMaker = "auto",
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.n_way = n_way
        self.shots = shots
        self.queries = queries
        self.gan = gan
        self.weights = weights
        self.temperature = temperature
        self.separate = separate
        self.steps = steps
        self.learning_rate = learning_rate
        self.net = net
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``; ``domains
        (n,)`` 0 for the source and 1 for the target, None when all is target. With a ``checkpoint`` folder, written
        ``every`` so many steps, a killed call goes on where it stood. ``callbacks`` may end training early.
        """
        inputs, codes = self._enter(X, y)
        seed = self.random_state
        steps = check_integer(self.steps, "steps", low=0)
        tasks = OpenSetTasks(
            inputs,
            codes,
            domains,
            n_way=self.n_way,
            shots=self.shots,
            queries=self.queries,
            seed=derive_seed(seed, "episodes"),
        )
        self.net_ = net = self._new_net(seed)
        learners = None if net.gans is None else _learners(net.gans)
        learned = [value for name, value in net.named_parameters() if not name.startswith("gans.")]
        optimizer, schedule = make_optimizer("adam", learned, rate=self.learning_rate, steps=steps)
        warm_up = round(WARM_UP * steps)

        def loss_step(step: int) -> tuple[torch.Tensor, dict[str, float]]:
            terms = net.episode_loss(
                tasks(step),
                invent=step >= warm_up,
                learners=learners,
                generator=torch_generator(derive_seed(seed, "noise", step)),
            )
            return terms["total"], {name: float(term.detach()) for name, term in terms.items() if name != "total"}

        data = (inputs, codes) if domains is None else (inputs, codes, np.asarray(domains))
        plan = Plan(
            parts=net,
            loss_step=loss_step,
            batches=lambda step: step,
            steps=steps,
            optimizer=optimizer,
            schedule=schedule,
            task="training on open-set episodes",
        )
        rounds = () if learners is None else (learners.low, learners.high)
        return self._run(
            plan, data, checkpoint=checkpoint, every=every, callbacks=[*rounds, *callbacks], progress=progress
        )

    def _new_net(self, seed: int) -> DAFOSNet:
        check_choice(self.gan or "class_mean", "gan", CONDITIONS)
        dim = check_integer(self.embedding_dim, "embedding_dim", low=1)
        backbone = self._backbone(dim, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "heads"))
            net = DAFOSNet(
                nn.Sequential(backbone, nn.BatchNorm1d(dim), nn.ReLU()),
                n_way=self.n_way,
                dim=dim,
                gan=self.gan is not None,
                condition=self.gan or "class_mean",
                weights=self.weights,
                temperature=self.temperature,
                separate=self.separate,
            )
        return net.to(device())

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.net_.backbone(batch, TARGET)
        return features


def _learners(pair: FeatureGANPair) -> GANLearners:
    low, high = (
        AdversarialSteps(gan.generator, gan.discriminator, learning_rate=GAN_RATE, reptile_rate=GAN_SHARE)
        for gan in (pair.low, pair.high)
    )
    return GANLearners(low, high)


def _weights(given: Mapping[str, float] | None) -> dict[str, float]:
    weights = {**WEIGHTS, **(given or {})}
    for name, value in weights.items():
        check_choice(name, "weights", tuple(WEIGHTS))
        check_real(value, f"weights[{name!r}]", low=0)
    if not any(weights[name] for name in ("classify", "triplet", "outlier")):
        raise InputError("weights", got="zeros", expected="classify, triplet or outlier above 0")
    return weights
