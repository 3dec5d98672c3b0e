"""FaceNet: pictures to unit vectors whose squared distance is the dissimilarity (Schroff et al., CVPR 2015)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_choice, check_integer, check_labels, check_real, check_rows
from spaceform.errors import InputError, SpaceFormatError
from spaceform.losses.harmonic import HarmonicTripletLoss
from spaceform.losses.triplet import TripletLoss
from spaceform.metrics.verification import EmbeddingVerifier
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.nets.named import named_net
from spaceform.ops.quantize import ByteEmbedding
from spaceform.ops.triplets import Mining
from spaceform.rng import derive_seed, torch_generator
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.augment import jitter
from spaceform.training.averaging import WeightAverage
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import History, train
from spaceform.types import FloatArray, PathLike, Progress, no_progress

__all__ = ["ByteEmbedding", "EmbeddingVerifier", "FaceNet", "HarmonicTripletLoss", "TripletLoss"]

WEIGHTS, RECORD = "weights.safetensors", "encoder.json"
KIND, FORMAT = "facenet", 1

LEARNING_RATES = {"adam": 2e-3, "adagrad": 0.05}
"""Defaults: for Adam what suited small convolutional nets, for AdaGrad the paper's (section 3)."""

NetMaker = Callable[[tuple[int, ...], int], nn.Module]
"""Makes a network from the shape of an input ((size, size, channels) or (d,)) and the dimensions of the vectors."""


