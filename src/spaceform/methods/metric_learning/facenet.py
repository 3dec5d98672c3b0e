"""FaceNet: pictures to unit vectors whose squared distance is the dissimilarity (Schroff et al., CVPR 2015)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_choice, check_integer, check_labels, check_real
from spaceform.errors import InputError, SpaceFormatError
from spaceform.losses.triplet import TripletLoss
from spaceform.nets.conv import ConvNet
from spaceform.ops.triplets import Mining
from spaceform.rng import derive_seed, torch_generator
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.training.augment import jitter
from spaceform.training.averaging import WeightAverage
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import History, train
from spaceform.types import FloatArray, PathLike, Progress, no_progress

WEIGHTS, RECORD = "weights.safetensors", "encoder.json"
KIND, FORMAT = "facenet", 1


@final
class FaceNet(TransformerMixin, BaseEstimator):
    """Encoder of pictures, trained so that pictures of one class are nearer to each other than to any other class.

    ``L = mean_t [ |f(a) - f(p)|^2 - |f(a) - f(n)|^2 + margin ]_+`` with ``|f| = 1``, over all anchor-positive pairs of
    class-balanced batches, each with a semi-hard negative (section 3.1 equation 3, section 3.2 equation 4).

    Parameters
    ----------
    embedding_dim : dimensions of the vectors; 128 in the paper (table 5).
    margin : in (0, 4), squared-distance units; 0.2 in the paper.
    mining : ``"semi_hard"`` (the paper), ``"hard"``, ``"hard_negative"``, ``"random"`` or ``"all"``.
    classes_per_batch, samples_per_class : the paper has about 45 x 40 faces; 96 x 4 suits many small classes.
    steps : optimiser steps; 0 leaves the random start, which is a floor to compare with.
    learning_rate : peak of one rise and fall over the run; the paper lowers its 0.05 of AdaGrad by hand.
    optimizer : ``"adam"``, or ``"adagrad"`` as in the paper.
    width : multiplies the channels of the convolutions.
    augment : turn, shift, scale and tint the pictures a little at every step.
    decay : of the moving average of the weights, which is what is kept; None keeps the last weights.
    random_state : non-negative integer; equal seeds on one machine and thread count give equal weights.

    Attributes
    ----------
    net_ : the trained ``ConvNet``. history_ : what training recorded. size_, channels_ : of the pictures.
    classes_ : labels seen. dim, fingerprint : of the encoder.

    Raises
    ------
    InputError : pictures of another shape or dtype, labels of another length, fewer than two classes, no class with
    two pictures, pictures of another size in ``transform``.

    Cost: O(steps x batch x pixels); about 0.15 s for a batch of 384 pictures of 48 pixels on two cores.
    Traps: mining only the hardest negatives from the start collapses all vectors to a point.

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
        learning_rate: float = 2e-3,
        optimizer: str = "adam",
        width: float = 1.0,
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
        self.width = width
        self.augment = augment
        self.decay = decay
        self.random_state = random_state

    def fit(
        self,
        X: NDArray[np.uint8],
        y: ArrayLike,
        *,
        checkpoint: PathLike | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Train on pictures ``X (n, h, h[, c])`` uint8 with labels ``y (n,)`` (-1: never drawn) and return self.

        With a ``checkpoint`` folder a killed call goes on where it stood when it is repeated, and ends with the same
        weights as an unbroken one.
        """
        pictures = _pictures(X)
        labels = check_labels(y, len(pictures))
        check_integer(self.steps, "steps", low=0)
        check_real(self.learning_rate, "learning_rate", low=0, open_ends=True)
        check_choice(self.optimizer, "optimizer", ("adam", "adagrad"))
        seed = check_integer(self.random_state, "random_state", low=0)
        self.classes_, codes = _codes(labels)
        self.size_, self.channels_ = pictures.shape[1], pictures.shape[3]
        sampler = MPerClassSampler(
            codes,
            classes_per_batch=self.classes_per_batch,
            samples_per_class=self.samples_per_class,
            seed=derive_seed(seed, "batches"),
        )
        self.net_ = self._new_net(seed)
        self.history_ = self._train(pictures, codes, sampler, checkpoint, progress)
        self.net_.eval()
        return self

    def transform(self, X: NDArray[np.uint8]) -> FloatArray:
        """Return unit vectors ``(n, embedding_dim)`` float32 of pictures."""
        return self.encode(X)

    @torch.inference_mode()
    def encode(
        self, items: NDArray[np.uint8], *, batch_size: int = 256, progress: Progress = no_progress
    ) -> FloatArray:
        """Return unit vectors ``(n, embedding_dim)`` float32 of pictures ``(n, size, size[, channels])`` uint8."""
        check_is_fitted(self, "net_")
        pictures = _pictures(items)
        if pictures.shape[1:] != (self.size_, self.size_, self.channels_):
            expected = f"({self.size_}, {self.size_}, {self.channels_}), as in fit"
            raise InputError("X", got=f"pictures of shape {pictures.shape[1:]}", expected=expected)
        vectors = np.empty((len(pictures), self.embedding_dim), dtype=np.float32)
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            vectors[start : start + batch_size] = _unit(self.net_(_as_input(batch))).numpy()
            progress("embedding pictures", min(start + batch_size, len(pictures)), len(pictures))
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
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
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
            "settings": self.get_params(),
            "size": self.size_,
            "channels": self.channels_,
            "classes": self.classes_.tolist(),
            "fingerprint": self.fingerprint,
        }
        (place / RECORD).write_text(json.dumps(record))

    @classmethod
    def load(cls, folder: PathLike) -> FaceNet:
        """Return the encoder that :meth:`save` wrote. Raises ``SpaceFormatError`` for files that were changed."""
        place = Path(folder)
        try:
            record = json.loads((place / RECORD).read_text())
            made = cls(**record["settings"])
            made.size_, made.channels_ = int(record["size"]), int(record["channels"])
            made.classes_ = np.asarray(record["classes"])
            made.net_ = made._new_net(0)
            made.net_.load_state_dict(load_file(place / WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise SpaceFormatError(f"{place} holds no FaceNet encoder that can be read: {error}") from error
        made.net_.eval()
        made.history_ = History()
        if record.get("fingerprint") != made.fingerprint:
            raise SpaceFormatError(f"{place}: the weights are not those the record was written for")
        return made

    def _new_net(self, seed: int) -> ConvNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            return ConvNet(channels=self.channels_, size=self.size_, dim=self.embedding_dim, width=self.width)

    def _train(
        self,
        pictures: NDArray[np.uint8],
        codes: NDArray[np.int64],
        sampler: MPerClassSampler,
        checkpoint: PathLike | None,
        progress: Progress,
    ) -> History:
        if self.steps == 0:
            return History()
        seed = int(self.random_state)
        loss = TripletLoss(margin=self.margin, mining=Mining(strategy=self.mining))
        labels = torch.from_numpy(codes)
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}
        optimizer = kinds[self.optimizer](self.net_.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=max(self.steps, 2), cycle_momentum=False
        )
        average = None if self.decay is None else WeightAverage(self.net_, decay=self.decay)

        def batch(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
            rows = sampler(step)
            generator = torch_generator(derive_seed(seed, "draws", step))
            inputs = _as_input(pictures[rows])
            return (jitter(inputs, generator) if self.augment else inputs), labels[rows], generator

        def loss_step(drawn: tuple[torch.Tensor, torch.Tensor, torch.Generator]) -> Any:
            return loss.with_figures(self.net_(drawn[0]), drawn[1], generator=drawn[2])

        saves = None
        if checkpoint is not None:
            data = hashlib.sha256(pictures.tobytes() + codes.tobytes()).hexdigest()[:16]
            settings = {**self.get_params(), "data": data}
            saves = Checkpoint(folder=Path(checkpoint), every=max(1, min(50, self.steps // 4)), settings=settings)
        history = train(
            self.net_,
            loss_step,
            batch,
            steps=self.steps,
            optimizer=optimizer,
            schedule=schedule,
            average=average,
            seed=seed,
            checkpoint=saves,
            progress=progress,
            task="training the encoder",
        )
        if average is not None:
            average.copy_to(self.net_)
        return history


def _pictures(X: Any) -> NDArray[np.uint8]:
    """Return pictures as ``(n, h, h, c)``; anything else is refused."""
    pictures = np.asarray(X)
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1] != pictures.shape[2] or not len(pictures):
        got = f"shape {np.shape(X)}, dtype {pictures.dtype}"
        raise InputError("X", got=got, expected="uint8 pictures of shape (n, size, size) or (n, size, size, channels)")
    return pictures


def _as_input(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Return float32 ``(B, c, h, h)`` in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(255)


def _codes(labels: np.ndarray) -> tuple[np.ndarray, NDArray[np.int64]]:
    """Return the classes and the rows' codes; integer -1 stays -1."""
    hidden = labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=bool)
    classes = np.unique(labels[~hidden])
    codes = np.full(len(labels), -1, dtype=np.int64)
    codes[~hidden] = np.searchsorted(classes, labels[~hidden])
    return classes, codes


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return nn.functional.normalize(vectors, dim=1)
