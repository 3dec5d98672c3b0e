"""Mini-batches as a pure function of the step, which is what the training loop asks for."""

from __future__ import annotations

import numpy as np
import torch

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.rng import derive_seed


class ShuffledBatches:
    """Rows in a new order every epoch; ``batches(step)`` depends on seed and step alone.

    Parameters: ``tensors`` of equal length n, sliced alike; ``batch_size``; ``seed``; ``min_rows``: a last batch with
    fewer rows is skipped (2 where the model has batch normalization). Raises ``InputError`` for unequal lengths and
    when not even one batch is left.
    """

    def __init__(self, *tensors: torch.Tensor, batch_size: int, seed: int, min_rows: int = 1) -> None:
        check_integer(batch_size, "batch_size", low=min_rows)
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise InputError("tensors", got=f"lengths {sorted(lengths)}", expected="tensors of one length")
        (self._rows,) = lengths
        if self._rows < min_rows:
            raise InputError("X", got=f"{self._rows} sample(s) to train on", expected=f"at least {min_rows}")
        self._tensors, self._seed = tensors, seed
        whole, rest = divmod(self._rows, batch_size)
        self._size, self.per_epoch = batch_size, whole + (rest >= min_rows)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> tuple[torch.Tensor, ...]:
        """Return the rows of ``step`` (0-based) from each tensor."""
        epoch, part = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng(derive_seed(self._seed, "epoch", epoch))
            self._epoch, self._order = epoch, torch.from_numpy(rng.permutation(self._rows))
        chosen = self._order[part * self._size : (part + 1) * self._size]
        return tuple(tensor[chosen] for tensor in self._tensors)
