"""Hyperspherical novelty (Pereira et al., 2021): a softmax classifier on the sphere that takes new classes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.functional import cross_entropy

from spaceform.checks import check_integer, check_labels, check_real, label_codes
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches, device
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError, SpaceFormatError
from spaceform.heads.normalized_linear import NormalizedLinear
from spaceform.heads.novel_classes import NovelClassClassifier
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss
from spaceform.nets.inputs import as_tensor
from spaceform.rng import derive_seed
from spaceform.training.averaging import WeightAverage
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import Callback
from spaceform.training.optimizers import make_optimizer
from spaceform.types import FloatArray, PathLike, Progress, no_progress

__all__ = ["HypersphericalEncoder", "NormalizedLinear", "NormalizedSoftmaxLoss", "NovelClassClassifier"]

HEAD = "head.safetensors"
PEEK = 64
"""Rows by which an embedding layer that keeps to one orthant is recognised."""


@final
class HypersphericalEncoder(AbstractEncoder):
    """Encoder and classifier on the sphere, trained on single labelled rows; further classes join it untrained.

    ``L = mean_x -log softmax_c(scale w_c . z(x))_y`` with ``z = h / |h|``, ``|w_c| = 1`` and no bias: no pairs, no
    mining, no margin. :meth:`partial_fit` adds a class by the mean direction of its examples.

    Parameters
    ----------
    embedding_dim : dimensions of the vectors; fewer than classes less one keep the loss above its floor.
    scale : of the cosines; 10 in the first author's package (10 and 20 in its tutorial). Fixed, never trained.
    constraint : ``"reparam"`` or ``"project"`` (the package's), see
        :class:`~spaceform.heads.normalized_linear.NormalizedLinear`.
    batch_size : rows per step, drawn at random; 32 in the tutorial.
    steps : optimiser steps; 0 leaves the random start.
    learning_rate : of Adam, with one rise and fall; None takes 2e-3.
    weight_decay : of the last linear layer only. Gradients are orthogonal to ``h``, so its length can only grow, and
        steps shrink with it; a little decay keeps it finite.
    net : a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and dimensions that returns a
        module. It must end in a linear layer: after a ReLU no two classes get further apart than a right angle.
    augment : turn, shift, scale and tint pictures a little at every step.
    decay : of the moving average of the weights, which is what is kept; None keeps the last weights.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained network. head_ : the class vectors, which grow. history_ : what training recorded.
    classes_ : labels, those of ``fit`` ascending, then those added. input_shape_ : ``(size, size, channels)`` or
    ``(d,)``. dim, fingerprint : of the encoder, which added classes do not change.

    Raises
    ------
    InputError : inputs of another shape or dtype, labels of another length, fewer than two classes in ``fit``, further
    rows of a class with a trained vector, examples that balance out. Warns of too few dimensions, and of a network
    whose vectors have no negative coordinate.

    Cost: O(steps (pixels + C d) x batch), no pairs; adding n rows takes one forward pass and O(n d), answering O(C d) a
    row. A CUDA device is used where there is one.
    Traps: nothing is rejected; a novel class is told apart only along directions that training kept distinct.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(np.arange(4), 20)
    >>> X = 4 * rng.normal(size=(4, 8))[y] + rng.normal(size=(80, 8))
    >>> encoder = HypersphericalEncoder(embedding_dim=8, steps=30).fit(X[y < 3], y[y < 3])
    >>> encoder.partial_fit(X[60:70], y[60:70]).predict(X[70:]).tolist()
    [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    """

    KIND: ClassVar[str] = "hyperspherical-novelty"

    head_: NormalizedLinear

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        scale: float = 10.0,
        constraint: str = "reparam",
        batch_size: int = 32,
        steps: int = 400,
        learning_rate: float | None = None,
        weight_decay: float = 1e-4,
        net: str | NetMaker = "auto",
        augment: bool = False,
        decay: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.scale = scale
        self.constraint = constraint
        self.batch_size = batch_size
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.net = net
        self.augment = augment
        self.decay = decay
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        progress: Progress = no_progress,
    ) -> Self:
        """Train on the base classes: ``X`` with labels ``y (n,)`` (integer -1: never drawn); return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        seed = self.random_state
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class(es)", expected="rows of two or more classes")
        self.net_ = self._new_net(seed)
        self.head_ = NormalizedLinear(
            width=self.embedding_dim,
            n_classes=len(self.classes_),
            scale=self.scale,
            constraint=self.constraint,
            seed=derive_seed(seed, "head"),
        ).to(device())
        labelled = torch.from_numpy(np.flatnonzero(codes >= 0))
        shuffled = ShuffledBatches(labelled, batch_size=self.batch_size, seed=derive_seed(seed, "batches"), min_rows=2)
        optimizer, schedule = make_optimizer("adam", self._groups(), rate=self.learning_rate, steps=self.steps)
        hook = self.head_.project_after(optimizer) if self.constraint == "project" else None
        plan = Plan(
            parts=self.learned,
            loss_step=self._loss_step,
            batches=LabelledBatches(
                inputs, codes, lambda step: shuffled(step)[0].numpy(), augment=self.augment, seed=seed
            ),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            average=None if self.decay is None else WeightAverage(self.learned, decay=self.decay),
            settle=self.head_.project_,  # an average of unit vectors is shorter
        )
        self._run(plan, data, checkpoint=checkpoint, every=every, callbacks=callbacks, progress=progress)
        if hook is not None:
            hook.remove()
        _warn_of_an_orthant(self._raw(inputs[:PEEK]))
        return self

    @property
    def learned(self) -> nn.Module:
        """Return network and class vectors."""
        return nn.ModuleDict({"net": super().learned, "head": self.head_})

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Add the classes of ``y`` that are new, and further rows of those added before, from ``X``; return self.

        Nothing is trained: network, batch statistics and all other classes stay as they are, and several calls equal
        one with all rows. Before ``fit`` it is ``fit``.
        """
        if not hasattr(self, "net_"):
            return self.fit(X, y)
        vectors = torch.from_numpy(self.encode(X))
        met, codes = label_codes(check_labels(y, len(vectors)))
        head, classes, trained = copy.deepcopy(self.head_), self.classes_, len(self.head_.vectors)
        for code, label in enumerate(met):
            place = np.flatnonzero(classes == label)
            rows = vectors[torch.from_numpy(codes == code)]
            if len(place) == 0:
                head.add_class(rows)
                classes = np.append(classes, label)
            elif place[0] < trained:
                raise InputError("y", got=f"rows of class {label}", expected="classes that were not trained")
            else:
                head.update_class(int(place[0]), rows)
        self.head_, self.classes_ = head, classes
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the label ``(n,)`` with the largest cosine among trained and added classes."""
        best = self._logits(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return probabilities ``(n, C)`` in the order of ``classes_``."""
        probabilities: FloatArray = torch.from_numpy(self._logits(X)).softmax(1).numpy()
        return probabilities

    def save(self, folder: PathLike) -> None:
        """Write network, class vectors (safetensors) and record (JSON) into ``folder``; other files stay."""
        super().save(folder)
        save_file({name: value.contiguous() for name, value in self.head_.state_dict().items()}, Path(folder) / HEAD)

    @classmethod
    def load(cls, folder: PathLike, *, net: NetMaker | None = None) -> Self:
        """Return the encoder that :meth:`save` wrote, which goes on growing; ``net`` as a function is needed again.

        Raises ``SpaceFormatError`` for files that were changed, ``InputError`` when ``net`` is missing.
        """
        made = super().load(folder, net=net)
        head = NormalizedLinear(width=made.embedding_dim, n_classes=0, scale=made.scale, constraint=made.constraint)
        try:
            head.load_state_dict(load_file(Path(folder) / HEAD))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise SpaceFormatError(f"{folder} holds no class vectors that can be read: {error}") from error
        if head.n_classes != len(made.classes_):
            raise SpaceFormatError(f"{folder} holds {head.n_classes} class vectors for {len(made.classes_)} classes")
        made.head_ = head.to(next(made.net_.parameters()).device).eval()
        return made

    def _logits(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "net_")
        vectors = torch.from_numpy(self.encode(X)).double().to(self.head_.vectors.device)
        with torch.inference_mode():
            logits: NDArray[np.float64] = self.head_(vectors).cpu().numpy()
            return logits

    @torch.inference_mode()
    def _raw(self, inputs: np.ndarray) -> torch.Tensor:
        device = next(self.net_.parameters()).device
        raw: torch.Tensor = self.net_(as_tensor(inputs).to(device))
        return raw

    def _loss_step(self, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
        embeddings = self.net_(batch.inputs)
        length = float(embeddings.detach().norm(dim=1).mean())
        return cross_entropy(self.head_(embeddings), batch.labels), {"mean_length": length}

    def _groups(self) -> list[dict[str, Any]]:
        """Return the parameters, those of the last linear layer with the weight decay."""
        strength = check_real(self.weight_decay, "weight_decay", low=0)
        linear = [module for module in self.net_.modules() if isinstance(module, nn.Linear)][-1:]
        last = [value for module in linear for value in module.parameters()]
        chosen = {id(value) for value in last}
        others = [value for value in self.net_.parameters() if id(value) not in chosen]
        groups: list[dict[str, Any]] = [
            {"params": last, "weight_decay": strength},
            {"params": [*others, *self.head_.parameters()]},
        ]
        return [group for group in groups if group["params"]]


def _warn_of_an_orthant(rows: torch.Tensor) -> None:
    if len(rows) > 1 and bool((rows >= 0).all()):
        warnings.warn(
            "the network's vectors have no negative coordinate, so that no two classes get further apart than a right "
            "angle; let it end in a linear layer",
            UserWarning,
            stacklevel=3,
        )