@final
class FaceNet(TransformerMixin, BaseEstimator):
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
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    >>> encoder = FaceNet(embedding_dim=8, classes_per_batch=2, samples_per_class=2, steps=2)
    >>> encoder.fit(pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]).transform(pictures).shape
    (12, 8)
    """

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
        progress: Progress = no_progress,
    ) -> Self:
        """Train on ``X`` with labels ``y (n,)`` (integer -1: never drawn) and return self.

        ``X``: pictures ``(n, size, size[, channels])`` uint8 or floats in [0, 1], or vectors ``(n, d)``.
        ``extra_negatives`` rows drawn at random join every batch (the paper adds some to each).
        With a ``checkpoint`` folder, written ``every`` so many steps, a killed call goes on where it stood when it
        is repeated, and ends with the same weights as an unbroken one.
        """
        inputs = self._inputs(X, fitting=True)
        if y is None:
            raise InputError(
                "y", got="None: FaceNet requires y to be passed, but the target y is None", expected="labels"
            )
        labels = check_labels(y, len(inputs))
        check_integer(self.steps, "steps", low=0)
        check_choice(self.optimizer, "optimizer", tuple(LEARNING_RATES))
        seed = check_integer(self.random_state, "random_state", low=0)
        loss = TripletLoss(margin=self.margin, mining=Mining.parse(self.mining))
        self.classes_, codes = _codes(labels)
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            extra_rows=extra_negatives,
            seed=derive_seed(seed, "batches"),
        )
        self.net_ = self._new_net(seed)
        saves = None
        if checkpoint is not None:
            data = hashlib.sha256(np.ascontiguousarray(inputs).tobytes() + codes.tobytes()).hexdigest()[:16]
            settings = {**self._settings(), "extra_negatives": extra_negatives, "data": data}
            saves = Checkpoint(folder=Path(checkpoint), every=check_integer(every, "every", low=1), settings=settings)
        self.history_ = self._train(_Feed(inputs, codes, sampler, self.augment, seed), loss, saves, progress)
        self.net_.eval()
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return unit vectors ``(n, embedding_dim)`` float32."""
        return self.encode(X)

    @torch.inference_mode()
    def encode(self, items: ArrayLike, *, batch_size: int = 256, progress: Progress = no_progress) -> FloatArray:
        """Return unit vectors ``(n, embedding_dim)`` float32 of inputs like those of ``fit``, in batches."""
        check_is_fitted(self, "net_")
        check_integer(batch_size, "batch_size", low=1)
        inputs = self._inputs(items, fitting=False)
        vectors = np.empty((len(inputs), self.embedding_dim), dtype=np.float32)
        for start in range(0, len(inputs), batch_size):
            batch = self.net_(as_tensor(inputs[start : start + batch_size]).to(_device()))
            vectors[start : start + batch_size] = nn.functional.normalize(batch, dim=1).cpu().numpy()
            progress("embedding", min(start + batch_size, len(inputs)), len(inputs))
        return vectors

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self.embedding_dim

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any weight."""
        check_is_fitted(self, "net_")
        digest = hashlib.sha256()
        for name, value in self.net_.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: PathLike) -> None:
        """Write weights (safetensors) and record (JSON) into ``folder``; files of other names stay."""
        check_is_fitted(self, "net_")
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.net_.state_dict().items()}, place / WEIGHTS)
        record = {
            "kind": KIND,
            "format": FORMAT,
            "settings": self._settings(),
            "input_shape": list(self.input_shape_),
            "classes": self.classes_.tolist(),
            "fingerprint": self.fingerprint,
        }
        (place / RECORD).write_text(json.dumps(record))

    @classmethod
    def load(cls, folder: PathLike, *, net: NetMaker | None = None) -> FaceNet:
        """Return the encoder that :meth:`save` wrote; ``net`` is needed again if it was a function.

        Raises ``SpaceFormatError`` for files that were changed, ``InputError`` when ``net`` is missing.
        """
        place = Path(folder)
        try:
            record = json.loads((place / RECORD).read_text())
            made = cls(**record["settings"])
            made.net = _needed_net(made.net if net is None else net)
            made.input_shape_ = tuple(map(int, record["input_shape"]))
            made.classes_ = np.asarray(record["classes"])
            made.net_ = made._new_net(0)
            made.net_.load_state_dict(load_file(place / WEIGHTS))
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise SpaceFormatError(f"{place} holds no FaceNet encoder that can be read: {error}") from error
        made.net_.eval()
        made.history_ = History()
        if record.get("fingerprint") != made.fingerprint:
            raise SpaceFormatError(f"{place}: the weights are not those the record was written for")
        return made

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed and vectors come out as float32."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.get_params(deep=False)
        return settings if isinstance(self.net, str) else settings | {"net": None}

    def _inputs(self, X: ArrayLike, *, fitting: bool) -> np.ndarray:
        inputs = check_inputs(X)
        shape: tuple[int, ...] = tuple(inputs.shape[1:])
        if inputs.ndim == 2 and (fitting or len(self.input_shape_) == 1):
            check_rows(self, X, fitting=fitting)
        if fitting:
            self.input_shape_: tuple[int, ...] = shape
        elif shape != self.input_shape_:
            raise InputError("X", got=f"inputs of shape {shape}", expected=f"{self.input_shape_}, as in fit")
        return inputs

    def _new_net(self, seed: int) -> nn.Module:
        if isinstance(self.net, str):
            return named_net(self.net, self.input_shape_, self.embedding_dim, seed=seed).to(_device())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            return self.net(self.input_shape_, self.embedding_dim).to(_device())

    def _train(self, feed: _Feed, loss: TripletLoss, saves: Checkpoint | None, progress: Progress) -> History:
        if self.steps == 0:
            return History()
        rate = LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
        optimizer, schedule = _optimizer(self.optimizer, self.net_, rate, self.steps)
        average = None if self.decay is None else WeightAverage(self.net_, decay=self.decay)

        def loss_step(drawn: tuple[torch.Tensor, torch.Tensor, torch.Generator]) -> Any:
            return loss.with_figures(self.net_(drawn[0]), drawn[1], generator=drawn[2])

        history = train(
            self.net_,
            loss_step,
            feed,
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            average=average,
            seed=feed.seed,
            checkpoint=saves,
            progress=progress,
            task="training the encoder",
        )
        if average is not None:
            average.copy_to(self.net_)
        return history


class _Feed:
    """Batches as a function of the step: inputs, labels, and the generator of the miner's draws."""

    def __init__(
        self, inputs: np.ndarray, codes: NDArray[np.int64], sampler: MPerClassSampler, augment: bool, seed: int
    ) -> None:
        self.inputs, self.labels, self.sampler = inputs, torch.from_numpy(codes), sampler
        self.augment, self.seed = augment and inputs.ndim == 4, seed

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
        rows = self.sampler(step)
        generator = torch_generator(derive_seed(self.seed, "draws", step))
        inputs = as_tensor(self.inputs[rows])
        inputs = jitter(inputs, generator) if self.augment else inputs
        return inputs.to(_device()), self.labels[rows].to(_device()), generator


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _needed_net(net: str | NetMaker | None) -> str | NetMaker:
    if net is None:
        raise InputError("net", got="None", expected="the function that made the network of this encoder")
    return net


def _optimizer(
    name: str, net: nn.Module, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    check_real(rate, "learning_rate", low=0, open_ends=True)
    if name == "adam":
        adam = torch.optim.Adam(net.parameters(), lr=rate)
        total = max(steps, 2)
        return adam, torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=total, cycle_momentum=False)
    adagrad = torch.optim.Adagrad(net.parameters(), lr=rate)
    return adagrad, torch.optim.lr_scheduler.MultiStepLR(adagrad, [max(1, round(0.8 * steps))], gamma=0.1)


def _codes(labels: np.ndarray) -> tuple[np.ndarray, NDArray[np.int64]]:
    """Return the classes and the rows' codes; integer -1 stays -1."""
    hidden = labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=bool)
    classes = np.unique(labels[~hidden])
    codes = np.full(len(labels), -1, dtype=np.int64)
    codes[~hidden] = np.searchsorted(classes, labels[~hidden])
    return classes, codes
