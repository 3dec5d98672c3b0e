"""Validation at the door. Inside the house arrays are trusted; every public function lets its input through here."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.errors import InputError, MissingExtraError
from spaceform.types import FloatArray, IntArray


def check_matrix(
    X: ArrayLike,
    name: str = "X",
    *,
    min_rows: int = 1,
    width: int | None = None,
    dtype: type | None = None,
) -> FloatArray:
    """Return ``X`` as a finite 2-D float array (float32 stays float32, all else becomes float64 unless ``dtype``).

    Raises ``InputError`` when ``X`` is not two-dimensional, has fewer than ``min_rows`` rows or no columns,
    another width than ``width``, is not numeric, or holds NaN or an infinity (the first bad row is named).
    O(n d) time, no copy when nothing has to be converted.
    """
    if hasattr(X, "toarray"):
        raise InputError(name, got="a sparse matrix", expected="a dense array", remedy="pass X.toarray()")
    try:
        array = np.asarray(X)
        if array.dtype.kind == "O" and X is not None:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(name, got=_describe(X), expected="a numeric array of shape (n, d)") from error
    if array.dtype.kind == "c":
        raise InputError(name, got="complex numbers", expected="real numbers: Complex data not supported")
    if array.dtype.kind not in "fiub":
        raise InputError(name, got=_describe(X), expected="a numeric array of shape (n, d)")
    if array.ndim != 2:
        raise InputError(
            name,
            got=f"an array of shape {array.shape}",
            expected="shape (n, d)",
            remedy="Reshape your data to one row per item",
        )
    if array.shape[0] < min_rows:
        found = f"{array.shape[0]} sample(s) (shape {array.shape})"
        raise InputError(name, got=found, expected=f"at least {min_rows} row(s) and 1 column")
    if array.shape[1] == 0:
        found = f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required"
        raise InputError(name, got=found, expected="at least 1 column")
    if width is not None and array.shape[1] != width:
        raise InputError(name, got=f"{array.shape[1]} columns", expected=f"{width} columns")
    target = dtype or (np.float32 if array.dtype in (np.float32, np.float16) else np.float64)
    array = np.asarray(array, dtype=target)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = array.sum(axis=1, dtype=np.float64)  # one pass: a sum is finite only if its terms are
    if not np.isfinite(sums).all() and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(
            name,
            got=f"NaN or an infinity (first in row {row})",
            expected="finite values",
            remedy="drop or impute such rows",
        )
    return array


def check_rows(estimator: Any, X: Any, *, fitting: bool, min_rows: int = 1) -> FloatArray:
    """Return the rows given to a scikit-learn estimator as :func:`check_matrix` does, held to what it was fitted on.

    While ``fitting`` the width and the column names (of a data frame) are recorded in ``n_features_in_`` and
    ``feature_names_in_``; later calls compare them. Raises scikit-learn's ``NotFittedError`` before the fit, its
    ``ValueError`` for another width or other names, and ``InputError`` as :func:`check_matrix`.
    """
    from sklearn.utils.validation import check_is_fitted, validate_data

    if not fitting:
        check_is_fitted(estimator)
    rows = check_matrix(X, min_rows=min_rows)
    validate_data(estimator, X if hasattr(X, "columns") else rows, reset=fitting, skip_check_array=True)
    return rows


def check_labels(y: ArrayLike, n: int, name: str = "y") -> np.ndarray:
    """Return ``y`` as a 1-D array of length ``n`` (any dtype); other shapes and NaN labels raise ``InputError``."""
    array = np.asarray(y)
    if array.ndim != 1 or array.shape[0] != n:
        raise InputError(name, got=f"shape {array.shape}", expected=f"shape ({n},), one label per row")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(name, got="NaN or an infinity", expected="labels", remedy="mark unlabelled rows with -1")
    return array


def label_codes(labels: np.ndarray) -> tuple[np.ndarray, IntArray]:
    """Return the classes, sorted, and the rows' codes ``(n,)``; integer -1 stays -1."""
    hidden = labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=bool)
    classes = np.unique(labels[~hidden])
    codes = np.full(len(labels), -1, dtype=np.int64)
    codes[~hidden] = np.searchsorted(classes, labels[~hidden])
    return classes, codes


def check_partial_labels(y: ArrayLike, n: int, name: str = "y") -> IntArray:
    """Return ``y`` as int64 labels of length ``n`` in which -1 marks unlabelled rows; other negatives are refused."""
    array = check_labels(y, n, name)
    if array.dtype.kind not in "iub" and not (array.dtype.kind == "f" and np.equal(array, np.round(array)).all()):
        raise InputError(name, got=f"dtype {array.dtype}", expected="integer labels with -1 for unlabelled rows")
    result = array.astype(np.int64)
    if result.size and result.min() < -1:
        raise InputError(name, got=f"label {result.min()}", expected="labels >= 0, or -1 for unlabelled rows")
    return result


def check_integer(value: Any, name: str, *, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` as an int within ``[low, high]``; booleans and floats are refused."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InputError(name, got=repr(value), expected=f"an integer{_interval(low, high)}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(name, got=int(value), expected=f"an integer{_interval(low, high)}")
    return int(value)


def check_real(
    value: Any, name: str, *, low: float | None = None, high: float | None = None, open_ends: bool = False
) -> float:
    """Return ``value`` as a finite float within ``[low, high]`` (``(low, high)`` with ``open_ends``)."""
    is_number = not isinstance(value, bool | np.bool_) and isinstance(value, int | float | np.integer | np.floating)
    number = float(value) if is_number else math.nan
    too_low = low is not None and (number <= low if open_ends else number < low)
    too_high = high is not None and (number >= high if open_ends else number > high)
    if not math.isfinite(number) or too_low or too_high:
        expected = f"a number{_interval(low, high)}" + (" (ends excluded)" if open_ends else "")
        raise InputError(name, got=number if is_number else repr(value), expected=expected)
    return number


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``; else raise an ``InputError`` that lists them."""
    if value not in choices:
        raise InputError(name, got=repr(value), expected="one of " + ", ".join(map(repr, choices)))
    return str(value)


def require(module: str, extra: str) -> ModuleType:
    """Import and return an optional dependency, or raise ``MissingExtraError`` naming the pip line."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module, extra) from error


def _interval(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" >= {low}"
    return f" <= {high}" if high is not None else ""


def _describe(X: object) -> str:
    return f"{type(X).__name__} of dtype {np.asarray(X, dtype=object).dtype}" if X is not None else "None"
