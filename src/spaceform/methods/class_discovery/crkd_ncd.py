"""Cr-KD: novel class discovery that keeps what rows have in common with known classes (Gu and others, ICCV 2023)."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import nullcontext
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer
from spaceform.clustering.n_clusters import sweep_n_clusters
from spaceform.clustering.partial import UNLABELLED, check_n_novel
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import device, in_blocks
from spaceform.encoders.discovery.trainer import CrKDTrainer, frozen
from spaceform.encoders.discovery.views import RandomViews, ViewBatches, ViewFn
from spaceform.errors import InputError
from spaceform.losses.discovery.class_relation import ClassRelationKD, relation_drift
from spaceform.losses.discovery.swapped_prediction import swapped_prediction
from spaceform.nets.novel_classes import MultiHeadProjector, NCDNet
from spaceform.nets.standardize import Standardize
from spaceform.ops.transport.sinkhorn import sinkhorn
from spaceform.rng import derive_seed
from spaceform.training.loop import History
from spaceform.training.threads import one_thread
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

SUPERVISED_SHARE = 0.4
"""Epochs on known classes alone per epoch of discovery: 200 and 500 for CIFAR in the paper."""

K_RANGE = (2, 30)
"""Numbers of novel classes that are considered when none is given."""


@final
class CrKDNCD(ClusterMixin, AbstractEncoder):
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
    Cost O(epochs n) passes of the network with two views each, and of the teacher, which adds a third to UNO's time;
    O(batch n_novel) for each Sinkhorn round. The novel classes are taken to be equally large. Views decide what a class
    is: give ``fit`` a ``view_fn`` that changes what does not matter. The default for vectors adds noise and blots out
    features, for pictures it moves and tints them.

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

        ``X``: vectors ``(n, d)`` or pictures ``(n, size, size[, channels])``. ``view_fn(rows, generator)`` makes a
        random view of the rows with these numbers.
        """
        entered, codes = self._enter(X, y)
        inputs = np.ascontiguousarray(entered)  # sums over rows must not depend on strides
        hidden = codes == UNLABELLED
        self._check(hidden)
        self.net_ = self._new_net(self.random_state)
        if inputs.ndim == 2:
            scale: Any = self.net_.get_submodule("encoder.scale")
            scale.learn(torch.from_numpy(inputs))
        relation = ClassRelationKD(
            n_known=self.n_known_,
            temperature=self.temperature,
            distillation_temperature=self.distillation_temperature,
            weight=self.weight,
        )
        trainer = CrKDTrainer(self.net_, alpha=self.alpha, relation=relation, temperature=self.temperature)
        view = RandomViews(inputs, view_fn)
        known = np.flatnonzero(~hidden)
        self.supervised_history_ = self._stage(trainer, view, (known, codes[known]), False, progress)
        self.teacher_ = frozen(self.net_)
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
        """Return the novel class ``0..n_novel-1`` of rows of novel classes, by the best head or another."""
        return self._answers(X, head)[:, self.n_known_ :].argmax(1)

    def predict_all(self, X: ArrayLike, *, head: int | None = None) -> IntArray:
        """Return a number for rows of any class: below ``n_known_`` it points into ``classes_``, novel ones follow."""
        return self._answers(X, head).argmax(1)

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
        net: Any = self.teacher_ if teacher else self.net_
        logits = in_blocks(lambda batch: net.known_logits(net.encode(batch)), self._inputs(X, fitting=False))
        return np.asarray(softmax(logits / self.temperature, axis=1))

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
        self,
        trainer: CrKDTrainer,
        view: RandomViews,
        data: tuple[IntArray, IntArray],
        discover: bool,
        progress: Progress,
    ) -> History:
        seed = derive_seed(self.random_state, "discovery" if discover else "supervised")
        batches = ViewBatches(view, *data, batch_size=self.batch_size, seed=seed)
        epochs = self.epochs if discover else max(1, round(SUPERVISED_SHARE * self.epochs)) if self.epochs else 0
        with one_thread() if len(self.input_shape_) == 1 else nullcontext():
            return trainer.run(
                batches,
                per_epoch=batches.per_epoch,
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
        return in_blocks(lambda batch: net(batch)[chosen], inputs)
