"""Encoders of a Space: chosen by name when it is built, found again in its folder when it is searched."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from spaceform.errors import InputError, SpaceFormatError
from spaceform.types import FloatArray, Progress

FOLDER = "encoder"
"""Where an encoder lies inside the folder of its Space."""


class Encoder(Protocol):
    """What turns items (texts, or pictures as arrays) into vectors ``(n, dim)`` float32."""

    dim: int
    fingerprint: str

    def encode(self, items: Any, *, batch_size: int = ..., progress: Progress = ...) -> FloatArray:
        """Return one vector per item."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that :func:`open_encoder` needs into ``folder``."""
        ...


def open_encoder(space: Path) -> Encoder | None:
    """Return the encoder saved in a Space's folder, or None when it has none.

    Raises ``SpaceFormatError`` when the record can't be read or is of an unknown kind.
    """
    record = space / FOLDER / "encoder.json"
    if not record.is_file():
        return None
    try:
        kind = json.loads(record.read_text())["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise SpaceFormatError(f"{record} can't be read: {error}") from error
    if kind not in _LOADERS:
        raise SpaceFormatError(f"{record} is of kind {kind!r}; this version knows {', '.join(_LOADERS)}")
    return _LOADERS[kind](space / FOLDER)


def custom_encoder(address: str) -> Encoder:
    """Return what the function named ``package.module:function`` returns.

    Raises ``InputError`` when there is no such function or its result has no ``encode``.
    """
    module, _, name = address.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError("encoder", got=f"{address!r} ({error})", expected="package.module:function") from error
    if not hasattr(made, "encode"):
        raise InputError("encoder", got=type(made).__name__, expected=f"an object with encode(items) from {address}")
    encoder: Encoder = made
    return encoder


def _text(folder: Path) -> Encoder:
    from spaceform.nets.text import TextEncoder

    return TextEncoder.load(folder)


def _facenet(folder: Path) -> Encoder:
    from spaceform.methods.metric_learning.facenet import FaceNet

    encoder: Encoder = FaceNet.load(folder)
    return encoder


_LOADERS: dict[str, Callable[[Path], Encoder]] = {"text": _text, "facenet": _facenet}
