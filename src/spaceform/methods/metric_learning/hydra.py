"""Hydra, later SimLAP: positives from arbitrary pairs of classes, inside the subspace of their gate (Wu et al., 2024).

What is pulled together is decided by :mod:`spaceform.losses.class_pairs`; here are the projector and the estimator.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches, device
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.losses.class_pairs.arbitrary import FEWEST_CLASSES, ArbitraryPairLoss
from spaceform.losses.class_pairs.gates import FUSIONS, KINDS, ClassifierGate, ClassPairGate
from spaceform.nets.inputs import as_tensor
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.batches import ShuffledBatches
from spaceform.training.loop import Callback
from spaceform.types import FloatArray, PathLike, Progress, no_progress

__all__ = ["ArbitraryPairLoss", "ArbitraryPairProjector", "ClassPairGate", "ClassifierGate"]

WEIGHT_DECAY = 5e-4
"""Of all weights, as in the released recipe for CIFAR-10."""

WARM_UP = 0.04
"""Share of the steps in which the rate rises: 2 of 50 epochs in that recipe."""

PREDICT_ROWS = 256

TABLE = 512
"""Width of the table of classes in the released code, whose network is twice as wide."""

Sampler = Callable[[int], NDArray[np.int64]]


@final
class ArbitraryPairProjector(AbstractEncoder):
    """Projector (over a backbone, for pictures), trained to be close for any two classes within what these share.

    Every row draws a partner class; inside the gate of the two classes it is drawn to the partner's rows and away
    from third classes, see :class:`~spaceform.losses.class_pairs.arbitrary.ArbitraryPairLoss`. The projector is
    linear, batch norm, ReLU, linear without bias, layer norm. Vectors stay as they are and only the projector is
    trained on them; for pictures a backbone is trained below it, whose features are the vectors that are given out,
    as in the paper, where projector and gate have done their work when training ends.

    Parameters
    ----------
    embedding_dim : dimensions of the projection and of the gates, 256 in the released code; of a backbone's features.
    hidden : width of the projector, 2048 in the released code.
    mode : partner class: ``"arbitrary"``, ``"distinct"`` or ``"identical"`` (the supervised contrastive limit).
    form : closeness ``"global"`` or ``"subspace"``.
    gate : ``"sigmoid"``, ``"gumbel"``, ``"stochastic"`` or ``"open"``, which may be followed by ``":product"`` and by
        the width of the table of classes (512; the network is twice as wide), as in ``"sigmoid:64"``; or a module
        called with two tensors of labels, such as :class:`ClassPairGate`, which is copied.
    temperature : 0.1.
    epochs : passes over the labelled rows, 50 in the released recipe; 0 leaves the random start.
    batch_size : 256. Of more classes than half of it two rows each are drawn, so that rows find positives.
    learning_rate : of Adam, 1e-3, which rises for 4% of the steps and falls by a cosine; weight decay 5e-4.
    net : backbone of pictures: a name of :func:`spaceform.nets.named.named_net`, or a function of input shape and
        dimensions that returns a module; ``"auto"`` is ``"conv"`` for pictures and none for vectors.
    augment : turn, shift, scale and tint pictures a little at every step.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : backbone, projector and gate. history_ : loss and, of the gates, mean ``opening`` and ``entropy``.
    classes_ : labels seen. input_shape_ : ``(size, size, channels)`` or ``(d,)``. class_affinity_ : ``(C, C)`` of the
    classes. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : fewer than three classes, inputs of another shape or dtype, labels of another length, other settings.

    Cost: O(rows x epochs) passes of the network, O(batch^2 embedding_dim) for closeness and
    O(pairs x table x embedding_dim) for the distinct pairs of a batch. A CUDA device is used where there is one.
    Traps: with ``gate="open"`` arbitrary pairs contradict each other; a saved encoder whose gate was given as a module
    can't be loaded.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8)), np.arange(60) % 4
    >>> projector = ArbitraryPairProjector(embedding_dim=6, hidden=16, gate="sigmoid:8", epochs=2)
    >>> projector = projector.fit(X + y[:, None], y)
    >>> projector.transform(X).shape, projector.class_affinity_.shape, projector.pair_gate(0, 3).shape
    ((60, 6), (4, 4), (6,))
    """

    KIND: ClassVar[str] = "hydra"

    net_: _PairNet

    def __init__(
        self,
        *,
        embedding_dim: int = 256,
        hidden: int = 2048,
        mode: str = "arbitrary",
        form: str = "global",
        gate: str | nn.Module = "sigmoid",
        temperature: float = 0.1,
        epochs: int = 50,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        net: str | NetMaker = "auto",
        augment: bool = True,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.hidden = hidden
        self.mode = mode
        self.form = form
        self.gate = gate
        self.temperature = temperature
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.net = net
        self.augment = augment
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
        """Train on ``X`` with labels ``y (n,)`` (integer -1: not used) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``. With a
        ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it is
        repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.
        """
        inputs, codes = data = self._enter(X, y)
        if len(self.classes_) < FEWEST_CLASSES:
            raise InputError(
                "y",
                got=f"{len(self.classes_)} class(es)",
                expected=f"at least {FEWEST_CLASSES} classes",
                remedy="rows are pushed away from third classes",
            )
        epochs = check_integer(self.epochs, "epochs", low=0)
        seed = self.random_state
        sampler, per_epoch = self._sampler(codes, seed)
        self.net_ = self._new_net(seed)
        loss = ArbitraryPairLoss(
            n_classes=len(self.classes_),
            width=self.embedding_dim,
            mode=self.mode,
            form=self.form,
            temperature=self.temperature,
            gate=self.net_.gate,
            empty="zero",
        )
        rate = check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        optimizer = torch.optim.Adam(self.net_.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
        steps = epochs * per_epoch
        plan = Plan(
            parts=self.net_,
            loss_step=_LossStep(self.net_, loss),
            batches=LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed),
            steps=steps,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps)),
            task="training the projector",
        )
        return self._run(plan, data, checkpoint=checkpoint, every=every, callbacks=callbacks, progress=progress)

    @torch.inference_mode()
    def pair_gate(self, first: Any, second: Any) -> FloatArray:
        """Return the gate ``(embedding_dim,)`` in [0, 1] of two classes, as they were given to ``fit``."""
        check_is_fitted(self, "net_")
        found = []
        for name, value in (("first", first), ("second", second)):
            at = np.flatnonzero(self.classes_ == value)
            if not len(at):
                raise InputError(name, got=repr(value), expected="one of " + ", ".join(map(str, self.classes_[:20])))
            found.append(torch.from_numpy(at).to(device()))
        opened: FloatArray = self.net_.gate(*found)[0].cpu().numpy()
        return opened

    @property
    def class_affinity_(self) -> FloatArray:
        """How far the gates of two classes open together ``(C, C)``, in [-1, 1]; rows in the order of ``classes_``.

        See :meth:`~spaceform.losses.class_pairs.gates.ClassPairGate.overlap`. O(C) gates.
        """
        check_is_fitted(self, "net_")
        if not hasattr(self.net_.gate, "overlap"):
            raise InputError(
                "gate", got=repr(self.net_.gate), expected="a gate that tells its overlap, as ClassPairGate"
            )
        affinity: FloatArray = self.net_.gate.overlap().cpu().numpy()
        return affinity

    @torch.inference_mode()
    def project(self, X: ArrayLike) -> FloatArray:
        """Return projections ``(n, embedding_dim)`` float32 of unit length, in which the gates were trained. O(n)."""
        check_is_fitted(self, "net_")
        inputs = self._inputs(X, fitting=False)
        parts = [
            nn.functional.normalize(self.net_(as_tensor(inputs[start : start + PREDICT_ROWS]).to(device())), dim=1)
            for start in range(0, len(inputs), PREDICT_ROWS)
        ]
        projected: FloatArray = torch.cat(parts).cpu().numpy()
        return projected

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.net_(batch) if batch.ndim == 2 else self.net_.backbone(batch), dim=1)

    def _new_net(self, seed: int) -> _PairNet:
        pictures = len(self.input_shape_) == 3
        if not pictures and self.net != "auto":
            raise InputError("net", got=repr(self.net), expected="'auto' for vectors, which stay as they are")
        backbone = self._backbone(self.embedding_dim, seed=seed) if pictures else nn.Identity()
        entered = self.embedding_dim if pictures else self.input_shape_[0]
        gate = self.gate if isinstance(self.gate, nn.Module) else None
        gate = copy.deepcopy(gate) if gate is not None else self._named_gate(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "projector"))
            projector = nn.Sequential(
                nn.Linear(entered, check_integer(self.hidden, "hidden", low=1)),
                nn.BatchNorm1d(self.hidden),
                nn.ReLU(),
                nn.Linear(self.hidden, self.embedding_dim, bias=False),
                nn.LayerNorm(self.embedding_dim),
            )
        return _PairNet(backbone, projector, gate).to(device())

    def _named_gate(self, seed: int) -> ClassPairGate:
        kind, *details = str(self.gate).split(":")
        widths = [detail for detail in details if detail.isdigit()]
        fused = [detail for detail in details if detail in FUSIONS]
        if kind not in KINDS or len(widths) > 1 or len(fused) > 1 or len(widths) + len(fused) < len(details):
            raise InputError(
                "gate",
                got=repr(self.gate),
                expected=f"one of {', '.join(KINDS)}, with ':product' or ':<width>' such as 'sigmoid:64', or a module",
            )
        table = int(widths[0]) if widths else TABLE
        return ClassPairGate(
            n_classes=len(self.classes_),
            width=self.embedding_dim,
            embed_dim=table,
            hidden=2 * table,
            kind=kind,
            fuse=fused[0] if fused else "mean",
            seed=derive_seed(seed, "gate"),
        )

    def _sampler(self, codes: NDArray[np.int64], seed: int) -> tuple[Sampler, int]:
        """Return the rows of each step, and the steps of an epoch."""
        size = check_integer(self.batch_size, "batch_size", low=4)
        rows = np.flatnonzero(codes >= 0)
        seed = derive_seed(seed, "batches")
        if len(self.classes_) > size // 2:
            balanced = MPerClassSampler(codes, classes_per_batch=size // 2, samples_per_class=2, seed=seed)
            return balanced, math.ceil(len(rows) / size)
        # half a batch is enough of the last rows of an epoch; fewer might lack classes
        fewest = max(2, min(len(rows), size) // 2)
        shuffled = ShuffledBatches(torch.from_numpy(rows), batch_size=size, seed=seed, min_rows=fewest)
        return lambda step: shuffled(step)[0].numpy(), shuffled.per_epoch


class _PairNet(nn.Module):
    """Backbone, projector and gate: inputs to projections ``(B, d)``."""

    def __init__(self, backbone: nn.Module, projector: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, projector
        self.gate: Any = gate

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.projector(self.backbone(inputs))
        return projected


class _LossStep:
    """What the training loop asks for: the loss of a batch, and the figures of its gates."""

    def __init__(self, net: nn.Module, loss: ArbitraryPairLoss) -> None:
        self.net, self.loss = net, loss

    def __call__(self, batch: LabelledBatch) -> tuple[torch.Tensor, Mapping[str, float]]:
        value = self.loss(self.net(batch.inputs), batch.labels, generator=batch.generator)
        return value, self.loss.last_log


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate at a step: a linear rise, then a cosine to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
