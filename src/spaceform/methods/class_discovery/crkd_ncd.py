"""Cr-KD: novel class discovery that keeps what rows have in common with known classes (Gu and others, ICCV 2023)."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.clustering.n_clusters import sweep_n_clusters
from spaceform.clustering.partial import UNLABELLED, check_n_novel
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.losses.discovery.class_relation import ClassRelationKD, relation_drift
from spaceform.losses.discovery.swapped_prediction import swapped_prediction
from spaceform.nets.inputs import as_tensor
from spaceform.nets.novel_classes import MultiHeadProjector, NCDNet, Standardize
from spaceform.ops.transport.sinkhorn import sinkhorn
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import jitter
from spaceform.training.batches import ShuffledBatches
from spaceform.training.distributed import gather, gather_with_grad
from spaceform.training.loop import History, train
from spaceform.training.optimizers import warmup_cosine
from spaceform.types import FloatArray, IntArray, Progress, no_progress

__all__ = [
    "ClassRelationKD",
    "CrKDNCD",
    "CrKDTrainer",
    "MultiHeadProjector",
    "NCDNet",
    "relation_drift",
    "sinkhorn",
    "swapped_prediction",
]

ViewBatch = tuple[Sequence[torch.Tensor], torch.Tensor]
"""Views of one batch, each ``(B, ...)``, and codes ``(B,)``: known class, or -1."""

ViewFn = Callable[[IntArray, np.random.Generator], ArrayLike]
"""Makes a random view of the training rows with these numbers: an array of inputs like those of ``fit``."""

SUPERVISED_SHARE = 0.4
"""Epochs on known classes alone per epoch of discovery: 200 and 500 for CIFAR in the paper."""

LOWEST, WARMUP, WEIGHT_DECAY = 0.1, 0.1, 1.5e-4
"""Least rate as a share of the rate, share of the epochs in which it rises, and weight decay of AdamW (released code)."""

NOISE, DROPPED = 0.2, 0.1
"""Default view of vectors: noise as a share of each feature's deviation, and the share of features set to their mean."""

K_RANGE = (2, 30)
"""Numbers of novel classes that are considered when none is given."""


