"""Sheets of pictures: every cell shows its own picture."""

import base64
import io

import numpy as np
from PIL import Image

from spaceform.report.sprites import SIDE, make_sheet


def encoded(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_cell_holds_its_picture():
    colours = {7: (255, 0, 0), 2: (0, 255, 0), 40: (0, 0, 255), 5: (255, 255, 0), 6: (0, 0, 0)}
    sheet = make_sheet({row: encoded(colour) for row, colour in colours.items()})
    whole = Image.open(io.BytesIO(base64.b64decode(sheet.uri.split(",")[1]))).convert("RGB")
    pixels = np.asarray(whole).astype(int)
    for row, colour in colours.items():
        x, y = sheet.cells[row]
        middle = pixels[y + SIDE // 2, x + SIDE // 2]
        assert np.abs(middle - colour).max() < 20
    assert sheet.columns == 3
