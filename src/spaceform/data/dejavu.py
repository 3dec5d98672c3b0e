"""Letters of five scripts in the twelve DejaVu typefaces that come with matplotlib: many classes, few pictures of each.

Class = letter, so that whole scripts can be kept for classes that training never saw.
"""

from __future__ import annotations

import hashlib
import importlib.util
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import require
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.errors import DataUnavailableError
from spaceform.rng import derive_seed
from spaceform.types import Progress, no_progress

if TYPE_CHECKING:
    from PIL.Image import Image

_RECIPE = 1
_SHA256 = "16babe5c0753da54aeeea137816d6f96e5c7c2cb606e2973064f5fe7922d4261"
_FACES = tuple(
    f"DejaVu{family}{style}"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slanted}", f"-Bold{slanted}")
)
_UPRIGHT = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")
_LETTERS = {"Lu", "Ll", "Lo", "Lt"}  # Unicode categories: capital, small, other and title-case letters
_ALIKE = 2  # upright faces in which two letters have the same picture of 16 x 16 if they count as one
_PICTURES = 20
_CANVAS, _POINTS, _SIDE = 112, 64, 28
_TURN, _SHEAR, _SHIFT, _SCALE = 15.0, 0.15, 6.0, (0.85, 1.1)  # degrees, ratio, pixels of the canvas, ratio


def load_dejavu(*, progress: Progress = no_progress) -> Dataset:
    """Return X (10860, 28, 28) uint8, white ink on black; y = letter (543), 20 pictures of each, sorted by letter.

    Attributes ``character``, ``script`` (Latin 289, Cyrillic 89, Armenian 75, Greek 47, Georgian 43 letters) and
    ``face``. Letters: the code points of all twelve faces that Unicode calls letters and doesn't decompose, less those
    that look like an earlier one (the same 16 x 16 picture in two of the three upright faces, as Greek and Latin A).
    Each face draws each letter once and eight faces once more, every time turned by up to 15 degrees, scaled by 0.85
    to 1.1, sheared by up to 0.15 and shifted by up to 1.5 pixels. Drawing takes some seconds once.

    Raises ``MissingExtraError`` without matplotlib or Pillow, ``DataUnavailableError`` when matplotlib has come to hold
    other fonts.
    """
    fonts = _fonts()

    def build() -> Arrays:
        return _render_all(fonts, progress)

    arrays = remembered("dejavu", {"recipe": _RECIPE, "source": _SHA256}, build)
    y = arrays["y"]
    attributes = {name: arrays[name][y] for name in ("character", "script")} | {"face": arrays["face"]}
    licence = "Bitstream Vera licence (free to use, change and pass on); DejaVu changes are public domain"
    return Dataset("dejavu", arrays["X"], y, arrays["names"].tolist(), attributes, licence, "matplotlib (DejaVu fonts)")


def _fonts() -> dict[str, Path]:
    """Return the font file of each face, verified."""
    require("matplotlib.ft2font", "report")
    require("PIL.ImageFont", "data")
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None  # noqa: S101  # it was just imported
    assert spec.origin is not None  # noqa: S101
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    digest = hashlib.sha256()
    try:
        for face in _FACES:
            digest.update((folder / f"{face}.ttf").read_bytes())
    except OSError as error:
        raise DataUnavailableError(f"matplotlib does not hold the font {error.filename}: {error.strerror}") from error
    if digest.hexdigest() != _SHA256:
        raise DataUnavailableError(
            f"the DejaVu fonts in {folder} are not version 2.37: their SHA-256 is {digest.hexdigest()}, "
            f"expected {_SHA256}; install another matplotlib (3.8 to 3.11 hold them)"
        )
    return {face: folder / f"{face}.ttf" for face in _FACES}


def _render_all(fonts: Mapping[str, Path], progress: Progress) -> Arrays:
    from PIL import ImageFont

    loaded = {face: ImageFont.truetype(str(path), _POINTS) for face, path in fonts.items()}
    drawn = {code: {face: _draw(font, chr(code)) for face, font in loaded.items()} for code in _shared_letters(fonts)}
    kept = _distinct(drawn)
    pictures, faces = [], []
    for done, code in enumerate(kept):
        if done % 50 == 0:
            progress("draw letters", done, len(kept))
        rng = np.random.default_rng(derive_seed(0, "dejavu", code))
        chosen = [*_FACES, *rng.choice(_FACES, _PICTURES - len(_FACES), replace=False).tolist()]
        pictures += [_moved(drawn[code][face], rng) for face in chosen]
        faces += chosen
    progress("draw letters", len(kept), len(kept))
    names = [unicodedata.name(chr(code)) for code in kept]
    return {
        "X": np.stack(pictures),
        "y": np.repeat(np.arange(len(kept), dtype=np.int64), _PICTURES),
        "names": np.array(names),
        "character": np.array([chr(code) for code in kept]),
        "script": np.array([name.partition(" ")[0].capitalize() for name in names]),
        "face": np.array(faces),
    }


def _shared_letters(fonts: Mapping[str, Path]) -> list[int]:
    """Return the code points, in order, of the letters that every font has and Unicode does not decompose."""
    from matplotlib.ft2font import FT2Font

    maps = [set(FT2Font(str(path)).get_charmap()) for path in fonts.values()]
    shared = sorted(set.intersection(*maps))
    return [
        code
        for code in shared
        if unicodedata.category(chr(code)) in _LETTERS and not unicodedata.decomposition(chr(code))
    ]


def _distinct(drawn: Mapping[int, Mapping[str, Image]]) -> list[int]:
    """Return the code points that look like none kept before; O(n^2) comparisons of bytes."""
    from PIL.Image import Resampling

    box = Resampling.BOX
    looks = {code: [faces[face].resize((16, 16), box).tobytes() for face in _UPRIGHT] for code, faces in drawn.items()}
    kept: list[int] = []
    for code, look in looks.items():
        if all(sum(a == b for a, b in zip(look, looks[other], strict=True)) < _ALIKE for other in kept):
            kept.append(code)
    return kept


def _draw(font: object, character: str) -> Image:
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (_CANVAS, _CANVAS))
    middle = _CANVAS / 2
    ImageDraw.Draw(canvas).text((middle, middle), character, fill=255, font=font, anchor="mm")  # type: ignore[arg-type]
    return canvas


def _moved(canvas: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the drawing turned, scaled, sheared and shifted by draws of its own, at a quarter of the size."""
    from PIL import Image

    angle = np.deg2rad(rng.uniform(-_TURN, _TURN))
    scale, shear = rng.uniform(*_SCALE), rng.uniform(-_SHEAR, _SHEAR)
    cosine, sine = np.cos(angle), np.sin(angle)
    forward = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[1.0, shear], [0.0, 1.0]])
    back = np.linalg.inv(forward)  # Pillow asks where each pixel comes from
    middle = np.full(2, _CANVAS / 2)
    offset = middle - back @ (middle + rng.uniform(-_SHIFT, _SHIFT, 2))
    numbers = (*back[0].tolist(), float(offset[0]), *back[1].tolist(), float(offset[1]))
    moved = canvas.transform(canvas.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)
    return np.asarray(moved.reduce(_CANVAS // _SIDE), dtype=np.uint8)
