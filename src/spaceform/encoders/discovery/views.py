"""Random views of inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import jitter
from spaceform.training.batches import ShuffledBatches
from spaceform.types import FloatArray, IntArray

ViewFn = Callable[[IntArray, np.random.Generator], ArrayLike]
"""Makes a random view of the training rows with these numbers: an array of inputs like those of ``fit``."""

NOISE, DROPPED = 0.2, 0.1
"""Views of vectors: noise as a share of each feature's deviation, and the share of features set to their mean."""


class RandomViews:
    """Random views of training inputs as tensors, a pure function of rows and seed.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them; ``view_fn``, or None: vectors get
    noise and blots, pictures are moved and tinted. A view of another shape than the inputs raises ``InputError``.
    """

    def __init__(self, inputs: np.ndarray, view_fn: ViewFn | None = None) -> None:
        self._inputs, self._fn = inputs, view_fn
        flat = inputs if inputs.ndim == 2 else np.zeros((1, 1), dtype=np.float32)
        self._mean, self._deviation = flat.mean(0), flat.std(0)

    def __call__(self, rows: IntArray, seed: int) -> torch.Tensor:
        """Return the view ``(m, ...)`` of the rows with these numbers, on the device of training."""
        if self._fn is not None:
            made = np.asarray(self._fn(rows, np.random.default_rng(seed)))
            expected = (len(rows), *self._inputs.shape[1:])
            if made.shape != expected:
                raise InputError("view_fn", got=f"views of shape {made.shape}", expected=f"{expected}")
            made = made if made.dtype == np.uint8 else made.astype(np.float32)
            return as_tensor(made).to(device())
        if self._inputs.ndim == 4:
            return jitter(as_tensor(self._inputs[rows]), torch_generator(seed)).to(device())
        generator = np.random.default_rng(seed)
        chosen = self._inputs[rows]
        moved: FloatArray = chosen + NOISE * self._deviation * generator.standard_normal(chosen.shape, dtype=np.float32)
        blotted = np.where(generator.random(chosen.shape) < DROPPED, self._mean, moved)
        return as_tensor(blotted.astype(np.float32)).to(device())


class ViewBatches:
    """Batches of random views as a pure function of the step: ``(views, codes)`` of a shuffle of the rows each epoch.

    Parameters: ``view`` of the training inputs; ``rows (m,)`` numbers to draw and their ``codes (m,)``;
    ``batch_size``, at most m: only whole batches are used; ``seed``; ``n_views`` of each batch.
    """

    def __init__(
        self, view: RandomViews, rows: IntArray, codes: IntArray, *, batch_size: int, seed: int, n_views: int = 2
    ) -> None:
        size = min(batch_size, len(rows))
        tensors = torch.from_numpy(rows), torch.from_numpy(codes)
        self._drawn = ShuffledBatches(*tensors, batch_size=size, seed=seed, min_rows=size)
        self._view, self._seed, self._n_views = view, seed, n_views
        self.per_epoch = self._drawn.per_epoch

    def __call__(self, step: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the views and codes of ``step`` (0-based)."""
        rows, codes = self._drawn(step)
        seeds = [derive_seed(self._seed, "view", step, number) for number in range(self._n_views)]
        return [self._view(rows.numpy(), seed) for seed in seeds], codes.to(device())
