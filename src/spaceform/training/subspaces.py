"""Trains an embedding in slices, one learner each, and adds a learner whenever validation stalls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import nn

from spaceform.checks import check_choice, check_integer, check_partial_labels, check_real
from spaceform.clustering.kmeans import kmeans
from spaceform.errors import InputError, NoPairsError
from spaceform.heads.subspaces import SubspaceEmbedding
from spaceform.losses.margin import MarginLoss
from spaceform.metrics.clustering import normalized_mutual_information
from spaceform.rng import derive_seed, torch_generator
from spaceform.samplers.cluster_rounds import ClusterBatch, ClusterRounds
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.growth import IMPORTANCES, NeuronStatistics, PlateauDetector
from spaceform.training.loop import train
from spaceform.types import FloatArray, IntArray, PathLike, Progress, RandomState, no_progress

MIN_SLICE, MIN_KEEP, THRESHOLD = 10, 5, 0.5
"""A slice is split when it has more than 10 neurons and at least 5 of them have a relative score above 0.5."""

CLUSTERS = ("features", "random")

OnSplit = Callable[[int, NeuronStatistics, torch.Tensor], None]
"""Called with epoch, statistics and the neurons that will be kept, just before a split."""


@dataclass
class GrowthHistory:
    """What a run recorded, one entry per epoch: validation ``score`` (NMI), mean ``loss`` (0 in an epoch without a
    batch), ``n_learners`` at its end, clusters ``skipped``; ``splits`` lists ``[epoch, sizes of the slices after it]``.
    """

    score: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    n_learners: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    splits: list[list[Any]] = field(default_factory=list)


def clustering_nmi(X: ArrayLike, y: ArrayLike, *, n_init: int = 1, random_state: RandomState = None) -> float:
    """Return the NMI in [0, 1] of labels ``y`` and a k-means of ``X`` with as many clusters as classes.

    One start by default, as in the paper's evaluation; average over seeds, since single ones differ by about a point.
    O(n_init iterations n k d).
    """
    labels = np.asarray(y)
    found = kmeans(np.asarray(X), len(np.unique(labels)), n_init=n_init, max_iter=100, random_state=random_state)
    return normalized_mutual_information(labels, found.labels)


def match_clusters(new: IntArray, old: IntArray) -> IntArray:
    """Return clusters ``new (n,)`` under the names of ``old (n,)`` that make the memberships differ least.

    Minimum cost of a one-to-one assignment, the cost being the L1 distance of membership vectors (the paper's step
    between two clusterings). Of more clusters than before the surplus gets the names that follow; names stay below the
    larger of both numbers. O(n + k^3).
    """
    k = int(max(new.max(), old.max())) + 1
    shared = np.zeros((k, k), dtype=np.int64)
    np.add.at(shared, (old, new), 1)
    known = int(old.max()) + 1
    cost = shared.sum(1)[:known, None] + shared.sum(0) - 2 * shared[:known]
    names = np.full(k, -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(cost)
    names[columns] = rows
    names[names < 0] = np.arange(known, k)
    return names[new]


@final
class DynamicSubspaceTrainer:
    """Trains a backbone and a sliced embedding, and gives the embedding a new learner whenever validation stalls.

    One learner has all dimensions at first. With k of them the training rows are clustered into k parts, and slice c
    of the embedding learns from batches of cluster c alone. When the validation score has not risen for ``patience``
    epochs, the neurons on which the loss of the last slice depends most (Taylor scores) stay its slice, and the others
    are drawn anew and become the next learner's. In the last epochs all slices learn as one.

    Parameters
    ----------
    backbone : module from inputs to features ``(B, P)``, such as ``GatedBackbone``.
    embedding : a ``SubspaceEmbedding`` of P features; its slices are the learners to begin with (K slices and
        ``dynamic=False``: divide and conquer with a fixed number; one slice: the single learner).
    loss : of embeddings and labels, blind to the length of rows; None for ``MarginLoss()``.
    dynamic : add learners.
    importance : what is kept, ``"taylor"`` (the paper), or as many neurons ``"variance"`` or ``"random"``.
    clusters : of ``"features"`` (k-means of their directions), or ``"random"`` parts, with which to compare.
    recluster_every : epochs between two clusterings, 2. A split is always followed by one.
    patience : epochs without a new best score, 10.
    min_slice, min_keep : split slices of more than 10 neurons, if 5 at least are kept.
    threshold : relative score in (0, 1) above which a neuron is kept, 0.5.

    Attributes
    ----------
    history_ : :class:`GrowthHistory`. clusters_ : the clusters ``(n,)`` of the last clustering of the training rows.

    Raises ``InputError`` for what does not fit, ``NoPairsError`` when no class has two rows, or only one.

    Cost per epoch: the backbone on all rows, twice at every second epoch, and on the validation rows; k-means of O(N P
    k iterations); a split O(D P). Traps: the score that decides must not come from test rows; scores of small
    validation sets are noise, and then so are the splits.

    Examples
    --------
    >>> X, y = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), np.arange(60) % 3
    >>> trainer = DynamicSubspaceTrainer(nn.Identity(), SubspaceEmbedding(8, 16), patience=1)
    >>> history = trainer.fit(X[:40], y[:40], validation=(X[40:], y[40:]), epochs=3, finetune_from=3)
    >>> trainer.encode(X).shape
    (60, 16)
    """

    def __init__(
        self,
        backbone: nn.Module,
        embedding: SubspaceEmbedding,
        *,
        loss: nn.Module | None = None,
        dynamic: bool = True,
        importance: str = "taylor",
        clusters: str = "features",
        recluster_every: int = 2,
        patience: int = 10,
        min_slice: int = MIN_SLICE,
        min_keep: int = MIN_KEEP,
        threshold: float = THRESHOLD,
    ) -> None:
        self.backbone, self.embedding = backbone, embedding
        self.loss = MarginLoss() if loss is None else loss
        self.dynamic = dynamic
        self.importance = check_choice(importance, "importance", IMPORTANCES)
        self.clusters = check_choice(clusters, "clusters", CLUSTERS)
        self.recluster_every = check_integer(recluster_every, "recluster_every", low=1)
        self.patience = check_integer(patience, "patience", low=1)
        self.min_slice = check_integer(min_slice, "min_slice", low=1)
        self.min_keep = check_integer(min_keep, "min_keep", low=1)
        self.threshold = check_real(threshold, "threshold", low=0, high=1, open_ends=True)
        if dynamic and embedding.dim < 2 * min_keep:
            got, least = f"{embedding.dim} dimensions", f"at least {2 * min_keep}, twice min_keep"
            raise InputError("embedding", got=got, expected=least, remedy="pass dynamic=False or a smaller min_keep")

    def fit(
        self,
        inputs: torch.Tensor,
        labels: ArrayLike,
        *,
        validation: tuple[torch.Tensor, ArrayLike],
        epochs: int = 300,
        finetune_from: int = 250,
        batch: tuple[int, int] = (4, 8),
        rates: tuple[float, float] = (1e-5, 1e-4),
        augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
        seed: int = 0,
        on_split: OnSplit | None = None,
        checkpoint: PathLike | None = None,
        progress: Progress = no_progress,
    ) -> GrowthHistory:
        """Train in place on ``inputs`` and ``labels (n,)`` (-1: unlabelled, left out) and return the history.

        ``inputs (n, ...)``: vectors, or pictures ``(n, C, h, w)``; uint8 ones are brought to [0, 1] batch by batch.
        ``validation``: inputs and labels that decide when to split; ``epochs`` in all, from ``finetune_from`` on as
        one learner; ``batch``: classes and rows of each; ``rates``: learning rate and weight decay of Adam; ``augment``
        changes input tensors. A run killed under a ``checkpoint`` folder goes on, when repeated, to the same weights.
        """
        y = check_partial_labels(labels, len(inputs), "labels")
        judged = check_partial_labels(validation[1], len(validation[0]), "validation")
        _check_pairs(y)
        if len(np.unique(judged[judged >= 0])) < 2:
            raise InputError("validation", got="fewer than two classes", expected="rows of two classes or more")
        learners = len(self.embedding.slices)
        check_integer(learners, "n_learners", low=1, high=int((y >= 0).sum()))
        check_integer(epochs, "epochs", low=0)
        check_integer(finetune_from, "finetune_from", low=0, high=epochs)
        kept, watched = np.flatnonzero(y >= 0), np.flatnonzero(judged >= 0)
        data = _Data(inputs[kept], y[kept], validation[0][watched], judged[watched], augment)
        optimizer = torch.optim.Adam(
            [part for part in self._modules().parameters() if part.requires_grad],
            lr=check_real(rates[0], "rates", low=0, open_ends=True),
            weight_decay=check_real(rates[1], "rates", low=0),
        )
        run = _Run(PlateauDetector(self.patience), GrowthHistory(), np.zeros(len(kept), dtype=np.int64))
        saves = None
        if checkpoint is not None:
            plan = {"epochs": epochs, "finetune_from": finetune_from, "batch": batch, "rates": rates, "seed": seed}
            saves = Checkpoint(
                folder=Path(checkpoint), every=1, settings={**plan, "data": data.digest(), **self._settings()}
            )
        parts: dict[str, Any] = {"model": self._modules(), "optimizer": optimizer, "run": run}
        for epoch in range(_restored(saves, parts), epochs):
            apart = epoch < finetune_from
            rounds = self._rounds(data, run, epoch, batch, seed, apart=apart)
            statistics = self._train(data, run, rounds, optimizer, derive_seed(seed, "epoch", epoch), apart=apart)
            run.history.score.append(self._score(data, derive_seed(seed, "score")))
            stalled = run.detector.update(epoch, run.history.score[-1])
            if self.dynamic and apart and stalled:
                self._grow(run, statistics, optimizer, epoch, derive_seed(seed, "split", epoch), on_split)
            run.history.n_learners.append(len(self.embedding.slices))
            if saves is not None:
                saves.save(epoch + 1, {name: part.state_dict() for name, part in parts.items()}, {})
            shown = {"NMI": run.history.score[-1], "learners": float(run.history.n_learners[-1])}
            progress("training learners", epoch + 1, epochs, shown)
        self._modules().eval()
        self.history_, self.clusters_ = run.history, run.clusters
        return run.history

    def encode(self, inputs: torch.Tensor, *, batch_size: int = 256) -> FloatArray:
        """Return embeddings ``(n, D)`` float32 of k unit slices, with no dropout."""
        return self._over(inputs, lambda part: self.embedding(self.backbone(part)), batch_size)

    def features(self, inputs: torch.Tensor, *, batch_size: int = 256) -> FloatArray:
        """Return features ``(n, P)`` float32, which are what is clustered."""
        return self._over(inputs, self.backbone, batch_size)

    @torch.no_grad()
    def _over(self, inputs: torch.Tensor, function: Callable[[Any], torch.Tensor], batch_size: int) -> FloatArray:
        self._modules().eval()
        starts = range(0, len(inputs), check_integer(batch_size, "batch_size", low=1))
        parts = [function(self._tensor(inputs[start : start + batch_size])).cpu().numpy() for start in starts]
        return np.concatenate(parts)

    def _modules(self) -> nn.ModuleList:
        return nn.ModuleList([self.backbone, self.embedding, self.loss])

    def _tensor(self, inputs: torch.Tensor) -> torch.Tensor:
        moved = inputs.to(self.embedding.weight.device)
        return moved.float().div_(255) if moved.dtype == torch.uint8 else moved.float()

    def _settings(self) -> dict[str, Any]:
        names = (
            "importance",
            "clusters",
            "recluster_every",
            "patience",
            "min_slice",
            "min_keep",
            "threshold",
            "dynamic",
        )
        return {name: getattr(self, name) for name in names}

    def _rounds(
        self, data: _Data, run: _Run, epoch: int, batch: tuple[int, int], seed: int, *, apart: bool
    ) -> ClusterRounds:
        """Cluster anew where it is time, and return the batches of the epoch."""
        k = len(self.embedding.slices)
        old = run.clusters
        if apart and k > 1 and (epoch % self.recluster_every == 0 or run.split or old.max() == 0):
            found = self._clustered(data, k, derive_seed(seed, "clusters", epoch))
            run.clusters, run.split = match_clusters(found, old), False
        rounds = ClusterRounds(
            data.labels,
            run.clusters if apart else np.zeros_like(run.clusters),
            classes_per_batch=batch[0],
            samples_per_class=batch[1],
            seed=derive_seed(seed, "batches", epoch),
        )
        run.history.skipped.append(len(rounds.skipped))
        return rounds

    def _clustered(self, data: _Data, k: int, seed: int) -> IntArray:
        """Return k clusters ``(n,)`` of the training rows."""
        if self.clusters == "random":
            return np.random.default_rng(seed).permutation(np.arange(len(data.labels)) % k)
        features = self.features(data.inputs)
        directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return kmeans(directions, k, n_init=5, max_iter=100, random_state=seed).labels

    def _train(
        self,
        data: _Data,
        run: _Run,
        rounds: ClusterRounds,
        optimizer: torch.optim.Optimizer,
        seed: int,
        *,
        apart: bool,
    ) -> NeuronStatistics:
        """Train for an epoch, each batch on the slice of its cluster, and return what its neurons did."""
        statistics, slices = NeuronStatistics(self.embedding.dim), self.embedding.slices

        def batches(step: int) -> tuple[torch.Tensor, torch.Tensor, int]:
            drawn: ClusterBatch = rounds(step)
            tensor = self._tensor(data.inputs[torch.from_numpy(drawn.rows)])
            if data.augment is not None:
                tensor = data.augment(tensor, torch_generator(derive_seed(seed, "augment", step)))
            return tensor, torch.from_numpy(data.labels[drawn.rows]).to(tensor.device), drawn.cluster

        def loss_step(drawn: tuple[torch.Tensor, torch.Tensor, int]) -> tuple[torch.Tensor, dict[str, float]]:
            embedded = self.embedding(self.backbone(drawn[0]))
            embedded.register_hook(lambda gradient: statistics.add(embedded.detach(), gradient))
            part = slices[drawn[2]] if apart else range(self.embedding.dim)
            return self.loss(embedded[:, part.start : part.stop], drawn[1]), {}

        history = train(
            self._modules(), loss_step, batches, steps=rounds.steps_per_epoch, optimizer=optimizer, seed=seed
        )
        run.history.loss.append(float(np.mean(history.figures.get("loss", [0.0]))))
        return statistics

    def _score(self, data: _Data, seed: int) -> float:
        return clustering_nmi(self.encode(data.validation), data.validation_labels, random_state=seed)

    def _grow(
        self,
        run: _Run,
        statistics: NeuronStatistics,
        optimizer: torch.optim.Optimizer,
        epoch: int,
        seed: int,
        on_split: OnSplit | None,
    ) -> None:
        """Split the last slice, if it is large enough and enough of its neurons matter."""
        last, generator = self.embedding.slices[-1], torch_generator(seed)
        if len(last) <= self.min_slice or len(self.embedding.slices) >= len(run.clusters):
            return
        keep = statistics.choose(last, threshold=self.threshold, by=self.importance, generator=generator)
        if len(keep) < self.min_keep:
            return
        if on_split is not None:
            on_split(epoch, statistics, keep)
        self.embedding.split_last(keep, generator)
        for parameter in (self.embedding.weight, self.embedding.bias):
            # Adam corrects the bias of its moments per tensor, not per row: rows drawn anew can't start alone
            optimizer.state.pop(parameter, None)
        run.split = True
        run.detector.grown()
        run.history.splits.append([epoch, [len(part) for part in self.embedding.slices]])


@dataclass(frozen=True)
class _Data:
    """Labelled rows to train on and to validate with."""

    inputs: torch.Tensor
    labels: IntArray
    validation: torch.Tensor
    validation_labels: IntArray
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None

    def digest(self) -> str:
        whole = hashlib.sha256()
        for part in (self.inputs.numpy(), self.labels, self.validation.numpy(), self.validation_labels):
            whole.update(np.ascontiguousarray(part).tobytes())
        return whole.hexdigest()[:16]


@dataclass
class _Run:
    """What a run knows besides weights and moments; ``split``: the clusters are older than the last learner."""

    detector: PlateauDetector
    history: GrowthHistory
    clusters: IntArray
    split: bool = False

    def state_dict(self) -> dict[str, Any]:
        plain = {"detector": self.detector.state_dict(), "history": asdict(self.history), "split": self.split}
        return {**plain, "clusters": torch.from_numpy(self.clusters)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.detector.load_state_dict(state["detector"])
        self.history, self.split = GrowthHistory(**state["history"]), state["split"]
        self.clusters = state["clusters"].numpy()


def _restored(saves: Checkpoint | None, parts: dict[str, Any]) -> int:
    """Load the newest save, if there is one, and return the epoch to go on with."""
    saved = saves.load() if saves is not None else None
    if saved is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(saved[1][name])
    return saved[0]


def _check_pairs(y: IntArray) -> None:
    counts = np.unique(y[y >= 0], return_counts=True)[1]
    if len(counts) < 2 or (counts > 1).sum() < 2:
        got = f"{len(counts)} class(es), {int((counts > 1).sum())} with two rows"
        raise NoPairsError("y", got=got, expected="at least two classes with two rows to train on")
