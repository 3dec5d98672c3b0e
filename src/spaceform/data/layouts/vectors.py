"""Vectors in NumPy files: .npy and .npz, never pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_matrix
from spaceform.data.layouts.source import Source, existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike

LABEL_NAMES = ("label", "labels", "y", "class", "target")
"""Names under which an array or a column is taken for the class when none is given."""

_NO_PICKLE = "arrays of numbers or text; pickled Python objects are never read"


def read_vectors(path: PathLike, *, array: str | None = None, label: str | None = None) -> Source:
    """Read (n, d) vectors from a .npy or .npz file.

    In a .npz file ``array`` names the vectors (needed only when several of its arrays have two axes), and its arrays
    of n single values become attributes. ``label`` names the one with the classes (default: one called label, labels,
    y, class or target); -1 among whole-number classes means unlabelled and becomes None.
    float16 becomes float32, whole numbers become float64. O(n d).

    Raises ``InputError`` for pickled objects (refused unread), damaged files, NaN, other shapes and unknown names.
    """
    place = existing(path)
    title, attributes = shown(place), {}
    if place.suffix.lower() == ".npz":
        arrays = _read_npz(place)
        chosen = _choose(arrays, array, place)
        matrix = arrays.pop(chosen)
        title = f"{title}[{chosen!r}]"
        attributes = {name: values for name, values in arrays.items() if values.shape == matrix.shape[:1]}
    elif array is not None:
        raise InputError("array", got=repr(array), expected=f"None: {title} holds one array without a name")
    else:
        matrix = _read_npy(place)
    if label is not None and label not in attributes:
        raise InputError("label", got=repr(label), expected="one of " + (", ".join(map(repr, attributes)) or "none"))
    if label is None:
        label = next((name for name in LABEL_NAMES if name in attributes), None)
    columns: dict[str, Any] = dict(attributes)
    if label is not None:
        columns[label] = _unlabelled_as_none(columns[label])
    vectors = check_matrix(matrix, title)
    return Source(kind="vectors", path=str(place), vectors=vectors, attributes=columns, label=label)


def _read_npy(place: Path) -> NDArray:
    try:
        with place.open("rb") as handle:
            genuine = handle.read(6) == b"\x93NUMPY"
        if genuine:
            # Mapped first: a header that promises more than the file holds is refused before memory is asked for.
            mapped = np.load(place, mmap_mode="r", allow_pickle=False)
            return np.array(mapped, dtype=mapped.dtype.newbyteorder("="))
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError) as error:
        raise _unreadable(place, "", error) from error
    raise _unreadable(place, "", ValueError("it does not begin as a .npy file"))


def _read_npz(place: Path) -> dict[str, NDArray]:
    name = ""
    if not zipfile.is_zipfile(place):
        raise _unreadable(place, name, ValueError("it is no .npz archive"))
    try:
        arrays = {}
        with np.load(place, allow_pickle=False) as stored:
            for name in stored.files:
                arrays[name] = stored[name]
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(place, name, error) from error
    return arrays


def _unreadable(place: Path, name: str, error: Exception) -> InputError:
    title = shown(place) + (f"[{name!r}]" if name else "")
    text = str(error) or type(error).__name__
    if "pickle" in text:
        return InputError(title, got="pickled Python objects", expected=_NO_PICKLE, remedy="save plain arrays instead")
    return InputError(
        title, got=f"a damaged or foreign file ({text})", expected="a file that np.save or np.savez wrote"
    )


def _choose(arrays: dict[str, NDArray], array: str | None, place: Path) -> str:
    listed = ", ".join(f"{name!r} {values.shape}" for name, values in arrays.items()) or "no array"
    if array is not None:
        if array not in arrays:
            raise InputError("array", got=repr(array), expected=f"one that {shown(place)} holds: {listed}")
        return array
    tables = [name for name, values in arrays.items() if values.ndim == 2 and values.dtype.kind in "fiu"]
    if len(tables) != 1:
        raise InputError(
            shown(place),
            got=f"{len(tables)} arrays of shape (n, d) among {listed}",
            expected="exactly one",
            remedy="name it with array=",
        )
    return tables[0]


def _unlabelled_as_none(values: NDArray) -> NDArray | list[int | None]:
    if values.dtype.kind != "i" or not (values == -1).any():
        return values
    return [None if value == -1 else int(value) for value in values]
