"""FaceNet: pictures to unit vectors whose squared distance is the dissimilarity (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spaceform.checks import check_choice, check_integer
from spaceform.encoders.abstract import AbstractEncoder, NetMaker
from spaceform.encoders.batches import LabelledBatch, LabelledBatches
from spaceform.encoders.devices import shared
from spaceform.encoders.plan import Plan
from spaceform.losses.harmonic import HarmonicTripletLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.metrics.verification import EmbeddingVerifier
from spaceform.ops.quantize import ByteEmbedding
from spaceform.ops.triplets import Mining
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.averaging import WeightAverage
from spaceform.training.distributed import gather, gather_with_grad
from spaceform.training.loop import Callback
from spaceform.training.optimizers import LEARNING_RATES, make_optimizer
from spaceform.types import PathLike, Progress, no_progress

__all__ = ["ByteEmbedding", "EmbeddingVerifier", "FaceNet", "HarmonicTripletLoss", "TripletLoss"]


@final
class FaceNet(AbstractEncoder):
    """Encoder, trained so that pictures (or vectors) of one class are nearer to each other than to any other class.

    ``L = mean_t [ |f(a) - f(p)|^2 - |f(a) - f(n)|^2 + margin ]_+`` with ``|f| = 1``, over all anchor-positive pairs of
    class-balanced batches, each with a semi-hard negative (section 3.1 equation 3, section 3.2 equation 4).

    Parameters
    ----------
    embedding_dim : dimensions of the vectors; 128 in the paper (table 5).
    margin : in (0, 4), squared-distance units; 0.2 in the paper.
    mining : ``"semi_hard"`` (the paper), ``"hard"``, ``"hard_negative"``, ``"random"`` or ``"all"``; the first may be
        followed by its rule and choice, as in ``"semi_hard:vgg:hardest"``.
    classes_per_batch, samples_per_class : the paper has about 45 x 40 faces; 96 x 4 suits many small classes.
    steps : optimiser steps; 0 leaves the random start, which is a floor to compare with.
    learning_rate : None takes 2e-3 for Adam and the paper's 0.05 for AdaGrad.
    optimizer : ``"adam"`` with one rise and fall of the rate, or ``"adagrad"`` as in the paper, whose rate falls to a
        tenth for the last fifth (the paper lowers it "to finalize the model").
    net : a name of :func:`spaceform.nets.named.named_net` (``"conv"``, ``"conv:0.5"``, ``"nn1"`` to ``"nn4"``,
        ``"mlp"``; ``"auto"`` is ``"conv"`` for pictures and ``"mlp"`` for vectors), or a function of input shape and
        dimensions that returns a module.
    augment : turn, shift, scale and tint pictures a little at every step.
    decay : of the moving average of the weights, which is what is kept; None keeps the last weights.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained network. history_ : what training recorded. classes_ : labels seen.
    input_shape_ : ``(size, size, channels)`` or ``(d,)``. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : inputs of another shape or dtype, labels of another length, fewer than two classes, no class with
    two rows, inputs of another shape in ``transform``.

    Cost: O(steps x batch x pixels); about 0.15 s for a batch of 384 pictures of 48 pixels on two cores. A CUDA device
    is used where there is one.
    Traps: mining only the hardest negatives from the start can collapse all vectors to a point.

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    >>> encoder = FaceNet(embedding_dim=8, classes_per_batch=2, samples_per_class=2, steps=2)
    >>> encoder.fit(pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]).transform(pictures).shape
    (12, 8)
    """

    KIND: ClassVar[str] = "facenet"

    def __init__(
        self,
        *,
        embedding_dim: int = 128,
        margin: float = 0.2,
        mining: str = "semi_hard",
        classes_per_batch: int = 96,
        samples_per_class: int = 4,
        steps: int = 400,
        learning_rate: float | None = None,
        optimizer: str = "adam",
        net: str | NetMaker = "auto",
        augment: bool = True,
        decay: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.margin = margin
        self.mining = mining
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.steps = steps
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.net = net
        self.augment = augment
        self.decay = decay
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        extra_negatives: int = 0,
        checkpoint: PathLike | None = None,
        every: int = 50,
        callbacks: Sequence[Callback] = (),
        devices: int = 1,
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``.
        ``extra_negatives`` rows drawn at random join every batch (the paper adds some to each).
        With a ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it
        is repeated, and ends with the same weights as an unbroken one. ``callbacks`` may end training early.
        Several ``devices`` share every batch, as in :meth:`spaceform.encoders.learner.MetricLearner.fit`.
        """
        data = self._enter(X, y)
        check_integer(self.steps, "steps", low=0)
        check_choice(self.optimizer, "optimizer", tuple(LEARNING_RATES))
        options = {"extra_negatives": extra_negatives}
        plan = self.plan(*data, extra_negatives=extra_negatives)
        return self._run(
            plan,
            data,
            checkpoint=checkpoint,
            every=every,
            callbacks=callbacks,
            devices=devices,
            progress=progress,
            options=options,
        )

    def plan(
        self, inputs: np.ndarray, codes: NDArray[np.int64], *, extra_negatives: int = 0, fabric: Any = None
    ) -> Plan:
        """Make ``net_`` afresh and return how it is trained, as one rank of ``fabric`` or alone.

        ``inputs`` and ``codes`` have passed the door.
        """
        seed = self.random_state
        loss = TripletLoss(margin=self.margin, mining=Mining.parse(self.mining))
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            extra_rows=extra_negatives,
            seed=derive_seed(seed, "batches"),
        )
        self.net_ = self._new_net(seed)
        part, net = shared(self.net_, fabric)
        optimizer, schedule = make_optimizer(
            self.optimizer, self.net_.parameters(), rate=self.learning_rate, steps=self.steps
        )

        def loss_step(batch: LabelledBatch) -> Any:
            vectors = gather_with_grad(net(batch.inputs))
            return loss.with_figures(vectors, gather(batch.labels), generator=batch.generator)

        return Plan(
            parts=self.net_,
            loss_step=loss_step,
            batches=LabelledBatches(inputs, codes, sampler, augment=self.augment, seed=seed, part=part),
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            average=None if self.decay is None else WeightAverage(self.net_, decay=self.decay),
        )
