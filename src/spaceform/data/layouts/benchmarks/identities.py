"""Folders of identities: one sub-folder per person, typeface or species, as a data set."""

from __future__ import annotations

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.images import read_image_folder
from spaceform.types import PathLike, Progress, no_progress


def load_image_folder(
    root: PathLike, *, size: int = 48, alpha: bool = False, on_error: str = "raise", progress: Progress = no_progress
) -> Dataset:
    """Read ``<root>/<class>/**`` (CASIA-WebFace, VGGFace2, ImageNet, your own): X (n, size, size, 3) uint8, y = folder.

    The options are those of ``layouts.read_image_folder``; pictures straight in ``root`` have y = -1.
    """
    found = read_image_folder(root, size=size, alpha=alpha, on_error=on_error, progress=progress)
    names = found.attributes.get("class", [None] * len(found))
    classes = sorted({name for name in names if name is not None})
    number = {name: index for index, name in enumerate(classes)}
    y = np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)
    attributes = {"file": found.attributes["file"]}
    assert found.images is not None  # noqa: S101  # what a folder of pictures gives
    return Dataset("image-folder", found.images, y, classes, attributes, "the owner's", str(root))
