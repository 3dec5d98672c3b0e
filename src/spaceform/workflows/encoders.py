"""Encoders of a Space: chosen by name when it is built, found again in its folder when it is searched."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any, Protocol

from spaceform import papers
from spaceform.data.pictures import as_vectors
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.learner import MetricLearner
from spaceform.encoders.student import StudentClassifier
from spaceform.errors import InputError, SpaceFormatError
from spaceform.types import FloatArray, Progress, no_progress

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
    """Return the encoder saved in a Space's folder, or None when it has none; see :func:`load_encoder`."""
    return load_encoder(space / FOLDER) if (space / FOLDER / "encoder.json").is_file() else None


def load_encoder(folder: Path) -> Encoder:
    """Return the encoder saved in its own ``folder``.

    Raises ``SpaceFormatError`` when the record can't be read or is of an unknown kind.
    """
    record = folder / "encoder.json"
    try:
        kind = json.loads(record.read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpaceFormatError(f"{record} can't be read: {error}") from error
    encoder: Encoder = _class_of(kind, record).load(folder)
    return encoder


def _class_of(kind: str, record: Path) -> Any:
    """Return the class of a saved encoder: of texts, the learner of any loss, or that of a paper's method."""
    if kind == "text":
        from spaceform.nets.text import TextEncoder

        return TextEncoder
    if kind in {MetricLearner.KIND, StudentClassifier.KIND}:
        return MetricLearner if kind == MetricLearner.KIND else StudentClassifier
    slug = str(kind).partition(":")[0]  # where a paper has several kinds, the others are slug:Class
    if slug in {paper.slug for paper in papers.all_papers()}:
        paper = papers.load(slug)
        module = importlib.import_module(f"spaceform.methods.{paper.purpose}.{paper.module}")
        own = [
            value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, AbstractEncoder)
        ]
        for found in own:
            if getattr(found, "KIND", "") == kind:
                return found
    raise SpaceFormatError(f"{record} is of kind {kind!r}, which this version does not know")


def named_encoder(name: str) -> Encoder:
    """Return the encoder called ``name``.

    That is ``minilm``, ``pixels``, ``package.module:function``, or a folder: of a saved encoder, of a Space that has
    one, or of a ``transformers`` text model. Raises ``InputError`` for anything else, ``MissingExtraError`` for text
    models without transformers.
    """
    if name == "pixels":
        return Pixels()
    place = Path(name)
    if place.is_dir():
        if (place / "encoder.json").is_file():
            return load_encoder(place)
        if (own := open_encoder(place)) is not None:
            return own
    elif ":" in name:
        return custom_encoder(name)
    if name != "minilm" and not (place / "config.json").is_file():
        known = "'minilm', 'pixels', package.module:function"
        raise InputError("encoder", got=repr(name), expected=f"{known}, or the folder of an encoder")
    from spaceform.nets.text import TextEncoder

    made: Encoder = TextEncoder(name)
    return made


class Pixels:
    """Pictures as they are: their pixels, centred and of unit length, as the vectors."""

    fingerprint = "pixels"
    dim = 0

    def encode(self, items: Any, *, batch_size: int = 64, progress: Progress = no_progress) -> FloatArray:
        """Return vectors ``(n, size * size * 3)`` of pictures ``(n, size, size, 3)`` uint8."""
        return as_vectors(items)

    def save(self, folder: Path) -> None:
        """Write nothing: there is nothing to load."""


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
