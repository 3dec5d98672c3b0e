"""A small Space of coloured pictures, whose vectors are their pixels, with hostile attributes."""

import datetime as dt
import io

import numpy as np
from PIL import Image

from spaceform.data.pictures import as_vectors, encode_png
from spaceform.space import Space

HOSTILE = "<img src=x onerror=\"document.title='stolen'\">'; DROP"
SIDE = 12


def paint(red, green):
    shown = np.zeros((SIDE, SIDE, 3), np.uint8)
    shown[: SIDE // 2, :, 0], shown[SIDE // 2 :, :, 1], shown[:, : SIDE // 2, 2] = red, green, 40
    return shown


def pixels():
    return np.stack([paint(5 * i + 20, 255 - 5 * i) for i in range(40)])


def make_space():
    shown = pixels()
    kinds = ["cat", "dog", "owl", HOSTILE]
    return Space.create(
        as_vectors(shown),
        attributes={
            "name": [f"{kinds[i % 4]} number {i}" for i in range(40)],
            "kind": [kinds[i % 4] for i in range(40)],
            "tags": [["a", "b"][: i % 3] or None for i in range(40)],
            "year": [2000 + i for i in range(40)],
            "weight": [float("nan") if i == 3 else i / 7 for i in range(40)],
            "day": [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(40)],
            "odd name": [i % 2 == 0 for i in range(40)],
        },
        ids=[f"r/{i}" for i in range(40)],
        geometry="sphere",
        pictures=encode_png(shown),
    )


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
