"""Folders of pictures: one sub-folder per class, or all in one folder without classes."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer, require
from spaceform.data.layouts.source import Source, check_on_error, existing, refuse, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})


def read_image_folder(
    path: PathLike,
    *,
    size: int = 48,
    alpha: bool = False,
    on_error: str = "raise",
    progress: Progress = no_progress,
) -> Source:
    """Read every picture below ``path`` as ``size`` x ``size`` pixels, proportions kept, centred.

    ``<path>/<class>/**/<picture>`` gives the label column "class"; pictures straight in ``path`` have none (None
    in that column, or no label at all in a flat folder). ``file`` is each picture's path within the folder, and its
    id. Colours are laid on white, (n, size, size, 3) uint8; ``alpha=True`` keeps transparency, (n, size, size, 4).
    Camera orientation (EXIF) is applied; of moving pictures the first frame is taken; names that start with a dot
    and files with other endings are passed over.

    ``on_error``: "raise" refuses the folder and names the pictures that can't be read (damaged, cut off, or with more
    pixels than Pillow's ``MAX_IMAGE_PIXELS``, about 89 million); "skip" lists them in ``skipped``.
    Raises ``InputError`` for these, for a folder without pictures and for one that may not be read.
    O(pixels) time, n * size * size * 3 bytes of memory.
    """
    size = check_integer(size, "size", low=1, high=4096)
    check_on_error(on_error)
    root = existing(path)
    if not root.is_dir():
        raise InputError("path", got=f"{shown(root)}, a file", expected="a folder of pictures")
    found = find_pictures(root)
    pictures = np.empty((len(found), size, size, 4 if alpha else 3), dtype=np.uint8)
    kept: list[int] = []
    bad: list[tuple[str, str]] = []
    for done, (name, file, _) in enumerate(found):
        if done % 50 == 0:
            progress("read pictures", done, len(found))
        try:
            pictures[len(kept)] = read_picture(file, size=size, alpha=alpha)
        except InputError as error:
            bad.append((name, str(error.got)))
        else:
            kept.append(done)
    progress("read pictures", len(found), len(found))
    if bad and (on_error == "raise" or not kept):
        raise refuse(root, bad, total=len(found), what="pictures")
    names = [found[index][0] for index in kept]
    classes = [found[index][2] for index in kept]
    attributes: dict[str, list[str] | list[str | None]] = {"file": names}
    if any(name is not None for name in classes):
        attributes["class"] = classes
    return Source(
        kind="images",
        path=str(root),
        images=pictures[: len(kept)],
        attributes=attributes,
        label="class" if "class" in attributes else None,
        ids=names,
        skipped=bad,
    )


def read_picture(file: PathLike, *, size: int, alpha: bool = False) -> NDArray[np.uint8]:
    """Read one picture as (size, size, 3) uint8 on white, or (size, size, 4) with its transparency.

    Raises ``InputError`` (its ``got`` is the reason) when it can't be read or has too many pixels.
    """
    image = require("PIL.Image", "data")
    from PIL import ImageOps, UnidentifiedImageError

    try:
        # A bomb is refused by the header; Pillow's other warnings are about metadata that nothing here uses.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(file) as opened:
                opened.draft("RGB", (2 * size, 2 * size))  # a JPEG decodes straight to a fraction of its size
                picture = ImageOps.exif_transpose(opened)
                if picture.mode.startswith("I"):  # 16 bits per pixel: Pillow would clip, not scale
                    picture = image.fromarray((np.asarray(picture, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8))
                picture = picture.convert("RGBA")
    except (image.DecompressionBombWarning, image.DecompressionBombError) as error:
        raise InputError(shown(file), got="too many pixels", expected=f"at most {image.MAX_IMAGE_PIXELS:,}") from error
    except UnidentifiedImageError as error:
        raise InputError(shown(file), got="no picture that Pillow knows", expected="a picture") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, ArithmeticError, LookupError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(shown(file), got=reason, expected="a picture") from error
    return _fitted(picture, size, alpha)


def _fitted(picture: Any, size: int, alpha: bool) -> NDArray[np.uint8]:
    from PIL import Image

    scale = size / max(picture.size)
    shape = tuple(max(1, round(side * scale)) for side in picture.size)
    # Premultiplied, so that the unseen colour of transparent pixels bleeds into no edge.
    scaled = picture.convert("RGBa").resize(shape, Image.Resampling.BICUBIC).convert("RGBA")
    ground = Image.new("RGBA", (size, size), (0, 0, 0, 0) if alpha else (255, 255, 255, 255))
    ground.alpha_composite(scaled, ((size - shape[0]) // 2, (size - shape[1]) // 2))
    return np.asarray(ground)[..., : 4 if alpha else 3]


def find_pictures(root: Path) -> list[tuple[str, Path, str | None]]:
    """Return (name within root, path, class) of every picture, ordered by class and name; ``InputError`` for none."""
    try:
        children = sorted(root.iterdir(), key=lambda child: os.fsencode(child.name))
    except OSError as error:
        raise InputError("path", got=f"{shown(root)} ({error.strerror})", expected="a folder you may read") from error
    others: Counter[str] = Counter()
    found = []
    for child in children:
        if child.name.startswith("."):
            continue
        folder = child.is_dir()
        for file in _walk(child) if folder else [child]:
            if file.suffix.lower() in SUFFIXES:
                found.append((shown(file.relative_to(root).as_posix()), file, shown(child.name) if folder else None))
            else:
                others[file.suffix.lower() or "no ending"] += 1
    if not found:
        held = ", ".join(f"{count:,} x {suffix}" for suffix, count in others.most_common(5)) or "nothing"
        raise InputError(
            "path", got=f"{shown(root)}, which holds {held}", expected="pictures: " + ", ".join(sorted(SUFFIXES))
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the visible files below a folder in a stable order; links to folders are not followed below it."""

    def refuse_folder(error: OSError) -> None:
        raise InputError(
            "path", got=f"{shown(str(error.filename))} ({error.strerror})", expected="folders you may read"
        )

    for place, folders, files in os.walk(folder, onerror=refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
