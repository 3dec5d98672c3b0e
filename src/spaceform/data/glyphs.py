"""Glyphs: the 62 letters and digits in hundreds of typefaces, rendered to 28 x 28 grey pictures.

Class = typeface (an identity seen in many pictures, as a face is) or, through the attribute, the character.
"""

from __future__ import annotations

import io
import string
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import require
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_members
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.data.registry import fetch, package
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits

_RECIPE = 1
_SIDE = 28
_INK = 24  # longer side of the ink within the picture
_POINTS = 32
_LARGEST = 2048  # pixels a glyph may span at that size before the font is taken for damaged


def load_glyphs(root: PathLike | None = None, *, progress: Progress = no_progress) -> Dataset:
    """Return X (27593, 28, 28) uint8, white ink on black; y = typeface (464); attributes typeface and character.

    ``root``: a folder of your own .ttf and .otf files (searched deeply) instead of the packaged typefaces.
    Each character is rendered at size 32, cut to its ink, scaled so that the longer side is 24, and centred.
    Dropped: characters without ink, pictures that occur more than twice in one typeface (the box for a missing
    glyph), and small letters drawn exactly as their capital. Rendering takes some seconds once, loading 0.1 s.

    Raises ``DataUnavailableError``, ``MissingExtraError`` without Pillow, and for ``root`` an ``InputError`` when
    it holds no font or an unreadable one.
    """
    if root is not None:
        folder = Path(root)
        return _dataset(_render_all(_fonts_below(folder), progress), "the fonts' own", str(folder))
    source = package("aenigma")

    def build() -> Arrays:
        path = fetch(source, progress)
        inside = read_members(path, lambda name: name.startswith(source.reads + "/"))
        return _render_all({PurePosixPath(name).stem: content for name, content in inside}, progress)

    arrays = remembered("glyphs", {"recipe": _RECIPE, "source": source.sha256}, build)
    return _dataset(arrays, source.licence, source.title)


def _dataset(arrays: Arrays, licence: str, source: str) -> Dataset:
    classes, y = arrays["classes"].tolist(), arrays["y"]
    attributes = {"typeface": arrays["classes"][y], "character": arrays["character"]}
    return Dataset("glyphs", arrays["X"], y, classes, attributes, licence, source)


def _fonts_below(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise InputError("root", got=repr(str(folder)), expected="a folder of .ttf and .otf files")
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in {".ttf", ".otf"} and path.is_file()]
    if not paths:
        raise InputError("root", got=f"{folder}, which holds no .ttf or .otf file", expected="a folder of fonts")
    return {path.relative_to(folder).with_suffix("").as_posix(): path.read_bytes() for path in paths}


def _render_all(fonts: Mapping[str, bytes], progress: Progress) -> Arrays:
    image_font = require("PIL.ImageFont", "data")
    classes: list[str] = []
    labels: list[int] = []
    characters: list[str] = []
    pictures: list[NDArray[np.uint8]] = []
    for done, name in enumerate(sorted(fonts)):
        if done % 25 == 0:
            progress("render glyphs", done, len(fonts))
        try:
            drawn = _render(image_font.truetype(io.BytesIO(fonts[name]), _POINTS))
        except (OSError, ValueError) as error:
            raise InputError("root", got=f"the font {name}, which can't be read: {error}", expected="fonts") from error
        if drawn:
            labels += [len(classes)] * len(drawn)
            classes.append(name)
            characters += drawn.keys()
            pictures += drawn.values()
    progress("render glyphs", len(fonts), len(fonts))
    if not pictures:
        raise InputError("root", got="fonts without a letter or digit of the Latin alphabet", expected="such fonts")
    return {
        "X": np.stack(pictures),
        "y": np.array(labels, dtype=np.int64),
        "classes": np.array(classes),
        "character": np.array(characters),
    }


def _render(font: FreeTypeFont) -> dict[str, NDArray[np.uint8]]:
    drawn = {character: picture for character in CHARACTERS if (picture := _picture(font, character)) is not None}
    seen = Counter(picture.tobytes() for picture in drawn.values())
    kept = {character: picture for character, picture in drawn.items() if seen[picture.tobytes()] <= 2}
    return {character: kept[character] for character in kept if not _repeats_capital(character, kept)}


def _repeats_capital(character: str, drawn: Mapping[str, NDArray[np.uint8]]) -> bool:
    capital = drawn.get(character.upper()) if character.islower() else None
    return capital is not None and np.array_equal(capital, drawn[character])


def _picture(font: FreeTypeFont, character: str) -> NDArray[np.uint8] | None:
    from PIL import Image, ImageDraw

    right, bottom = font.getbbox(character)[2:]
    if max(right, bottom) > _LARGEST:
        raise ValueError(f"its {character!r} spans {right:.0f} x {bottom:.0f} pixels at size {_POINTS}")
    # The margin catches ink that a font draws outside of the box it declares.
    canvas = Image.new("L", (max(int(right), 1) + 2 * _POINTS, max(int(bottom), 1) + 2 * _POINTS))
    ImageDraw.Draw(canvas).text((_POINTS, _POINTS), character, fill=255, font=font)
    box = canvas.getbbox()
    if box is None:
        return None
    ink = canvas.crop(box)
    scale = _INK / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    ink = ink.resize((width, height), Image.Resampling.BILINEAR)
    centred = Image.new("L", (_SIDE, _SIDE))
    centred.paste(ink, ((_SIDE - width) // 2, (_SIDE - height) // 2))
    picture = np.asarray(centred)
    return picture if picture.any() else None
