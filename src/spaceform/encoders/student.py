"""A small network that learns classes from labels, or from what a teacher says of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from spaceform.checks import check_integer
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches, device
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.heads.linear.subclasses import SubclassHead
from spaceform.nets.inputs import as_tensor
from spaceform.rng import derive_seed
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import Callback
from spaceform.training.optimizers import make_optimizer
from spaceform.training.threads import one_thread
from spaceform.types import FloatArray, IntArray, PathLike, Progress, no_progress

BLOCK = 1024
"""Rows that are answered at once."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of the rows, and the loss that takes it.

    ``targets (n, k)`` float32, row by row; ``loss(outputs (B, C S), targets (B, k), class numbers (B,))``, or with
    ``embeddings`` ``loss(outputs, student embeddings (B, d), targets, class numbers)``; what it has to learn is trained
    too, and not kept.
    """

    targets: FloatArray
    loss: nn.Module
    embeddings: bool = False


class StudentNet(nn.Module):
    """A backbone that gives embeddings ``(B, d)``, and a head on them; ``forward`` returns both, head first."""

    def __init__(self, backbone: nn.Module, head: SubclassHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs ``(B, C S)`` and embeddings ``(B, d)``."""
        embeddings = self.backbone(inputs)
        return self.head(embeddings), embeddings