@final
class CrKDTrainer:
    """Both stages of training on batches of views: known classes alone, then discovery beside a frozen teacher.

    ``loss = mean over heads of swapped prediction + alpha * class relation distillation``. Targets of a view: a
    labelled row's class, and for unlabelled rows the Sinkhorn assignment of their novel logits; no labelled row takes
    part in either assignment or distillation.

    Parameters
    ----------
    net : the student; it is trained in place.
    alpha : >= 0; 0 is UNO, without teacher.
    relation : the distillation; None for :class:`ClassRelationKD` of the paper at this ``temperature``.
    teacher : what is distilled, frozen; None for a copy of the student as it is when discovery begins.
    temperature : tau > 0 of all cross entropies. n_large : the first views, which have targets; others, small crops,
        are predicted only. epsilon : of the Sinkhorn assignment, on the cosines themselves.

    ``head_losses_ (H,)``: mean swapped loss of each head over the last epoch; the least is the net's ``best_head``.
    In a process group the losses are those of the rows of all processes; gradients are the caller's to average.

    Raises ``InputError`` for fewer than two views, codes out of range and a teacher with other known classes. Warns of
    batches with fewer unlabelled rows than novel classes. O(V) passes of the encoder a step, and of the teacher's.
    """

    def __init__(
        self,
        net: NCDNet,
        *,
        alpha: float = 0.1,
        relation: ClassRelationKD | None = None,
        teacher: NCDNet | None = None,
        temperature: float = 0.1,
        n_large: int = 2,
        epsilon: float = 0.05,
    ) -> None:
        self.net = net
        self.alpha = check_real(alpha, "alpha", low=0)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.n_large = check_integer(n_large, "n_large", low=1)
        self.epsilon = check_real(epsilon, "epsilon", low=0, open_ends=True)
        self.relation = relation or ClassRelationKD(n_known=net.n_known, temperature=self.temperature)
        for name, other in (("relation", self.relation), ("teacher", teacher)):
            if other is not None and other.n_known != net.n_known:
                expected = f"{net.n_known}, the known classes of the student"
                raise InputError(name, got=f"{other.n_known} known classes", expected=expected)
        self.teacher = None if teacher is None else _frozen(teacher)
        self.head_losses_ = np.full(net.n_heads, np.nan)

    def supervised_loss(self, batch: ViewBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the cross entropy of the known logits of labelled rows, meaned over views."""
        views, codes = self._enter(batch)
        known = codes >= 0
        if not bool(known.any()):
            raise InputError("codes", got="no labelled row", expected="some in each batch of the supervised stage")
        parts = [
            nn.functional.cross_entropy(
                self.net.known_logits(self.net.encode(view[known])) / self.temperature, codes[known]
            )
            for view in views
        ]
        return torch.stack(parts).mean(), {}

    def discovery_loss(self, batch: ViewBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of discovery and its parts; call :meth:`freeze_teacher` once before."""
        views, codes = self._enter(batch)
        if len(views) < 2:
            raise InputError("views", got=f"{len(views)} view(s)", expected="at least 2: one predicts the other")
        logits = self._gathered(torch.stack([self.net(view) for view in views]), rows=2)
        every = gather(codes)
        per_head = swapped_prediction(logits, self.targets(logits, every), temperature=self.temperature)
        self._head_sums += per_head.detach().double().cpu().numpy()
        loss, figures = per_head.mean(), {"swapped": float(per_head.detach().mean())}
        unlabelled = every < 0
        if self.alpha > 0 and bool(unlabelled.any()):
            assert self.teacher is not None  # frozen before discovery begins
            with torch.no_grad():
                seen = [self.teacher.known_logits(self.teacher.encode(view)) for view in views[: self.n_large]]
                known = self._gathered(torch.stack(seen), rows=1)
            kept = self.relation(logits[: self.n_large], known, unlabelled)
            loss, figures = loss + self.alpha * kept, {**figures, "relation": float(kept.detach())}
        return loss, figures

    @torch.no_grad()
    def targets(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return targets ``(L, H, B, K)`` of the large views from logits ``(V, H, B, K)`` and codes ``(B,)``."""
        large, n_known, unlabelled = logits[: self.n_large], self.net.n_known, codes < 0
        targets = torch.zeros_like(large)
        targets[:, :, ~unlabelled, codes[~unlabelled]] = 1
        rows = int(unlabelled.sum())
        if 0 < rows < self.net.n_novel:
            message = (
                f"a batch has {rows} unlabelled rows for {self.net.n_novel} novel classes: equal shares mean nothing"
            )
            warnings.warn(message, UserWarning, stacklevel=2)
        if rows:
            own = torch.zeros_like(large[:, :, unlabelled])
            own[..., n_known:] = sinkhorn(large[:, :, unlabelled, n_known:], epsilon=self.epsilon)
            targets[:, :, unlabelled] = own
        return targets

    def freeze_teacher(self) -> None:
        """Keep a frozen copy of the student as the teacher, unless there is one or ``alpha`` is 0."""
        if self.teacher is None and self.alpha > 0:
            self.teacher = _frozen(self.net)

    def run(
        self,
        batches: Callable[[int], ViewBatch],
        *,
        per_epoch: int,
        epochs: int,
        discover: bool,
        learning_rate: float = 1e-3,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> History:
        """Train one stage on ``batches(step)`` by AdamW, the rate set at each epoch; return the history."""
        check_integer(epochs, "epochs", low=0)
        if discover:
            self.freeze_teacher()
        rate = check_real(learning_rate, "learning_rate", low=0, open_ends=True)
        self.net.normalize_()
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
        hook = optimizer.register_step_post_hook(lambda *_: self.net.normalize_())
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: warmup_cosine(
                step // per_epoch, warmup=WARMUP * epochs, total=max(1, epochs), rate=1, lowest=LOWEST
            ),
        )
        self._head_sums = np.zeros(self.net.n_heads)
        step_loss = self.discovery_loss if discover else self.supervised_loss

        def loss_step(batch: tuple[int, ViewBatch]) -> tuple[torch.Tensor, dict[str, float]]:
            if batch[0] % per_epoch == 0:
                self._head_sums[:] = 0
            return step_loss(batch[1])

        history = train(
            self.net,
            loss_step,
            lambda step: (step, batches(step)),
            steps=epochs * per_epoch,
            optimizer=optimizer,
            schedule=schedule,
            seed=seed,
            progress=progress,
            task="discovering classes" if discover else "learning known classes",
        )
        hook.remove()
        if discover and epochs:
            self.head_losses_ = self._head_sums / per_epoch
            self.net.best_head.fill_(int(self.head_losses_.argmin()))
        self.net.eval()
        return history

    def fit(
        self,
        loader: Iterable[ViewBatch],
        *,
        supervised_epochs: int = 40,
        epochs: int = 100,
        learning_rate: float = 1e-3,
        progress: Progress = no_progress,
    ) -> Self:
        """Train both stages on a ``DataLoader`` or list of ``(views, codes)`` and return self.

        Batches hold labelled and unlabelled rows; those without a labelled row are left out of the first stage.
        """
        self.net.normalize_()
        for discover, count in ((False, supervised_epochs), (True, epochs)):
            batches = _Looped(loader, labelled=not discover)
            self.run(
                batches,
                per_epoch=batches.per_epoch,
                epochs=count,
                discover=discover,
                learning_rate=learning_rate,
                progress=progress,
            )
        return self

    def _enter(self, batch: ViewBatch) -> ViewBatch:
        views, codes = batch
        if len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < self.net.n_known:
            got = f"from {int(codes.min())} to {int(codes.max())}"
            raise InputError("codes", got=got, expected=f"-1 (unlabelled) or 0 to {self.net.n_known - 1}")
        return views, codes

    @staticmethod
    def _gathered(logits: torch.Tensor, *, rows: int) -> torch.Tensor:
        return gather_with_grad(logits.movedim(rows, 0).contiguous()).movedim(0, rows)


@final
class CrKDNCD(AbstractEncoder):
    """Novel class discovery with class-relation distillation: known labels, unlabelled rows of novel classes only.

    A network learns the known classes. A copy of it is frozen, and the network goes on to learn known and novel classes
    jointly by swapped Sinkhorn assignments, while its distribution over the known classes is held, on unlabelled rows,
    at that of the copy (:class:`CrKDTrainer`, :class:`ClassRelationKD`).

    Parameters
    ----------
    n_novel : number of novel classes, at least 2; None takes the number with the best silhouette among unlabelled rows
        in the space of the known-class model (the paper has it given).
    alpha : >= 0, weight of the distillation; 0 is UNO.
    temperature, distillation_temperature, weight : of :class:`ClassRelationKD`.
    n_heads : novel heads (paper: 4 for CIFAR, 2 for fine-grained pictures); the one with the least loss answers.
    embedding_dim : dimensions of the vectors.
    net : a name of :func:`spaceform.nets.named.named_net` or a function of input shape and dimensions.
    epochs : of discovery, after 0.4 times as many on the known classes alone.
    batch_size : rows per step; only whole batches are used, as equal shares need many rows.
    learning_rate : of AdamW, after a rise of a tenth of the epochs down to a tenth along a cosine.
    random_state : non-negative integer.

    Attributes
    ----------
    labels_ : (n,) novel class 0..n_novel-1 of unlabelled rows, -1 for labelled ones. classes_ : (C,) known labels.
    net_ : NCDNet in evaluation mode. teacher_ : the frozen known-class model. n_novel_, n_known_ : numbers of classes.
    best_head_ : the head that answers. head_losses_ : (n_heads,) of the last epoch. sweep_ : behind ``n_novel=None``.
    history_ : of discovery. supervised_history_ : of the known classes.

    Raises
    ------
    InputError for NaN, no unlabelled row, fewer than two known classes, settings out of range, and views of another
    shape than the inputs. Warns of batches with fewer unlabelled rows than novel classes.

    Notes
    -----
    Cost: about 2.8 passes of the network per row and epoch for two views; the teacher adds a third to UNO's time. The
    novel classes are taken to be equally large. Views decide what a class is: give ``fit`` a ``view_fn`` that changes
    what does not matter. The default for vectors adds noise and blots out features, for pictures moves and tints them.

    Examples
    --------
    >>> X = np.repeat(5 * np.eye(4), 20, axis=0) + np.random.default_rng(0).normal(size=(80, 4))
    >>> y = np.repeat([7, 8, -1, -1], 20)
    >>> model = CrKDNCD(n_novel=2, embedding_dim=8, epochs=5).fit(X, y)
    >>> np.unique(model.labels_), model.class_relation(X).shape
    (array([-1,  0,  1]), (80, 2))
    """

    KIND: ClassVar[str] = "crkd-ncd"

    def __init__(
        self,
        *,
        n_novel: int | None = None,
        alpha: float = 0.1,
        temperature: float = 0.1,
        distillation_temperature: float = 4.0,
        weight: str = "learned",
        n_heads: int = 4,
        embedding_dim: int = 64,
        net: str | NetMaker = "auto",
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.n_novel = n_novel
        self.alpha = alpha
        self.temperature = temperature
        self.distillation_temperature = distillation_temperature
        self.weight = weight
        self.n_heads = n_heads
        self.embedding_dim = embedding_dim
        self.net = net
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, view_fn: ViewFn | None = None, progress: Progress = no_progress
    ) -> Self:
        """Train on inputs ``X`` with labels ``y (n,)`` (integer -1: of a novel class) and return self.

        ``X``: vectors ``(n, d)`` or pictures ``(n, size, size[, channels])``. ``view_fn(rows, generator)`` makes a random
        view of the rows with these numbers.
        """
        inputs, codes = self._enter(X, y)
        hidden = codes == UNLABELLED
        self._check(hidden)
        self.net_ = self._new_net(self.random_state)
        if inputs.ndim == 2:
            self.net_.encoder[0].learn(torch.from_numpy(inputs))
        relation = ClassRelationKD(
            n_known=self.n_known_,
            temperature=self.temperature,
            distillation_temperature=self.distillation_temperature,
            weight=self.weight,
        )
        trainer = CrKDTrainer(self.net_, alpha=self.alpha, relation=relation, temperature=self.temperature)
        view = _Views(inputs, view_fn)
        known = np.flatnonzero(~hidden)
        self.supervised_history_ = self._stage(trainer, view, (known, codes[known]), False, progress)
        self.teacher_ = _frozen(self.net_)
        self.sweep_ = None
        if self.n_novel is None:
            rows = self.encode(inputs[hidden])
            top = max(2, min(K_RANGE[1], len(rows) - 1))
            self.sweep_ = sweep_n_clusters(rows, k_range=(K_RANGE[0], top), random_state=self.random_state)
            self.net_.draw_novel(self.sweep_.best, seed=self.random_state)
        self.history_ = self._stage(trainer, view, (np.arange(len(inputs)), codes), True, progress)
        self.head_losses_ = trainer.head_losses_
        self.labels_ = np.full(len(inputs), UNLABELLED, np.int64)
        self.labels_[hidden] = self._logits(inputs[hidden])[:, self.n_known_ :].argmax(1)
        return self

    def fit_predict(self, X: ArrayLike, y: ArrayLike) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def predict(self, X: ArrayLike, *, head: int | None = None) -> IntArray:
        """Return the novel class ``0..n_novel-1`` of every row, known to be of a novel one, by the best head or another."""
        return self._answers(X, head)[:, self.n_known_ :].argmax(1).astype(np.int64)

    def predict_all(self, X: ArrayLike, *, head: int | None = None) -> IntArray:
        """Return a number for every row of any class: below ``n_known_`` it points into ``classes_``, novel ones follow."""
        return self._answers(X, head).argmax(1).astype(np.int64)

    def predict_known(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable known class of every row."""
        return self.classes_[self._answers(X, None)[:, : self.n_known_].argmax(1)]

    def class_relation(self, X: ArrayLike, *, teacher: bool = False) -> FloatArray:
        """Return probabilities ``(n, C)`` of the known classes at ``temperature``, by the student or the teacher.

        The teacher is not saved: of a loaded model there is the student's only.
        """
        check_is_fitted(self, "net_")
        if teacher and not hasattr(self, "teacher_"):
            raise InputError("teacher", got="a loaded model", expected="teacher=False: the teacher is not saved")
        net = self.teacher_ if teacher else self.net_
        logits = _known_logits(net, self._inputs(X, fitting=False)) / self.temperature
        return np.asarray(torch.softmax(torch.from_numpy(logits), 1).numpy())

    @property
    def n_known_(self) -> int:
        """Number of known classes."""
        return len(self.classes_)

    @property
    def n_novel_(self) -> int:
        """Number of novel classes."""
        check_is_fitted(self, "net_")
        return int(self.net_.n_novel)  # type: ignore[arg-type]

    @property
    def best_head_(self) -> int:
        """The head that answers."""
        check_is_fitted(self, "net_")
        return int(self.net_.best_head)  # type: ignore[arg-type]

    def _check(self, hidden: np.ndarray) -> None:
        rows = int(hidden.sum())
        if rows == len(hidden):
            raise InputError("y", got="no labelled row", expected="rows of at least 2 known classes")
        if rows == 0:
            raise InputError("y", got="labels on all rows", expected="rows marked -1, in which to find novel classes")
        if len(self.classes_) < 2:
            raise InputError("y", got="1 class", expected="at least 2 known classes: relations are between classes")
        if self.n_novel is not None and check_n_novel(self.n_novel, rows) < 2:
            raise InputError("n_novel", got=self.n_novel, expected="at least 2, or None")
        if self.n_novel is None and rows < 3:
            raise InputError("n_novel", got=f"None for {rows} sample(s) without a label", expected="a number")
        check_integer(self.epochs, "epochs", low=0)
        check_integer(self.batch_size, "batch_size", low=2)
        check_integer(self.random_state, "random_state", low=0)

    def _new_net(self, seed: int) -> NCDNet:
        encoder = self._backbone(self.embedding_dim, seed=seed)
        if len(self.input_shape_) == 1:
            parts = OrderedDict(scale=Standardize(self.input_shape_[0]).to(device()), net=encoder)
            encoder = nn.Sequential(parts)
        return NCDNet(
            encoder,
            width=self.embedding_dim,
            n_known=len(self.classes_),
            n_novel=self.n_novel or 2,
            n_heads=self.n_heads,
            seed=seed,
        ).to(device())

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        net: Any = self.net_
        return nn.functional.normalize(net.encode(batch), dim=1)

    def _stage(
        self, trainer: CrKDTrainer, view: _Views, data: tuple[IntArray, IntArray], discover: bool, progress: Progress
    ) -> History:
        rows, codes = data
        size = min(self.batch_size, len(rows))
        seed = derive_seed(self.random_state, "discovery" if discover else "supervised")
        drawn = ShuffledBatches(
            torch.from_numpy(rows), torch.from_numpy(codes), batch_size=size, seed=seed, min_rows=size
        )

        def batches(step: int) -> ViewBatch:
            chosen, own = drawn(step)
            views = [view(chosen.numpy(), derive_seed(seed, "view", step, number)) for number in range(2)]
            return views, own.to(device())

        epochs = self.epochs if discover else max(1, round(SUPERVISED_SHARE * self.epochs)) if self.epochs else 0
        return trainer.run(
            batches,
            per_epoch=drawn.per_epoch,
            epochs=epochs,
            discover=discover,
            learning_rate=self.learning_rate,
            seed=seed,
            progress=progress,
        )

    def _answers(self, X: ArrayLike, head: int | None) -> FloatArray:
        check_is_fitted(self, "net_")
        return self._logits(self._inputs(X, fitting=False), head)

    def _logits(self, inputs: np.ndarray, head: int | None = None) -> FloatArray:
        net: Any = self.net_
        chosen = self.best_head_ if head is None else check_integer(head, "head", low=0, high=net.n_heads - 1)
        return _in_blocks(lambda batch: net(batch)[chosen], inputs)


class _Views:
    """Random views of training inputs as tensors."""

    def __init__(self, inputs: np.ndarray, view_fn: ViewFn | None) -> None:
        self._inputs, self._fn = inputs, view_fn
        self._deviation = inputs.std(0) if inputs.ndim == 2 else None
        self._mean = inputs.mean(0) if inputs.ndim == 2 else None

    def __call__(self, rows: IntArray, seed: int) -> torch.Tensor:
        if self._fn is not None:
            made = np.asarray(self._fn(rows, np.random.default_rng(seed)))
            expected = (len(rows), *self._inputs.shape[1:])
            if made.shape != expected:
                raise InputError("view_fn", got=f"views of shape {made.shape}", expected=f"{expected}")
            made = made if made.dtype == np.uint8 else made.astype(np.float32)
            return as_tensor(made).to(device())
        if self._inputs.ndim == 4:
            return jitter(as_tensor(self._inputs[rows]), torch_generator(seed)).to(device())
        generator = np.random.default_rng(seed)
        chosen = self._inputs[rows]
        moved = chosen + NOISE * self._deviation * generator.standard_normal(chosen.shape, dtype=np.float32)
        blotted = np.where(generator.random(chosen.shape) < DROPPED, self._mean, moved)
        return as_tensor(blotted.astype(np.float32)).to(device())


class _Looped:
    """Batches of an iterable, over and over, by step."""

    def __init__(self, loader: Iterable[ViewBatch], *, labelled: bool) -> None:
        self._loader, self._labelled = loader, labelled
        self.per_epoch = sum(1 for _ in self._epoch())
        if self.per_epoch == 0:
            raise InputError("loader", got="no batch", expected="batches" + (" with labelled rows" if labelled else ""))
        self._left: list[ViewBatch] = []

    def __call__(self, step: int) -> ViewBatch:
        if step % self.per_epoch == 0:
            self._left = list(self._epoch())
        return self._left[step % self.per_epoch]

    def _epoch(self) -> Iterable[ViewBatch]:
        for views, codes in self._loader:
            if not self._labelled or bool((codes >= 0).any()):
                yield views, codes


def _frozen(net: NCDNet) -> NCDNet:
    """Return a copy in evaluation mode that learns nothing."""
    return copy.deepcopy(net).eval().requires_grad_(False)


def _known_logits(net: Any, inputs: np.ndarray) -> FloatArray:
    return _in_blocks(lambda batch: net.known_logits(net.encode(batch)), inputs)


@torch.inference_mode()
def _in_blocks(answer: Callable[[torch.Tensor], torch.Tensor], inputs: np.ndarray, size: int = 1024) -> FloatArray:
    parts = [
        answer(as_tensor(inputs[start : start + size]).to(device())).cpu().numpy()
        for start in range(0, len(inputs), size)
    ]
    return np.concatenate(parts)
