"""One learned vector per class, to which classes are added and of which the oldest may be frozen."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn
from torch.nn.functional import normalize

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.growing.state import resize_to


@final
class ClassVectors(nn.Module):
    """Vectors ``(C, width)`` of the classes seen so far: coding vectors, prototypes, or rows of a linear classifier.

    ``distances(x)`` are plain Euclidean, ``distance_logits`` minus these over a temperature, whose softmax is the
    distance cross-entropy of NAPA-VQ; ``cosine_logits`` are the cosines that a nearest-mean classifier ranks by;
    ``linear_logits`` the dot products. Frozen vectors get a gradient of exactly 0.

    Parameters: ``width`` dimensions. Vectors, and how many are frozen, are in ``state_dict``; loading resizes. Raises
    ``InputError`` for rows of another width, and ``temperature <= 0``. O(B C d) per call.

    >>> head = ClassVectors(width=2)
    >>> head.grow(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> head.distances(torch.tensor([[3.0, 4.0]])).tolist()
    [[4.0, 3.0]]
    """

    frozen: torch.Tensor

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = check_integer(width, "width", low=1)
        self.vectors = nn.Parameter(torch.zeros(0, self.width))
        self.register_buffer("frozen", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.vectors)

    @torch.no_grad()
    def grow(self, rows: torch.Tensor) -> None:
        """Append ``rows (n, width)``. The parameter is a new one: make the optimiser afterwards."""
        self._check(rows, "rows")
        self.vectors = nn.Parameter(torch.cat([self.vectors, rows.to(self.vectors)]))

    def freeze(self, first: int) -> None:
        """Let the first so many vectors get no gradient; 0 frees all."""
        self.frozen.fill_(check_integer(first, "first", low=0, high=len(self)))

    @property
    def rows(self) -> torch.Tensor:
        """The vectors ``(C, width)`` for losses: frozen ones are constants."""
        first = int(self.frozen)
        return torch.cat([self.vectors[:first].detach(), self.vectors[first:]]) if first else self.vectors

    def distances(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return Euclidean distances ``(B, C)``; their gradient is 0, not NaN, where a row equals a vector."""
        self._check(embeddings, "embeddings")
        # without the product |a|^2 + |b|^2 - 2ab, whose rounding is all there is near a vector
        return torch.cdist(embeddings, self.rows, compute_mode="donot_use_mm_for_euclid_dist")

    def distance_logits(self, embeddings: torch.Tensor, *, temperature: float = 0.1) -> torch.Tensor:
        """Return ``- |x - m_c| / temperature`` ``(B, C)``."""
        return -self.distances(embeddings) / check_real(temperature, "temperature", low=0, open_ends=True)

    def cosine_logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return cosines ``(B, C)``; a row of norm 0, as of dead units, has cosine 0 with all."""
        self._check(embeddings, "embeddings")
        return normalize(embeddings, dim=1) @ normalize(self.rows, dim=1).T

    def linear_logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return dot products ``(B, C)``."""
        self._check(embeddings, "embeddings")
        return embeddings @ self.rows.T

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"classes={len(self)}, width={self.width}, frozen={int(self.frozen)}"

    def _check(self, rows: torch.Tensor, name: str) -> None:
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise InputError(name, got=f"shape {tuple(rows.shape)}", expected=f"shape (B, {self.width})")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        resize_to(self, state_dict, prefix, ("vectors",))
        super()._load_from_state_dict(state_dict, prefix, *rest)
