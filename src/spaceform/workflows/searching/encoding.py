"""What embeds the texts and pictures of queries: the encoder that made the vectors of a Space, loaded when asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.data.pictures import as_vectors, check_picture, decode
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.errors import InputError, SpaceFormatError
from spaceform.space import Space
from spaceform.workflows.encoders import Encoder, open_encoder
from spaceform.workflows.searching.placing import Encode

_TEXT = "TextEncoder"
_SAMPLE, _ALIKE = 3, 1e-3
"""Rows whose pixels are compared with their vectors, and how far they may be apart."""


class QueryEncoder:
    """Embeds queries as the rows of a Space were embedded.

    Texts go through the text encoder in the Space's folder; pictures through the picture encoder in it or, where the
    vectors are the pixels of the pictures themselves, through none.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        """Look at the record of the Space only."""
        self._folder, self._space = folder, space
        self._record = space.encoder or {}
        self._opening = Lock()
        self._opened: Encoder | None = None

    @property
    def takes_texts(self) -> bool:
        """Whether the Space was made by an encoder of texts."""
        return self._record.get("kind") == _TEXT

    @cached_property
    def picture_side(self) -> int | None:
        """The side in pixels of the pictures that are embedded, or None where pictures can't be; loads the encoder."""
        if not self._record:
            return _pixel_side(self._space)
        if self.takes_texts or not (self._folder / "encoder").is_dir():
            return None
        encoder = self._encoder()
        shape = encoder.input_shape_ if isinstance(encoder, AbstractEncoder) else ()
        return int(shape[0]) if len(shape) == 3 and shape[2] == 3 else None

    def texts(self, texts: Sequence[str]) -> ArrayLike:
        """Return vectors ``(n, dim)`` of texts."""
        return self._encoder().encode(texts)

    def picture(self, encoded: bytes) -> ArrayLike:
        """Return the vector ``(1, dim)`` of an encoded picture.

        Raises ``InputError`` for what is no picture, and where the Space has nothing that embeds one.
        """
        side = self.picture_side
        if side is None:
            what = "texts" if self.takes_texts else "no pictures"
            raise InputError(
                "image",
                got=f"a picture, but the vectors were made from {what}",
                expected="a Space of pictures with its encoder",
                remedy="search by words or by a row, or build one: spaceform build FOLDER_OF_PICTURES -o space/",
            )
        check_picture(encoded)
        pictures = decode([encoded], size=side)
        return as_vectors(pictures) if not self._record else self._encoder().encode(pictures)

    def _encoder(self) -> Encoder:
        with self._opening:
            if self._opened is None:
                self._opened = _opened(self._folder, self._record.get("fingerprint"))
        return self._opened


def own_encoder(folder: Path, made_by: Mapping[str, Any] | None) -> Encode | None:
    """Return the text encoder in a Space's folder, loaded when it is first called; None if none ``made_by`` it.

    ``made_by`` is the record of what made the vectors; calling an encoder of another fingerprint is refused.
    """
    record = made_by or {}
    if record.get("kind") != _TEXT:
        return None
    return lambda texts: _opened(folder, record.get("fingerprint")).encode(texts)


def _opened(folder: Path, fingerprint: str | None) -> Encoder:
    encoder = open_encoder(folder)
    if encoder is None:
        raise SpaceFormatError(f"{folder}: the encoder of its rows is missing; build it again")
    if encoder.fingerprint != fingerprint:
        raise SpaceFormatError(f"{folder}: its encoder is not the one that made its vectors; build it again")
    return encoder


def _pixel_side(space: Space) -> int | None:
    """Return the side of the pictures if the vectors are their pixels, which a few rows tell."""
    side = math.isqrt(space.dim // 3)
    if space.geometry != "sphere" or not space.has_pictures or 3 * side * side != space.dim:
        return None
    rows = [row for row in range(min(len(space), 10 * _SAMPLE)) if space.picture(row) is not None][:_SAMPLE]
    shown = [picture for row in rows if (picture := space.picture(row)) is not None]
    if not shown:
        return None
    apart = np.abs(as_vectors(decode(shown, size=side)) - space.select(rows).vectors).max()
    return side if apart < _ALIKE else None
