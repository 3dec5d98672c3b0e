"""Batches of labelled pictures or vectors as a pure function of the step, and answers in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spaceform.nets.inputs import as_tensor
from spaceform.rng import derive_seed, torch_generator
from spaceform.training.augment import jitter
from spaceform.types import FloatArray


class LabelledBatch(NamedTuple):
    """Inputs ``(B, ...)`` float32, labels ``(B,)`` int64, and the generator of the draws of this step."""

    inputs: torch.Tensor
    labels: torch.Tensor
    generator: torch.Generator


class LabelledBatches:
    """The rows that a sampler draws at each step, as tensors; pictures are changed a little with ``augment``.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them, ``codes (n,)`` int64, ``sampler``
    from the step to row numbers, ``seed`` of augmentation and draws. ``batches(step)`` depends on seed and step alone.
    With ``part=(rank, world_size)`` it is that part of the same batch: the parts of all ranks, one after the other, are
    the batch of one process, each picture changed as there.

    >>> batches = LabelledBatches(np.eye(3, dtype=np.float32), np.arange(3), lambda step: np.array([step, 2]), seed=0)
    >>> batches(1).labels
    tensor([1, 2])
    """

    def __init__(
        self,
        inputs: np.ndarray,
        codes: NDArray[np.int64],
        sampler: Callable[[int], NDArray[np.int64]],
        *,
        augment: bool = False,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.inputs, self.labels, self.sampler = inputs, torch.from_numpy(codes), sampler
        self.augment, self.seed, self.part = augment and inputs.ndim == 4, seed, part

    def __call__(self, step: int) -> LabelledBatch:
        """Return the batch of ``step`` (0-based), on the device that training runs on."""
        whole = self.sampler(step)
        rank, world = self.part
        first, last = len(whole) * rank // world, len(whole) * (rank + 1) // world
        rows = whole[first:last]
        generator = torch_generator(derive_seed(self.seed, "draws", step))
        inputs = as_tensor(self.inputs[rows])
        inputs = jitter(inputs, generator, of=(first, len(whole))) if self.augment else inputs
        return LabelledBatch(inputs.to(device()), self.labels[rows].to(device()), generator)


def device() -> torch.device:
    """Return the first CUDA device where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.inference_mode()
def in_blocks(answer: Callable[[torch.Tensor], torch.Tensor], inputs: np.ndarray, size: int = 1024) -> FloatArray:
    """Return answers of a network on checked inputs, ``size`` rows at a time."""
    parts = [
        answer(as_tensor(inputs[start : start + size]).to(device())).cpu().numpy()
        for start in range(0, len(inputs), size)
    ]
    return np.concatenate(parts)
