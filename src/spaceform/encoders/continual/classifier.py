"""The estimator around a learner of tasks: rows and labels in, one task for each call of ``partial_fit``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_labels, label_codes
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.batches import device
from spaceform.encoders.continual.learner import AbstractContinualLearner
from spaceform.encoders.continual.tasks import learn_task
from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor
from spaceform.nets.mlp import mlp
from spaceform.nets.named import HIDDEN
from spaceform.nets.standardize import Standardize
from spaceform.rng import derive_seed
from spaceform.training.loop import History
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, PathLike, Progress, no_progress


class AbstractContinualClassifier(ClassifierMixin, AbstractEncoder):
    """A classifier and encoder whose classes arrive in tasks, on vectors or pictures; ``net_`` is its learner.

    ``fit`` learns one task and forgets what was before; every ``partial_fit`` adds a task of new classes. No row is
    kept. ``classes_`` are in their order of arrival. A subclass has, besides the hyper-parameters of an encoder,
    ``epochs`` (of the first task, of later ones) and ``batch_size``, and defines ``_learner``.

    Vectors pass a perceptron with one hidden layer of 256 units and no batch normalization, whose statistics would be
    those of the last task, in the units of the first task's rows; pictures ``net`` as in other encoders.
    """

    epochs: tuple[int, int]
    batch_size: int
    net_: AbstractContinualLearner

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        checkpoint: PathLike | None = None,
        every: int = 50,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn the classes of ``y (n,)`` (integer -1: left out) from ``X`` as a first task and return self."""
        inputs, codes = self._enter(X, y)
        check_classification_targets(np.asarray(y))
        if not len(self.classes_):
            raise InputError("y", got="no labelled row", expected="rows of at least one class")
        self.net_ = self._new_net(self.random_state)
        return self._learn(inputs, codes, self.epochs[0], checkpoint, every, progress)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        checkpoint: PathLike | None = None,
        every: int = 50,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn the rows of one more task, all of classes that are new, and return self.

        ``classes``: those of this task, in the order wanted (None: the sorted labels of its rows). Raises
        ``InputError`` for a class seen before, a label outside ``classes``, and a class without rows.
        """
        if not hasattr(self, "net_") and classes is None:
            return self.fit(X, y, checkpoint=checkpoint, every=every, progress=progress)
        fresh = not hasattr(self, "net_")
        inputs = self._inputs(X, fitting=fresh)
        labels = check_labels(y, len(inputs))
        seen, _ = label_codes(labels)
        own = seen if classes is None else np.asarray(classes)
        if own.ndim != 1 or len(np.unique(own)) != len(own) or not len(own):
            raise InputError("classes", got=f"{own.tolist()}", expected="distinct labels, at least one")
        if len(strange := np.setdiff1d(seen, own)):
            raise InputError("y", got=f"label {strange[0]!r}", expected=f"one of classes={own.tolist()}")
        if len(missing := np.setdiff1d(own, seen)):
            raise InputError("classes", got=f"{missing[0]!r}, which has no row", expected="rows of every class")
        before = np.array([], dtype=own.dtype) if fresh else self.classes_
        if len(again := np.intersect1d(before, own)):
            expected = "classes that are new: no old class is learned again"
            raise InputError("y", got=f"label {again[0]!r} of an earlier task", expected=expected)
        codes = np.full(len(labels), -1, dtype=np.int64)
        for code, label in enumerate(own.tolist()):
            codes[labels == label] = len(before) + code
        if fresh:
            self.net_ = self._new_net(self.random_state)
        self._learn(inputs, codes, self.epochs[0 if fresh else 1], checkpoint, every, progress)
        self.classes_ = np.concatenate([before, own])
        return self

    def predict(self, X: ArrayLike, task: int | None = None) -> np.ndarray:
        """Return the label ``(n,)`` of the nearest of all classes seen, or of those of one ``task`` (from 0)."""
        scores = self._scores(X)
        if task is None:
            return self.classes_[scores.argmax(1)]
        sizes = self.net_.tasks
        check_integer(task, "task", low=0, high=len(sizes) - 1)
        first, last = sum(sizes[:task]), sum(sizes[: task + 1])
        return self.classes_[first + scores[:, first:last].argmax(1)]

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return the softmax ``(n, C)`` of the scores, in the order of ``classes_``; not calibrated."""
        probabilities: FloatArray = torch.from_numpy(self._scores(X)).double().softmax(1).numpy()
        return probabilities

    @abstractmethod
    def _learner(self, net: nn.Module, seed: int) -> AbstractContinualLearner:
        """Return a fresh learner around ``net``."""

    def _new_net(self, seed: int) -> AbstractContinualLearner:
        check_integer(self.random_state, "random_state", low=0)
        return self._learner(self._backbone(self.embedding_dim, seed=seed), seed).to(device())

    def _backbone(self, width: int, *, seed: int) -> nn.Module:
        if len(self.input_shape_) == 1 and self.net in {"auto", "mlp"}:
            return vector_net(self.input_shape_[0], width, seed=seed).to(device())
        return super()._backbone(width, seed=seed)

    def _learn(
        self,
        inputs: np.ndarray,
        codes: IntArray,
        epochs: int,
        checkpoint: PathLike | None,
        every: int,
        progress: Progress,
    ) -> Self:
        rows = np.flatnonzero(codes >= 0)
        saves = self._saves(checkpoint, every, (inputs, codes), {"task": len(self.net_.tasks)})
        with one_thread():
            self.history_: History = learn_task(
                self.net_,
                inputs[rows],
                codes[rows],
                epochs=epochs,
                batch_size=self.batch_size,
                checkpoint=saves,
                progress=progress,
            )
        self.net_.eval()
        return self

    def _scores(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "net_")
        inputs = self._inputs(X, fitting=False)
        found: Any = self.net_.scores(as_tensor(inputs)).cpu().numpy()
        return found


def vector_net(width: int, dim: int, *, seed: int) -> nn.Module:
    """Return a perceptron ``width - 256 - dim`` for vectors in the units of the first task, drawn by ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return nn.Sequential(Standardize(width), mlp((width, HIDDEN, dim), norm=None))
