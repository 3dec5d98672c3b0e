"""Small pictures as arrays: laid on white, scaled to unit range, encoded for a Space."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import require
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray

MAX_PIXELS = 16_000_000
"""More pixels than this in one picture are refused before they are read: they cost memory, not insight."""

READABLE = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats that are taken from strangers."""


def on_white(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures ``(n, h, w, 3)`` uint8: RGBA is laid on white, grey is repeated, RGB stays as it is.

    Raises ``InputError`` for other shapes or dtypes. O(pixels).
    """
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4):
        got = f"shape {pictures.shape}, dtype {pictures.dtype}"
        raise InputError("pictures", got=got, expected="uint8 of shape (n, h, w) or (n, h, w, 1, 3 or 4)")
    if pictures.ndim == 3 or pictures.shape[-1] == 1:
        return np.repeat(pictures.reshape(*pictures.shape[:3], 1), 3, axis=-1)
    if pictures.shape[-1] == 3:
        return pictures
    if pictures.shape[-1] != 4:
        raise InputError("pictures", got=f"{pictures.shape[-1]} channels", expected="1, 3 or 4 channels")
    laid = np.empty((*pictures.shape[:3], 3), dtype=np.uint8)
    for row, picture in enumerate(pictures):  # one at a time: 16-bit copies of all pictures would not fit
        alpha = picture[..., 3:].astype(np.uint16)
        laid[row] = (picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return laid


def as_vectors(pictures: NDArray[np.uint8]) -> FloatArray:
    """Return centred pixels as unit vectors ``(n, h w c)``, the floor that encoders are compared with.

    A picture of one colour everywhere keeps a tiny fixed direction. O(pixels).
    """
    flat = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    flat -= flat.mean(axis=1, keepdims=True)
    flat[~(np.abs(flat).max(axis=1) > 0)] = 1.0
    return l2_normalize(flat)


def encode_png(pictures: NDArray[np.uint8]) -> list[bytes]:
    """Return each picture ``(h, w[, 3 or 4])`` as PNG bytes. O(pixels)."""
    image = require("PIL.Image", "data")
    encoded = []
    for picture in pictures:
        buffer = io.BytesIO()
        image.fromarray(picture.squeeze()).save(buffer, "PNG", compress_level=1)
        encoded.append(buffer.getvalue())
    return encoded


def decode(pictures: list[bytes], *, size: int) -> NDArray[np.uint8]:
    """Return encoded pictures as ``(n, size, size, 3)`` uint8 on white, fitted in with their proportions kept.

    Raises ``InputError`` that names the first picture which can't be read. O(pixels).
    """
    image = require("PIL.Image", "data")
    decoded = np.full((len(pictures), size, size, 3), 255, dtype=np.uint8)
    for row, encoded in enumerate(pictures):
        try:
            picture = image.open(io.BytesIO(encoded)).convert("RGBA")
        except (OSError, ValueError, TypeError) as error:
            raise InputError("pictures", got=f"row {row}: {error}", expected="PNG, JPEG or WebP") from error
        if picture.size != (size, size):
            picture.thumbnail((size, size), image.Resampling.LANCZOS)
        ground = image.new("RGBA", (size, size), (255, 255, 255, 255))
        ground.alpha_composite(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
        decoded[row] = np.asarray(ground)[..., :3]
    return decoded


def check_picture(encoded: bytes, *, max_pixels: int = MAX_PIXELS) -> None:
    """Look at the head of an encoded picture from outside, without reading its pixels.

    Raises ``InputError`` (on ``image``) for other formats than `READABLE`, and for more than ``max_pixels``.
    """
    image = require("PIL.Image", "data")
    try:
        with image.open(io.BytesIO(encoded), formats=READABLE) as picture:
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise InputError("image", got="no picture that can be read", expected="PNG, JPEG, WebP, GIF or BMP") from error
    if width * height > max_pixels:
        raise InputError("image", got=f"{width} x {height} pixels", expected=f"at most {max_pixels:,} in all")