@final
class StudentClassifier(AbstractEncoder):
    """A network with a linear head that learns from labels, or from a :class:`Lesson` of a teacher.

    Parameters
    ----------
    embedding_dim : dimensions of the vectors before the head.
    n_subclasses : outputs per class, which are summed to answer (see ``SubclassHead``).
    net : as in :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions.
    steps, batch_size : of training; every row once an epoch.
    learning_rate : of Adam, with one rise and fall; None takes 2e-3.
    augment : turn, shift, scale and tint pictures a little at every step, while the lesson stays that of the picture as
        it was.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : :class:`StudentNet`. classes_ : labels seen. history_ : what training recorded. input_shape_ : of a row.

    Raises
    ------
    InputError : inputs of another shape, fewer than two classes, fewer than two rows, targets for other rows.

    Cost: O(steps x batch) passes. A CUDA device is used where there is one; vectors train on one thread.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> student = StudentClassifier(embedding_dim=8, steps=5, batch_size=16).fit(X, X[:, 0] > 0)
    >>> student.predict_proba(X).shape, student.transform(X).shape
    ((60, 2), (60, 8))
    """

    KIND: ClassVar[str] = "student"

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        n_subclasses: int = 1,
        net: str | NetMaker = "auto",
        steps: int = 1000,
        batch_size: int = 64,
        learning_rate: float | None = None,
        augment: bool = True,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.n_subclasses = n_subclasses
        self.net = net
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.augment = augment
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        lesson: Lesson | None = None,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X``, pictures or vectors, with labels ``y (n,)`` and return self.

        Rows with integer -1 are passed over; with a ``lesson``, which says something of every row, they count too. With
        a ``checkpoint`` folder a killed call goes on where it stood when it is repeated.
        """
        inputs, codes = self._enter(X, y)
        check_classification_targets(self.classes_)
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class(es)", expected="two or more")
        check_integer(self.steps, "steps", low=1)
        if lesson is not None and lesson.targets.shape[:1] != (len(inputs),):
            got = f"targets of shape {lesson.targets.shape}"
            raise InputError("lesson", got=got, expected=f"a row for each of {len(inputs)} inputs")
        self.net_ = self._new_net(self.random_state)
        loss = nn.Module() if lesson is None else lesson.loss.to(device())
        rows = np.flatnonzero(codes >= 0) if lesson is None else np.arange(len(inputs))
        parts = nn.ModuleDict({"net": self.net_, "loss": loss})
        optimizer, schedule = make_optimizer("adam", parts.parameters(), rate=self.learning_rate, steps=self.steps)
        plan = Plan(
            parts=parts,
            loss_step=lambda batch: (self._loss(batch, torch.from_numpy(codes), lesson), {}),
            batches=self._batches(inputs, rows),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            task="training the student",
        )
        with one_thread() if inputs.ndim == 2 else nullcontext():
            return self._run(
                plan,
                (inputs, codes) if lesson is None else (inputs, codes, lesson.targets),
                checkpoint=checkpoint,
                every=every,
                callbacks=callbacks,
                progress=progress,
                options={} if lesson is None else {"lesson": repr(lesson.loss)},
            )

    def outputs(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return embeddings ``(n, d)`` as they enter the head, and log-probabilities ``(n, C)``, both float32.

        Log-probabilities serve as logits wherever a softmax follows.
        """
        check_is_fitted(self, "net_")
        inputs = self._inputs(X, fitting=False)
        embeddings, answers = [], []
        with torch.inference_mode(), one_thread() if inputs.ndim == 2 else nullcontext():
            for start in range(0, len(inputs), BLOCK):
                raw, vectors = self.net_(as_tensor(inputs[start : start + BLOCK]).to(device()))
                embeddings.append(vectors.cpu().numpy())
                answers.append(self.net_.head.class_log_probs(raw).cpu().numpy())  # type: ignore[union-attr, operator]
        return np.concatenate(embeddings), np.concatenate(answers)

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return probabilities ``(n, C)`` in the order of ``classes_``."""
        probabilities: FloatArray = np.exp(self.outputs(X)[1].astype(np.float64))
        return probabilities / probabilities.sum(1, keepdims=True)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of every row."""
        best: IntArray = self.outputs(X)[1].argmax(1)
        answers: np.ndarray = self.classes_[best]
        return answers

    @property
    def head_weight(self) -> FloatArray:
        """The weights ``(C S, d)`` of the head."""
        check_is_fitted(self, "net_")
        weights: FloatArray = self.net_.head.linear.weight.detach().cpu().numpy()  # type: ignore[union-attr, operator]
        return weights

    @property
    def n_parameters(self) -> int:
        """The number of trained values."""
        check_is_fitted(self, "net_")
        return sum(value.numel() for value in self.net_.parameters())

    def _embed(self, batch: Tensor) -> Tensor:
        return nn.functional.normalize(self.net_.backbone(batch), dim=1)  # type: ignore[operator]

    def _new_net(self, seed: int) -> nn.Module:
        backbone = self._backbone(self.embedding_dim, seed=seed)
        check_integer(self.n_subclasses, "n_subclasses", low=1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "head"))
            head = SubclassHead(self.embedding_dim, max(len(self.classes_), 2), self.n_subclasses)
        return StudentNet(backbone, head).to(device())

    def _batches(self, inputs: np.ndarray, rows: IntArray) -> LabelledBatches:
        order = ShuffledBatches(
            torch.from_numpy(rows),
            batch_size=self.batch_size,
            seed=derive_seed(self.random_state, "batches"),
            min_rows=2,  # a last batch of one row would stop batch normalization
        )
        return LabelledBatches(
            inputs,
            np.arange(len(inputs)),  # the row numbers: they find labels and targets
            lambda step: order(step)[0].numpy(),
            augment=self.augment,
            seed=self.random_state,
        )

    def _loss(self, batch: LabelledBatch, codes: Tensor, lesson: Lesson | None) -> Tensor:
        outputs, embeddings = self.net_(batch.inputs)
        rows = batch.labels.cpu()
        y = codes[rows].to(outputs.device)
        if lesson is None:
            return nn.functional.nll_loss(self.net_.head.class_log_probs(outputs), y)  # type: ignore[union-attr, operator]
        targets = torch.from_numpy(lesson.targets[rows.numpy()]).to(outputs.device)
        given = (outputs, embeddings, targets, y) if lesson.embeddings else (outputs, targets, y)
        loss: Tensor = lesson.loss(*given)
        return loss
