"""Batches in which every item is seen twice, labelled and unlabelled items in balance."""

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
from spaceform.types import IntArray

Views = Callable[[IntArray, np.random.Generator], ArrayLike]
"""New views of some rows: ``views(rows, generator)`` returns as many inputs, in that order."""

NOISE = 0.1
"""What a view of a vector adds to each feature unless views are given, in standard deviations of the feature."""


class TwoViews(NamedTuple):
    """``inputs (2B, ...)``: a view of every item, then another; ``labels (B,)`` codes, -1: unlabelled; the epoch."""

    inputs: torch.Tensor
    labels: torch.Tensor
    epoch: int


class TwoViewBatches:
    """Items drawn with replacement, labelled and unlabelled ones equally often, and two views of each.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them; ``codes (n,)`` int64, -1 where
    unlabelled; ``batch_size`` items (cut to n); ``views``: what makes new views of rows. None: pictures are turned,
    scaled, shifted and tinted a little, vectors get noise of a tenth of each feature's standard deviation. ``seed``:
    ``batches(step)`` depends on it and the step alone. ``per_epoch`` batches are n items or a little more.

    Raises ``InputError`` for fewer than two items, and for views of another shape than the inputs. O(B d) a batch.
    """

    def __init__(
        self, inputs: np.ndarray, codes: IntArray, *, batch_size: int, seed: int, views: Views | None = None
    ) -> None:
        if len(inputs) < 2:
            raise InputError("X", got=f"{len(inputs)} sample(s)", expected="at least 2 to compare")
        self._size = min(check_integer(batch_size, "batch_size", low=2), len(inputs))
        self.per_epoch = -(-len(inputs) // self._size)
        self._inputs, self._codes, self._seed, self._views = inputs, codes, seed, views
        labelled = codes >= 0
        known = max(1, int(labelled.sum()))
        # a weight of 1 for labelled items, of their number over that of the others for these (the released code)
        weights = np.where(labelled, 1.0, known / max(1, len(codes) - known))
        self._shares = np.cumsum(weights / weights.sum())
        self._spread = NOISE * inputs.std(0, dtype=np.float64) if inputs.ndim == 2 else None

    def __call__(self, step: int) -> TwoViews:
        """Return the batch of ``step`` (0-based), on the device that training runs on."""
        generator = np.random.default_rng(derive_seed(self._seed, "two views", step))
        drawn = np.searchsorted(self._shares, generator.random(self._size), side="right")
        rows = np.minimum(drawn, len(self._codes) - 1)
        pair = torch.cat([self._view(rows, generator) for _ in range(2)])
        return TwoViews(pair.to(device()), torch.from_numpy(self._codes[rows]).to(device()), step // self.per_epoch)

    def _view(self, rows: IntArray, generator: np.random.Generator) -> torch.Tensor:
        if self._views is not None:
            seen = check_inputs(self._views(rows, generator))
            if seen.shape != (len(rows), *self._inputs.shape[1:]):
                expected = f"{(len(rows), *self._inputs.shape[1:])}, like the rows"
                raise InputError("views", got=f"shape {seen.shape}", expected=expected)
            return as_tensor(seen)
        if self._spread is None:
            return jitter(as_tensor(self._inputs[rows]), torch_generator(int(generator.integers(2**62))))
        noise = self._spread * generator.normal(size=(len(rows), self._inputs.shape[1]))
        return as_tensor((self._inputs[rows] + noise).astype(np.float32))
