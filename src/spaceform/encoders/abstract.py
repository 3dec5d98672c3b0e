"""What estimators share that train a network to make vectors: the door, the answers, the files."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from spaceform.checks import check_integer, check_labels, check_rows, label_codes
from spaceform.encoders.batches import device
from spaceform.encoders.devices import Shared, fit_on_devices
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError, SpaceFormatError
from spaceform.nets.addressed import is_address
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.nets.named import KINDS, named_net
from spaceform.nets.vision import VisionNet
from spaceform.rng import derive_seed
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import Callback, History
from spaceform.types import FloatArray, PathLike, Progress, no_progress

WEIGHTS, RECORD, BACKBONE = "weights.safetensors", "encoder.json", "backbone"
FORMAT = 1

NetMaker = Callable[[tuple[int, ...], int], nn.Module]
"""Makes a network from the shape of an input ((size, size, channels) or (d,)) and the dimensions of the vectors."""


class AbstractEncoder(ABC, TransformerMixin, BaseEstimator):
    """An encoder that is trained: pictures or vectors in, vectors out.

    A subclass has at least the hyper-parameters ``embedding_dim``, ``net`` (a name of
    :func:`spaceform.nets.named.named_net` or a :data:`NetMaker`) and ``random_state``; names its ``KIND``, the slug of
    its paper, by which a saved encoder is found again; and defines ``fit``, which takes inputs in through ``_enter``,
    makes ``net_`` by ``_new_net``, and hands a :class:`~spaceform.encoders.plan.Plan` to ``_run``. It overrides
    ``_new_net`` when the network has more parts, ``learned`` when more than ``net_`` learns, and ``_embed`` when
    vectors are not the normalised output of ``net_``.
    """

    KIND: ClassVar[str]

    embedding_dim: int
    net: str | NetMaker
    random_state: int
    net_: nn.Module
    history_: History
    classes_: np.ndarray
    input_shape_: tuple[int, ...]

    @abstractmethod
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on inputs ``X`` with labels ``y (n,)`` (integer -1: unlabelled) and return self."""

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return vectors ``(n, dim)`` float32."""
        return self.encode(X)

    @torch.inference_mode()
    def encode(self, items: ArrayLike, *, batch_size: int = 256, progress: Progress = no_progress) -> FloatArray:
        """Return vectors ``(n, dim)`` float32 of inputs like those of ``fit``, in batches."""
        check_is_fitted(self, "net_")
        check_integer(batch_size, "batch_size", low=1)
        inputs = self._inputs(items, fitting=False)
        vectors = np.empty((len(inputs), self.dim), dtype=np.float32)
        for start in range(0, len(inputs), batch_size):
            batch = as_tensor(inputs[start : start + batch_size]).to(device())
            vectors[start : start + batch_size] = self._embed(batch).cpu().numpy()
            progress("embedding", min(start + batch_size, len(inputs)), len(inputs))
        return vectors

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self.embedding_dim

    @property
    def learned(self) -> nn.Module:
        """Return all modules that training changes: the network, and class vectors where they are kept apart."""
        check_is_fitted(self, "net_")
        return self.net_

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any weight."""
        check_is_fitted(self, "net_")
        digest = hashlib.sha256()
        for name, value in self.net_.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: PathLike) -> None:
        """Write weights (safetensors) and record (JSON) into ``folder``; files of other names stay.

        Of a pretrained backbone its configuration is written, too, so that the folder it came from is needed no more.
        """
        check_is_fitted(self, "net_")
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.net_.state_dict().items()}, place / WEIGHTS)
        for part in self.net_.modules():
            if isinstance(part, VisionNet):
                part.save_design(place / BACKBONE)
                break
        record = {
            "kind": self.KIND,
            "format": FORMAT,
            "settings": self._settings(),
            "input_shape": list(self.input_shape_),
            "classes": self.classes_.tolist(),
            "fingerprint": self.fingerprint,
        }
        (place / RECORD).write_text(json.dumps(record))

    @classmethod
    def load(cls, folder: PathLike, *, net: NetMaker | None = None) -> Self:
        """Return the encoder that :meth:`save` wrote.

        ``net`` is needed again if it was a function, and if it was ``package.module:function``: reading a folder runs
        no code that only the folder names. Raises ``SpaceFormatError`` for files that were changed, ``InputError``
        when ``net`` is missing.
        """
        place = Path(folder)
        try:
            record = json.loads((place / RECORD).read_text())
            made = cls(**record["settings"])
            named = made.net
            made.net = _net_of(place, named, net)
            made.input_shape_ = tuple(map(int, record["input_shape"]))
            made.classes_ = np.asarray(record["classes"])
            made.net_ = made._new_net(0)
            made.net = made.net if named is None else named
            made.net_.load_state_dict(load_file(place / WEIGHTS))
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise SpaceFormatError(f"{place} holds no {cls.__name__} encoder that can be read: {error}") from error
        made.net_.eval()
        made.history_ = History()
        if record.get("fingerprint") != made.fingerprint:
            raise SpaceFormatError(f"{place}: the weights are not those the record was written for")
        return made

    def run_part(
        self, plan: Plan, *, saves: Checkpoint | None, callbacks: Sequence[Callback], progress: Progress
    ) -> None:
        """Train by ``plan`` in this process, as one of several or alone."""
        self._plan = plan
        try:
            self.history_ = plan.run(seed=self.random_state, saves=saves, callbacks=callbacks, progress=progress)
        finally:
            del self._plan

    @contextmanager
    def as_kept(self) -> Iterator[None]:
        """Let the encoder, in the middle of training, answer inside the block as if training had ended now.

        That is in evaluation mode and, where weights are averaged, with the averages.
        """
        plan: Plan | None = getattr(self, "_plan", None)
        averaged = plan is not None and plan.average is not None
        training, parts = self.net_.training, self.learned
        live = {name: value.detach().clone() for name, value in parts.state_dict().items()} if averaged else {}
        parts.eval()
        if plan is not None:
            plan.take_average()
        try:
            yield
        finally:
            if averaged:
                parts.load_state_dict(live)
            parts.train(training)

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed and vectors come out as float32."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the vectors ``(B, dim)`` of a batch; the network is in evaluation mode, gradients are off."""
        return nn.functional.normalize(self.net_(batch), dim=1)

    def _settings(self) -> dict[str, Any]:
        """Return the hyper-parameters as JSON takes them: modules as text, a function that makes a network not."""
        settings = {
            name: repr(value) if isinstance(value, nn.Module) else value
            for name, value in self.get_params(deep=False).items()
        }
        return settings if isinstance(self.net, str) else settings | {"net": None}

    def _enter(self, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, NDArray[np.int64]]:
        """Check inputs, labels and seed, set ``classes_`` and ``input_shape_``; return inputs and codes (-1: none)."""
        inputs = self._inputs(X, fitting=True)
        check_integer(self.random_state, "random_state", low=0)
        if y is None:
            name = type(self).__name__
            raise InputError(
                "y", got=f"None: {name} requires y to be passed, but the target y is None", expected="labels"
            )
        self.classes_, codes = label_codes(check_labels(y, len(inputs)))
        return inputs, codes

    def _inputs(self, X: ArrayLike, *, fitting: bool) -> np.ndarray:
        inputs = check_inputs(X)
        shape: tuple[int, ...] = tuple(inputs.shape[1:])
        if inputs.ndim == 2 and (fitting or len(self.input_shape_) == 1):
            check_rows(self, X, fitting=fitting)
        if fitting:
            self.input_shape_ = shape
        elif shape != self.input_shape_:
            raise InputError("X", got=f"inputs of shape {shape}", expected=f"{self.input_shape_}, as in fit")
        return inputs

    def _new_net(self, seed: int) -> nn.Module:
        """Return a fresh network for ``input_shape_``, drawn by ``seed``."""
        return self._backbone(self.embedding_dim, seed=seed)

    def _backbone(self, width: int, *, seed: int) -> nn.Module:
        """Return what ``net`` names or makes, with ``width`` outputs, on the device of training."""
        if isinstance(self.net, str):
            return named_net(self.net, self.input_shape_, width, seed=seed).to(device())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            return self.net(self.input_shape_, width).to(device())

    def _run(
        self,
        plan: Plan,
        data: tuple[np.ndarray, ...],
        *,
        checkpoint: PathLike | None,
        every: int,
        callbacks: Sequence[Callback],
        devices: int = 1,
        progress: Progress,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Train by ``plan`` on ``data``, set ``history_`` and return self; the other arguments are those of ``fit``.

        ``options``: what must be equal, besides hyper-parameters and data, for a killed run to go on; with several
        ``devices`` (:class:`~spaceform.encoders.devices.Shared`) each process makes the plan afresh with them.
        """
        given = dict(options or {})
        watched = {f"callback-{n}": c.settings for n, c in enumerate(callbacks) if hasattr(c, "settings")}
        saves = self._saves(checkpoint, every, data, watched | given)
        if check_integer(devices, "devices", low=1) > 1 and plan.steps:
            several = cast("Shared", self)
            fit_on_devices(
                several, data, devices=devices, saves=saves, callbacks=callbacks, progress=progress, options=given
            )
        else:
            self.run_part(plan, saves=saves, callbacks=callbacks, progress=progress)
        self.learned.eval()
        return self

    def _saves(
        self, folder: PathLike | None, every: int, data: tuple[np.ndarray, ...], more: Mapping[str, Any]
    ) -> Checkpoint | None:
        """Return where a run on ``data`` is saved; ``more`` is what must be equal besides the hyper-parameters."""
        if folder is None:
            return None
        digest = hashlib.sha256()
        for array in data:
            digest.update(np.ascontiguousarray(array).tobytes())
        settings = {**self._settings(), **more, "data": digest.hexdigest()[:16]}
        return Checkpoint(folder=Path(folder), every=check_integer(every, "every", low=1), settings=settings)


def _net_of(folder: Path, named: str | NetMaker | None, given: NetMaker | None) -> str | NetMaker:
    """Return what makes the network of a saved encoder: what is given, the design beside it, or its name."""
    if given is not None:
        return given
    if (folder / BACKBONE).is_dir():
        return lambda shape, dim: VisionNet.design(folder / BACKBONE, dim=dim)
    if named is None:
        raise InputError("net", got="None", expected="the function that made the network of this encoder")
    if isinstance(named, str) and is_address(named) and named.partition(":")[0] not in KINDS:
        raise InputError("net", got="None", expected=f"net={named}, the function that made the network of it")
    return named
