"""Relative coordinates: a row is described by its closeness to anchor rows of the same space."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar, final

import numpy as np
from scipy.spatial.distance import cdist
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.geometry.arrays import direction, namespace, safe_sqrt, tracked
from spaceform.geometry.flat import squared_distances
from spaceform.ops.pairs import row_blocks
from spaceform.types import IntArray

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")

CLOSENESS = ("cosine", "angular", "euclidean", "l1", "inner", "basis")
REDUCTIONS = ("concat", "sum", "mean", "max")

BLOCK_BYTES = 4 * 2**20
"""Cosines computed at once."""

ARC_LIMIT = 1 - 1e-7
"""Where a cosine is cut in training: the slope of the arc cosine is infinite at 1."""


def relative_projection(x: Rows, anchors: Rows, *, closeness: str = "cosine") -> Rows:
    """Return the closeness ``(n, m)`` of rows ``x (n, d)`` to ``anchors (m, d)``, arrays or tensors; larger is nearer.

    - ``"cosine"``, in [-1, 1] (the paper's): the same after any rotation, reflection and scaling of the space
    - ``"angular"``: ``1 - angle / pi``, in [0, 1]: as the cosine
    - ``"euclidean"``, ``"l1"``: minus the distance: the same after rotations (l1: swapped axes) and shifts
    - ``"inner"``: ``x . a / sqrt(d)``, the released code's: the same after rotations
    - ``"basis"``: coefficients ``c`` of least norm with ``c A = x``: the same after any invertible linear map, as long
      as the anchors span the space (else the part of ``x`` beside them is lost)

    A zero row has no direction: its cosines are 0. Half precision is computed in float32. Raises ``InputError`` for
    shapes that disagree and other names. O(n m d) time, O(n m) memory (cosines without a gradient: that of the result
    and a block); "basis" adds O(m d^2) for a pseudo-inverse.
    """
    check_choice(closeness, "closeness", CLOSENESS)
    if x.ndim != 2 or anchors.ndim != 2 or x.shape[1] != anchors.shape[1] or len(anchors) == 0:
        got = f"shape {tuple(anchors.shape)}"
        raise InputError("anchors", got=got, expected=f"(m, d) for rows of shape {tuple(x.shape)}")
    xp = namespace(x)
    x, anchors = _widened(x), _widened(anchors)
    if closeness in {"cosine", "angular"}:
        cosines = _cosines(x, anchors)
        return cosines if closeness == "cosine" else 1 - _arc(cosines) / np.pi
    if closeness == "euclidean":
        return -safe_sqrt(squared_distances(x, anchors))
    if closeness == "l1":
        return -(cdist(x, anchors, "cityblock").astype(x.dtype) if xp is np else xp.cdist(x, anchors, p=1))
    if closeness == "inner":
        return x @ anchors.T / x.shape[1] ** 0.5
    return x @ xp.linalg.pinv(anchors)


@final
class RelativeLayer(nn.Module):
    """Turns embeddings and embedded anchors into relative coordinates inside a network: ``layer(e_x, e_anchors)``.

    Parameters: ``closeness`` of :func:`relative_projection`; ``bin_width`` rounds coordinates to multiples of it with
    the gradient of the unrounded ones (None: no rounding); ``subspaces`` splits the embedding into that many groups of
    columns with a projection each, and ``reduce`` joins them: "concat" (m times as many coordinates), "sum", "mean" or
    "max". The quantised and the subspace form are those of the authors' code.

    ``forward`` takes ``(B, d)`` and ``(m, d)``, returns ``(B, m)`` (``(B, subspaces * m)`` with "concat"). Whether
    the anchors learn is the caller's choice: the paper embeds them without gradient, afresh at every step.

    Raises ``InputError`` for other names, ``bin_width <= 0`` and a width that the subspaces do not divide. O(B m d).

    >>> import torch
    >>> RelativeLayer()(torch.tensor([[3.0, 4.0]]), torch.eye(2))
    tensor([[0.6000, 0.8000]])
    """

    def __init__(
        self,
        *,
        closeness: str = "cosine",
        bin_width: float | None = None,
        subspaces: int = 1,
        reduce: str = "concat",
    ) -> None:
        super().__init__()
        self.closeness = check_choice(closeness, "closeness", CLOSENESS)
        self.bin_width = None if bin_width is None else check_real(bin_width, "bin_width", low=0, open_ends=True)
        self.subspaces = check_integer(subspaces, "subspaces", low=1)
        self.reduce = check_choice(reduce, "reduce", REDUCTIONS)

    @property
    def copies(self) -> int:
        """Coordinates per anchor."""
        return self.subspaces if self.reduce == "concat" else 1

    def extra_repr(self) -> str:
        """Return the settings, which two layers must share for their coordinates to mean the same."""
        return f"{self.closeness}, bin_width={self.bin_width}, subspaces={self.subspaces}, reduce={self.reduce}"

    def forward(self, x: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Return relative coordinates of ``x (B, d)`` with respect to ``anchors (m, d)``."""
        if x.shape[-1] % self.subspaces:
            got = f"{self.subspaces} for width {x.shape[-1]}"
            raise InputError("subspaces", got=got, expected="a divisor of the width")
        xp = namespace(x)
        width = x.shape[-1] // self.subspaces
        parts = [
            relative_projection(rows, columns, closeness=self.closeness)
            for rows, columns in zip(x.split(width, 1), anchors.split(width, 1), strict=True)
        ]
        joined: torch.Tensor
        if self.reduce == "concat":
            joined = xp.cat(parts, dim=1)
        else:
            stacked = xp.stack(parts)
            joined = stacked.amax(0) if self.reduce == "max" else getattr(stacked, self.reduce)(0)
        if self.bin_width is None:
            return joined
        return joined + ((joined / self.bin_width).round() * self.bin_width - joined).detach()


def meaning(closeness: str, anchor_ids: IntArray) -> str:
    """Return as text what relative coordinates mean: equal for the same anchors in the same order. O(m)."""
    digest = hashlib.sha256(np.asarray(anchor_ids, dtype="<i8").tobytes()).hexdigest()[:16]
    return f"relative: {closeness}, {len(anchor_ids)} anchors {digest}"


def _cosines(x: Rows, anchors: Rows) -> Rows:
    xp = namespace(x)
    toward = direction(anchors).T
    if x.dtype != anchors.dtype or tracked(x) or tracked(anchors):
        return (direction(x) @ toward).clip(-1, 1)
    # one product into the result, in blocks that are still in the cache when they are cut
    empty: Any = np.empty if xp is np else x.new_empty  # type: ignore[attr-defined]  # told apart by the namespace
    found: Rows = empty((len(x), len(anchors)), dtype=x.dtype)
    for block in row_blocks(len(x), len(anchors), itemsize=found.itemsize, budget=BLOCK_BYTES):
        xp.matmul(direction(x[block]), toward, out=found[block])
        xp.clip(found[block], -1, 1, out=found[block])
    return found


def _widened(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.astype(np.float32) if x.dtype == np.float16 else x
    return x.float() if x.element_size() < 4 else x


def _arc(cosines: Any) -> Any:
    if isinstance(cosines, np.ndarray):
        return np.arccos(cosines)
    return (cosines.clip(-ARC_LIMIT, ARC_LIMIT) if cosines.requires_grad else cosines).arccos()
