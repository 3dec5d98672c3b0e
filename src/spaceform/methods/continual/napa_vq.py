"""NAPA-VQ: class vectors, a graph of neighbouring classes, and replay of mixed prototypes (ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.encoders.abstract import NetMaker
from spaceform.encoders.continual.classifier import AbstractContinualClassifier
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.errors import InputError
from spaceform.heads.growing.class_vectors import ClassVectors
from spaceform.heads.growing.neighbor_graph import NeighborGraph
from spaceform.heads.growing.prototype_memory import PrototypeMemory
from spaceform.losses.continual.distillation import feature_distillation
from spaceform.losses.continual.neighbor_repulsion import NAVQLoss
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import quarter_turns
from spaceform.training.distributed import gather, gather_with_grad
from spaceform.training.optimizers import JointOptimizer

__all__ = [
    "ClassVectors",
    "NAPAVQClassifier",
    "NAPAVQLearner",
    "NAVQLoss",
    "NeighborAwareAugmenter",
    "NeighborGraph",
    "PrototypeMemory",
]

REPLAYS = ("neighbors", "random", "noise", "none")
LATER = 0.1
"""Learning rates of later tasks, as a share of those of the first (1e-4 after 1e-3, 0.5 after 5)."""

NET_STEP, VECTOR_STEP, FALL = 0.45, 0.2, 0.1
"""Both rates fall to a tenth after such shares of a task: StepLR(45) and StepLR(20) of 100 epochs."""


@final
class NeighborAwareAugmenter:
    """Rows that stand for old classes: mixtures of a class's prototype with that of one of its neighbours.

    ``p = g mu_c + (1 - g) mu_j``, labelled c: c is drawn with replacement from ``classes``, j among the classes with an
    edge to c (itself too), g from U(low, high). Parameters: ``prototypes (C, d)``; ``edges`` the graph over the same
    classes; ``low``, ``high`` in [0, 1], 0.5 and 1 in the released code, so that p lies nearer to mu_c.

    Raises ``InputError`` for a graph of another size and bounds out of order. O(n C + n d) per draw.

    >>> graph = NeighborGraph()
    >>> graph.grow(2)
    >>> mixed, labels = NeighborAwareAugmenter(torch.eye(2), graph).sample(3, torch.arange(1), torch_generator(0))
    >>> mixed.tolist(), labels.tolist()  # no neighbour but itself
    ([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], [0, 0, 0])
    """

    def __init__(self, prototypes: torch.Tensor, graph: NeighborGraph, *, low: float = 0.5, high: float = 1.0) -> None:
        if len(prototypes) != len(graph):
            raise InputError("graph", got=f"{len(graph)} classes", expected=f"{len(prototypes)}, one per prototype")
        self.low = check_real(low, "low", low=0, high=1)
        self.high = check_real(high, "high", low=self.low, high=1)
        self.prototypes, self.graph = prototypes, graph

    def sample(self, n: int, classes: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``n`` mixtures ``(n, d)`` and their labels ``(n,)``."""
        check_integer(n, "n", low=1)
        drawn = classes[torch.randint(len(classes), (n,), generator=generator).to(classes.device)]
        beside = self.graph.sample_neighbors(drawn, generator)
        return self.mixed(drawn, beside, generator), drawn

    def mixed(self, classes: torch.Tensor, beside: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return mixtures of the prototypes of ``classes (n,)`` with those of ``beside (n,)``."""
        share = torch.rand(len(classes), 1, generator=generator).to(self.prototypes)
        share = self.low + (self.high - self.low) * share
        return share * self.prototypes[classes] + (1 - share) * self.prototypes[beside]


@final
class NAPAVQLearner(AbstractContinualLearner):
    """The learner of NAPA-VQ, with the contract of :class:`AbstractContinualLearner`.

    With D(x, m) the Euclidean distances to the class vectors, the loss of a batch is

        CE(-D / temperature, y) + na NAVQ(D, y)                                    in every task; from the second on
        + na NAVQ(D(p), c) + replay CE(-D(p) / temperature, c) + kd |F - F_old|,   p a mixture for class c.

    Vectors of old classes are frozen (``freeze=False`` frees them); a graph over the vectors is updated by every NAVQ
    term before it is read. Prototypes of new classes are taken from the old network when a task begins, so that they
    can be neighbours, and from the new one when it ends.

    Parameters beyond those of :class:`NAPAVQClassifier`: ``learning_rates`` of network and vectors; ``replay``
    "neighbors"; "random" mixes with any class, "noise" adds isotropic noise of the mean deviation (as PASS), "none"
    replays nothing; ``turns`` of pictures, 4 or 1; ``freeze``. O(B C d) per step.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        width: int,
        k: int = 15,
        temperature: float = 0.1,
        na_weight: float = 1.0,
        kd_weight: float = 10.0,
        replay_weight: float = 10.0,
        replay: str = "neighbors",
        turns: int = 1,
        learning_rates: tuple[float, float] = (1e-3, 5.0),
        freeze: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(net, width=width, seed=seed)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.na_weight = check_real(na_weight, "na_weight", low=0)
        self.kd_weight = check_real(kd_weight, "kd_weight", low=0)
        self.replay_weight = check_real(replay_weight, "replay_weight", low=0)
        self.replay = check_choice(replay, "replay", REPLAYS)
        self.turns = check_integer(turns, "turns", low=1, high=4)
        if len(learning_rates) != 2:
            raise InputError("learning_rates", got=learning_rates, expected="two: of the network and of the vectors")
        self.learning_rates = [check_real(rate, "learning_rates", low=0, open_ends=True) for rate in learning_rates]
        self.freeze = freeze
        self.vectors = ClassVectors(width=width)
        self.graph = NeighborGraph(k=k)
        self.memory = PrototypeMemory(width=width)
        self.repulsion = NAVQLoss()

    def _begin(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        new, task = self.tasks[-1] * self.turns, len(self.tasks) - 1
        generator = torch_generator(derive_seed(self.seed, "vectors", task))
        self.vectors.grow(torch.randn(new, self.width, generator=generator))
        self.vectors.freeze(self.n_old * self.turns if self.freeze else 0)
        self.graph.grow(new)
        if task > 0:
            self._remember(inputs, codes)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        rates = self._rates(0.0)
        return JointOptimizer(
            torch.optim.Adam(self.net.parameters(), lr=rates[0], weight_decay=2e-4),
            torch.optim.SGD([self.vectors.vectors], lr=rates[1]),
        )

    def _rates(self, done: float) -> Sequence[float]:
        scale = LATER if len(self.tasks) > 1 else 1.0
        falls = zip(self.learning_rates, (NET_STEP, VECTOR_STEP), strict=True)
        return [rate * scale * FALL ** int(done / step + 1e-9) for rate, step in falls]

    def _loss(
        self, inputs: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        rows, targets = self._turned(inputs, codes)
        features, targets = gather_with_grad(self(rows)), gather(targets)
        distances = self.vectors.distances(features)
        loss = cross_entropy(-distances / self.temperature, targets) + self._neighbor_term(distances, targets)
        figures = {"distance": loss.detach().item()}
        if len(self.tasks) == 1:
            return loss, figures
        if self.kd_weight:
            kept = feature_distillation(features, gather(self._taught(rows)))
            loss, figures["kept"] = loss + self.kd_weight * kept, kept.detach().item()
        if self.replay != "none":
            drawn, classes = self._replayed(len(targets) // self.turns, generator)
            distances = self.vectors.distances(drawn)
            replayed = cross_entropy(-distances / self.temperature, classes)
            loss = loss + self._neighbor_term(distances, classes) + self.replay_weight * replayed
            figures["replayed"] = replayed.detach().item()
        return loss, figures

    def _finish(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        self.memory.forget(self.n_old * self.turns)
        self._remember(inputs, codes)

    def _answers(self, features: torch.Tensor) -> torch.Tensor:
        return self.vectors.cosine_logits(features)[:, :: self.turns]

    def _neighbor_term(self, distances: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Let the graph see the batch, and return the weighted NA-VQ loss."""
        self.graph.update(distances.detach())
        term = self.na_weight * self.repulsion(distances, targets, self.graph.edges)
        self.graph.symmetrize()
        return term if self.na_weight else distances.new_zeros(())

    def _replayed(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        means = self.memory.means.to(self.vectors.vectors)
        old = torch.arange(0, self.n_old * self.turns, self.turns, device=means.device)
        augmenter = NeighborAwareAugmenter(means, self.graph)
        if self.replay == "neighbors":
            return augmenter.sample(n, old, generator)
        drawn = old[torch.randint(len(old), (n,), generator=generator).to(old.device)]
        if self.replay == "random":
            beside = torch.randint(len(means), (n,), generator=generator).to(old.device)
            return augmenter.mixed(drawn, beside, generator), drawn
        noise = torch.randn(n, self.width, generator=generator).to(means)
        return means[drawn] + self.memory.radius * noise, drawn

    def _remember(self, inputs: torch.Tensor, codes: torch.Tensor) -> None:
        for rows, targets in zip(inputs.split(256), codes.split(256), strict=True):
            turned, labels = self._turned(rows, targets)
            self.memory.update(self._embedded(turned), labels.to(self.memory.counts.device))

    def _turned(self, inputs: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (inputs, codes) if self.turns == 1 else quarter_turns(inputs, codes, turns=self.turns)


@final
class NAPAVQClassifier(AbstractContinualClassifier):
    """Classes that arrive in tasks, by class vectors, a graph of neighbours and mixed prototypes; no old row is kept.

    The loss is that of :class:`NAPAVQLearner`; a row gets the class with the largest cosine between its features and
    the class's vector. ``fit`` learns a first task, each ``partial_fit`` one more.

    Parameters
    ----------
    embedding_dim : dimensions of the features, 512 in the paper (ResNet-18). net : see
        :class:`~spaceform.encoders.continual.classifier.AbstractContinualClassifier`; its output passes a ReLU.
    k : nearest vectors of a row that count as neighbours (15); with fewer classes all do.
    temperature : of distances in both cross-entropies (0.1).
    na_weight : of the neighbour-aware loss (1). Its squared distances have no bound; 0.1 did better on small tables.
    kd_weight : of the distance to the old features (10), a norm over the batch: it belongs to ``batch_size``.
    replay_weight : of the cross-entropy of replayed mixtures (10).
    rotations : pictures are turned by 0, 90, 180, 270 degrees, each turn a class of its own (True; not for vectors).
        Where turned pictures are confused with others, such as 6 with 9, turn it off.
    epochs : of the first task and of each later one; 100 in the paper. batch_size : 64, before the turns.
    learning_rates : of the network (Adam, 1e-3) and of the vectors (SGD, 5); a tenth of both in later tasks.
    random_state : seed, an integer.

    Attributes
    ----------
    classes_ : labels in order of arrival. net_ : the learner, with ``vectors``, ``graph``, ``memory``, ``teacher``.
    history_ : of the last task.

    Raises
    ------
    InputError : NaN; labels of an earlier task; labels outside ``classes``, classes without rows; other widths; a loss
    that is not finite (lower the second rate or ``na_weight``).

    Cost: O(epochs n C d) and the network; memory C means and vectors and C^2 edges (16 times as many edges with turns).

    Examples
    --------
    >>> X = torch.randn(60, 4, generator=torch_generator(0)).numpy() + 4 * torch.eye(4).repeat(15, 1).numpy()
    >>> y = [0, 1, 2, 3] * 15
    >>> first, later = [c < 2 for c in y], [c > 1 for c in y]
    >>> model = NAPAVQClassifier(embedding_dim=16, epochs=(5, 5), random_state=0)
    >>> model.partial_fit(X[first], [c for c in y if c < 2]).partial_fit(X[later], [c for c in y if c > 1]).classes_
    array([0, 1, 2, 3])
    """

    KIND: ClassVar[str] = "napa-vq"

    def __init__(
        self,
        *,
        embedding_dim: int = 512,
        net: str | NetMaker = "auto",
        k: int = 15,
        temperature: float = 0.1,
        na_weight: float = 1.0,
        kd_weight: float = 10.0,
        replay_weight: float = 10.0,
        rotations: bool = True,
        epochs: tuple[int, int] = (100, 100),
        learning_rates: tuple[float, float] = (1e-3, 5.0),
        batch_size: int = 64,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.net = net
        self.k = k
        self.temperature = temperature
        self.na_weight = na_weight
        self.kd_weight = kd_weight
        self.replay_weight = replay_weight
        self.rotations = rotations
        self.epochs = epochs
        self.learning_rates = learning_rates
        self.batch_size = batch_size
        self.random_state = random_state

    def _learner(self, net: nn.Module, seed: int) -> AbstractContinualLearner:
        return NAPAVQLearner(
            net,
            width=self.embedding_dim,
            k=self.k,
            temperature=self.temperature,
            na_weight=self.na_weight,
            kd_weight=self.kd_weight,
            replay_weight=self.replay_weight,
            turns=4 if self.rotations and len(self.input_shape_) == 3 else 1,
            learning_rates=self.learning_rates,
            seed=seed,
        )
