"""A network that classifies and stops being trained where rows kept back are predicted best."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.functional import cross_entropy

from spaceform.checks import check_integer, check_labels, check_matrix, check_real, check_rows, label_codes
from spaceform.encoders.abstract import NetMaker
from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.nets.mlp import mlp
from spaceform.nets.named import named_net
from spaceform.rng import as_generator, derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import train
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

ROWS = 4096
"""Rows that are answered at once."""


@final
class EarlyStoppedClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Classifier of vectors or pictures whose weights are those of the epoch with the lowest held-out cross entropy.

    Parameters
    ----------
    net : "auto" (for vectors a perceptron with the ``hidden`` layers, for pictures "conv"), a name of
        :func:`spaceform.nets.named.named_net`, a function of input shape and number of classes that returns a module,
        or a module with one output per class, which is copied and trained from the weights it has.
    hidden, dropout : widths of the perceptron of vectors, and its dropout in [0, 1).
    learning_rate, decay : of Adam, and by what the rate is multiplied after each epoch (0.97 in the DDFA paper).
    weight_decay : of Adam.
    epochs, batch_size : passes over the rows that are trained on, rows per step.
    validation_share : of each class's rows, kept back to judge epochs; at least one of a class with two.
    early_stopping : False keeps the last epoch.
    standardize : give every feature of vectors mean 0 and variance 1.
    random_state : seed.

    Attributes
    ----------
    classes_ : (C,) labels. net_ : the trained module. input_shape_ : of a row. scaler_ : StandardScaler or None.
    validation_losses_ : cross entropy after each epoch; validation_loss_, best_epoch_ : of the epoch that was kept.

    Raises
    ------
    InputError : inputs of another shape, labels of another length, fewer than two classes, no class with two rows, a
    network with another number of outputs.

    Cost: O(epochs) passes forward and backward. One thread for vectors.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> model = EarlyStoppedClassifier(hidden=(16,), epochs=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> model.predict_proba(X).shape, model.best_epoch_ <= 5
    ((200, 2), True)
    """

    def __init__(
        self,
        *,
        net: str | NetMaker | nn.Module = "auto",
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.5,
        learning_rate: float = 1e-3,
        decay: float = 0.97,
        weight_decay: float = 1e-4,
        epochs: int = 30,
        batch_size: int = 64,
        validation_share: float = 0.125,
        early_stopping: bool = True,
        standardize: bool = True,
        random_state: RandomState = None,
    ) -> None:
        self.net = net
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.decay = decay
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_share = validation_share
        self.early_stopping = early_stopping
        self.standardize = standardize
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, *, progress: Progress = no_progress
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: passed over), weighted ``(n,)``; return self."""
        inputs = self._inputs(X, fitting=True)
        if y is None:
            got = "None: EarlyStoppedClassifier requires y to be passed, but the target y is None"
            raise InputError("y", got=got, expected="labels")
        labels = check_labels(y, len(inputs))
        check_classification_targets(labels)
        self.classes_, codes = label_codes(labels)
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class(es)", expected="two or more")
        weights = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if weights.shape != codes.shape or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
            raise InputError(
                "sample_weight", got=f"shape {weights.shape}", expected="a weight >= 0 per row, not all zero"
            )
        seed = int(as_generator(self.random_state).integers(2**31))
        kept_back = self._validation_rows(codes, seed)
        trained = np.setdiff1d(np.flatnonzero(codes >= 0), kept_back)
        vectors = inputs.ndim == 2
        self.scaler_ = StandardScaler().fit(inputs[trained]) if self.standardize and vectors else None
        self.net_ = self._new_net(derive_seed(seed, "net")).to(device())
        with one_thread() if vectors else nullcontext():
            self._train(self._scaled(inputs), codes, weights, (trained, kept_back), seed, progress)
        return self

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return probabilities ``(n, C)`` in the order of ``classes_``."""
        check_is_fitted(self, "net_")
        logits = self._answers(self._scaled(self._inputs(X, fitting=False)))
        probabilities: FloatArray = torch.from_numpy(logits).double().softmax(1).numpy()
        return probabilities

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of every row."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return what enters the last linear layer, ``(n, width)`` float32: the penultimate features."""
        check_is_fitted(self, "net_")
        inputs = self._scaled(self._inputs(X, fitting=False))
        last = [module for module in self.net_.modules() if isinstance(module, nn.Linear)][-1:]
        if not last:
            raise InputError("net", got=type(self.net_).__name__, expected="a network with a linear layer")
        seen: list[torch.Tensor] = []
        hook = last[0].register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].cpu()))
        try:
            self._answers(inputs)
        finally:
            hook.remove()
        return torch.cat(seen).numpy()

    def __sklearn_tags__(self) -> Tags:
        """Say that features come out as float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _inputs(self, X: Any, *, fitting: bool) -> np.ndarray:
        inputs = check_inputs(X)
        shape = tuple(inputs.shape[1:])
        if inputs.ndim == 2:
            inputs = check_rows(self, X, fitting=fitting)
        elif fitting:
            self.n_features_in_ = int(np.prod(shape))
        if fitting:
            self.input_shape_ = shape
        elif shape != self.input_shape_:
            raise InputError("X", got=f"inputs of shape {shape}", expected=f"{self.input_shape_}, as in fit")
        return inputs

    def _validation_rows(self, codes: IntArray, seed: int) -> IntArray:
        share = check_real(self.validation_share, "validation_share", low=0, high=1, open_ends=True)
        order = np.random.default_rng(derive_seed(seed, "validation")).permutation(len(codes))
        parts = []
        for code in range(len(self.classes_)):
            rows = order[codes[order] == code]
            parts.append(rows[: min(max(1, round(share * len(rows))), len(rows) - 1)])
        kept_back = np.sort(np.concatenate(parts))
        if len(kept_back) == 0:
            raise InputError("y", got="one sample per class", expected="a class with two rows: one judges the epochs")
        return kept_back

    def _new_net(self, seed: int) -> nn.Module:
        if isinstance(self.net, nn.Module):
            return copy.deepcopy(self.net)
        count = len(self.classes_)
        if self.net == "auto" and len(self.input_shape_) == 1:
            widths = [self.input_shape_[0], *self.hidden, count]
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return mlp(widths, norm=None, dropout=self.dropout)
        if isinstance(self.net, str):
            return named_net(self.net, self.input_shape_, count, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.net(self.input_shape_, count)

    def _train(
        self,
        inputs: np.ndarray,
        codes: IntArray,
        weights: FloatArray,
        parts: tuple[IntArray, IntArray],
        seed: int,
        progress: Progress,
    ) -> None:
        trained, kept_back = parts
        check_integer(self.epochs, "epochs", low=1)
        # a last batch of one row would stop batch normalization
        rows = ShuffledBatches(
            torch.from_numpy(trained), batch_size=self.batch_size, seed=derive_seed(seed, "batches"), min_rows=2
        )
        targets = torch.from_numpy(codes)
        scales = torch.from_numpy(weights / weights[trained].mean()).float()
        best = np.inf
        self.validation_losses_: list[float] = []

        def loss_step(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, Mapping[str, float]]:
            chosen = batch[0]
            logits = self.net_(as_tensor(inputs[chosen.numpy()]).to(device()))
            if logits.shape[1:] != (len(self.classes_),):
                got = f"outputs of shape {tuple(logits.shape[1:])}"
                raise InputError("net", got=got, expected=f"{len(self.classes_)} outputs, one per class")
            losses = cross_entropy(logits, targets[chosen].to(logits.device), reduction="none")
            return (losses * scales[chosen].to(logits.device)).mean(), {}

        def after_step(step: int, figures: Mapping[str, float]) -> None:
            nonlocal best
            if step % rows.per_epoch:
                return
            self.net_.eval()
            logits = torch.from_numpy(self._answers(inputs[kept_back])).double()
            self.net_.train()
            losses = cross_entropy(logits, targets[kept_back], reduction="none")
            loss = float(np.average(losses.numpy(), weights=weights[kept_back] if weights[kept_back].any() else None))
            self.validation_losses_.append(loss)
            if loss < best or not self.early_stopping:
                best, kept["state"] = loss, copy.deepcopy(self.net_.state_dict())
                self.best_epoch_, self.validation_loss_ = len(self.validation_losses_), loss

        kept: dict[str, Any] = {}
        optimizer, schedule = self._optimizer(rows.per_epoch)
        train(
            self.net_,
            loss_step,
            rows,
            steps=self.epochs * rows.per_epoch,
            optimizer=optimizer,
            schedule=schedule,
            seed=seed,
            callbacks=[after_step],
            progress=progress,
            task="training the classifier",
        )
        self.net_.load_state_dict(kept["state"])
        self.net_.eval()

    def _optimizer(self, per_epoch: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        rate = check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        strength = check_real(self.weight_decay, "weight_decay", low=0)
        factor = check_real(self.decay, "decay", low=0, high=1)
        optimizer = torch.optim.Adam(self.net_.parameters(), lr=rate, weight_decay=strength)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, per_epoch, gamma=factor)

    def _answers(self, inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [
                self.net_(as_tensor(inputs[start : start + ROWS]).to(device())).cpu().numpy()
                for start in range(0, len(inputs), ROWS)
            ]
        return np.concatenate(parts)

    def _scaled(self, inputs: np.ndarray) -> np.ndarray:
        """Return the inputs as the network takes them."""
        rows = inputs if self.scaler_ is None else self.scaler_.transform(inputs)
        return check_matrix(rows, dtype=np.float32) if inputs.ndim == 2 else rows
