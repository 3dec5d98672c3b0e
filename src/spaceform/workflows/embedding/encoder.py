"""What embeds batches: the contract of a worker's encoder, and every encoder of ours behind it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from spaceform.errors import InputError
from spaceform.types import FloatArray

Batch = dict[str, np.ndarray]
"""Columns by name: ``id`` (text) and one of ``text`` (objects), ``image`` (uint8), ``vector`` (float32)."""


class BatchEncoder(Protocol):
    """What a worker calls, without a type of any engine in it.

    It travels to workers by pickling, so that it should hold names, not weights: those are loaded in ``setup``, which
    a worker calls once. ``fingerprint`` must change with whatever changes the vectors, and needs no ``setup``.
    """

    @property
    def fingerprint(self) -> str:
        """Text that names the encoder and its weights."""
        ...

    def setup(self) -> None:
        """Load what is heavy; called once per worker, before the first batch."""
        ...

    def __call__(self, batch: Batch) -> Batch:
        """Return ``embedding`` (B, d) float32 or float16 and ``id`` (B,), the ids of the batch in any order."""
        ...


class NamedEncoder:
    """A :class:`BatchEncoder` around an encoder that :func:`~spaceform.workflows.encoders.named_encoder` knows.

    Parameters: ``name`` as there. The encoder is loaded where it is first needed and does not travel.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._encoder: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels to workers."""
        return {"name": self.name, "_encoder": None}

    @property
    def inner(self) -> Any:
        """The encoder itself."""
        if self._encoder is None:
            from spaceform.workflows.encoders import named_encoder

            self._encoder = named_encoder(self.name)
        return self._encoder

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder, which this loads."""
        return str(self.inner.fingerprint)

    @property
    def picture_size(self) -> int | None:
        """The side of the pictures that the encoder was trained on, or None."""
        shape: tuple[int, ...] = getattr(self.inner, "input_shape_", ())
        return int(shape[0]) if len(shape) == 3 else None

    def setup(self) -> None:
        """Load the encoder."""
        if not hasattr(self.inner, "encode"):
            raise InputError("encoder", got=self.name, expected="an object with encode(items)")

    def __call__(self, batch: Batch) -> Batch:
        """Return the vectors of a batch by ``encode``."""
        ids = batch["id"]
        items = next(values for name, values in batch.items() if name != "id")
        vectors = self.inner.encode(items.tolist() if items.dtype == object else items, batch_size=len(ids))
        return {"id": ids, "embedding": _narrow(np.asarray(vectors))}


def _narrow(vectors: FloatArray) -> FloatArray:
    """Return float64 as float32, and what is float32 or float16 already as it is."""
    return vectors.astype(np.float32) if vectors.dtype == np.float64 else vectors
