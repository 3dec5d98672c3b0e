"""Random views of inputs, and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor, check_inputs
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import jitter
from spaceform.training.batches import ShuffledBatches
from spaceform.types import FloatArray, IntArray

ViewFn = Callable[[IntArray, np.random.Generator], ArrayLike]
"""Makes a random view of the training rows with these numbers: an array of inputs like those of ``fit``."""

NOISE, DROPPED = 0.2, 0.1
"""Views of vectors: noise as a share of each feature's deviation, and the share of features set to their mean."""

SLIGHT = 0.1
"""Noise of views that are compared with each other alone."""


class RandomViews:
    """Random views of training inputs as tensors, a pure function of rows and seed.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them; ``view_fn``, or None: vectors get
    ``noise``, a share of each feature's deviation, and blots on a share ``dropped`` of the features, pictures are moved
    and tinted. A view of another shape than the inputs raises ``InputError``.
    """

    def __init__(
        self, inputs: np.ndarray, view_fn: ViewFn | None = None, *, noise: float = NOISE, dropped: float = DROPPED
    ) -> None:
        self._inputs, self._fn, self._noise, self._dropped = inputs, view_fn, noise, dropped
        flat = inputs if inputs.ndim == 2 else np.zeros((1, 1), dtype=np.float32)
        self._mean, self._deviation = flat.mean(0), flat.std(0)

    def __call__(self, rows: IntArray, seed: int | np.random.Generator) -> torch.Tensor:
        """Return the view ``(m, ...)`` of the rows with these numbers, on the device of training.

        A generator as the ``seed`` is drawn from, so that the next view is another.
        """
        generator = np.random.default_rng(seed)
        if self._fn is not None:
            made = check_inputs(self._fn(rows, generator))
            expected = (len(rows), *self._inputs.shape[1:])
            if made.shape != expected:
                raise InputError("view_fn", got=f"views of shape {made.shape}", expected=f"{expected}, like the rows")
            return as_tensor(made).to(device())
        if self._inputs.ndim == 4:
            own = int(generator.integers(2**62)) if isinstance(seed, np.random.Generator) else seed
            return jitter(as_tensor(self._inputs[rows]), torch_generator(own)).to(device())
        chosen = self._inputs[rows]
        noise = generator.standard_normal(chosen.shape, dtype=np.float32)
        moved: FloatArray = chosen + self._noise * self._deviation * noise
        blotted = np.where(generator.random(chosen.shape) < self._dropped, self._mean, moved)
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


class TwoViews(NamedTuple):
    """``inputs (2B, ...)``: a view of every item, then another; ``labels (B,)`` codes, -1: unlabelled; the epoch."""

    inputs: torch.Tensor
    labels: torch.Tensor
    epoch: int


class TwoViewBatches:
    """Items drawn with replacement, labelled and unlabelled ones equally often, and two views of each.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them; ``codes (n,)`` int64, -1 where
    unlabelled; ``batch_size`` items (cut to n); ``views``: what makes new views of rows. None: those of
    :class:`RandomViews`, vectors with noise of a tenth of each feature's deviation and no blots. ``seed``:
    ``batches(step)`` depends on it and the step alone. ``per_epoch`` batches are n items or a little more.

    Raises ``InputError`` for fewer than two items, and for views of another shape than the inputs. O(B d) a batch.
    """

    def __init__(
        self, inputs: np.ndarray, codes: IntArray, *, batch_size: int, seed: int, views: ViewFn | None = None
    ) -> None:
        if len(inputs) < 2:
            raise InputError("X", got=f"{len(inputs)} sample(s)", expected="at least 2 to compare")
        self._size = min(check_integer(batch_size, "batch_size", low=2), len(inputs))
        self.per_epoch = -(-len(inputs) // self._size)
        self._codes, self._seed = codes, seed
        self._view = RandomViews(inputs, views, noise=SLIGHT, dropped=0.0)
        labelled = codes >= 0
        known = max(1, int(labelled.sum()))
        # a weight of 1 for labelled items, of their number over that of the others for these (the released code)
        weights = np.where(labelled, 1.0, known / max(1, len(codes) - known))
        self._shares = np.cumsum(weights / weights.sum())

    def __call__(self, step: int) -> TwoViews:
        """Return the batch of ``step`` (0-based), on the device that training runs on."""
        generator = np.random.default_rng(derive_seed(self._seed, "two views", step))
        drawn = np.searchsorted(self._shares, generator.random(self._size), side="right")
        rows = np.minimum(drawn, len(self._codes) - 1)
        pair = torch.cat([self._view(rows, generator) for _ in range(2)])
        return TwoViews(pair, torch.from_numpy(self._codes[rows]).to(device()), step // self.per_epoch)
