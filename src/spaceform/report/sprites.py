"""Many small pictures as one sheet, embedded once in a page and shown by their position on it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

from spaceform.checks import require

SIDE = 48
"""Side of one picture on the sheet, in pixels."""

WIDEST = 16_000
"""WebP ends at 16,383 pixels a side."""


@dataclass(frozen=True)
class Sheet:
    """A sheet of pictures: ``uri`` is its data URI, ``cells[row]`` the ``(x, y)`` of a row's picture in pixels."""

    uri: str
    cells: Mapping[int, tuple[int, int]]
    side: int = SIDE

    @property
    def columns(self) -> int:
        """Pictures in one line of the sheet."""
        return max((x for x, _ in self.cells.values()), default=0) // self.side + 1


def make_sheet(pictures: Mapping[int, bytes], *, side: int = SIDE, quality: int = 78) -> Sheet | None:
    """Return the sheet of ``pictures`` (row -> encoded picture), or None when there is none that can be read.

    Pictures are fitted into ``side`` x ``side`` pixels with their proportions kept; unreadable ones are left out.
    O(pixels); about 1 KB a picture.
    """
    if not pictures:
        return None
    Image = require("PIL.Image", "data")
    columns = math.ceil(math.sqrt(len(pictures)))
    if columns * side > WIDEST:
        columns = WIDEST // side
        pictures = dict(list(pictures.items())[: columns * columns])
    sheet = Image.new("RGBA", (columns * side, math.ceil(len(pictures) / columns) * side), (255, 255, 255, 0))
    cells: dict[int, tuple[int, int]] = {}
    for row, encoded in pictures.items():
        try:
            picture = Image.open(io.BytesIO(encoded)).convert("RGBA")
        except (OSError, ValueError):
            continue
        if picture.size != (side, side):
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        x, y = len(cells) % columns * side, len(cells) // columns * side
        sheet.paste(picture, (x + (side - picture.width) // 2, y + (side - picture.height) // 2))
        cells[row] = (x, y)
    if not cells:
        return None
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=quality, method=2)
    return Sheet("data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode(), cells, side)
