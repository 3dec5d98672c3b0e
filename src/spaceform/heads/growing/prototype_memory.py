"""Mean, number and variance of the rows of each class, updated as rows come and kept without any of them."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.heads.growing.state import resize_to
from spaceform.ops.ranks.rows import rows_of_ranks, world_size

_GROWING = ("counts", "means", "squares")


@final
class PrototypeMemory(nn.Module):
    """Running statistics of classes 0 to C - 1 over rows of ``width`` dimensions: all that is stored of old classes.

    Batches are merged by the rule of Chan, Golub and LeVeque (1979), in float64, so that neither the order nor the cut
    into batches matters beyond rounding. When torch.distributed runs, :meth:`update` merges the statistics of all
    ranks, which must call it together: every rank then holds those of one process that saw all rows.

    ``means (C, width)`` and ``variances (C, width)`` (population) float64, ``counts (C,)``. Everything is in
    ``state_dict``; loading resizes. Raises ``InputError`` for other widths, labels that are no integers >= 0, no rows,
    and NaN. O(n d) per update.

    >>> memory = PrototypeMemory(width=1)
    >>> memory.update(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0]))
    >>> memory.update(torch.tensor([[5.0]]), torch.tensor([0]))
    >>> float(memory.means), float(memory.variances)  # of 1, 3 and 5
    (3.0, 2.6666666666666665)
    """

    counts: torch.Tensor
    means: torch.Tensor
    squares: torch.Tensor

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = check_integer(width, "width", low=1)
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("means", torch.zeros(0, self.width, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(0, self.width, dtype=torch.float64))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def classes(self) -> torch.Tensor:
        """Classes with at least one row, ascending."""
        return self.counts.nonzero()[:, 0]

    @property
    def variances(self) -> torch.Tensor:
        """Population variance ``(C, width)`` of each class; 0 for a class without rows."""
        return self.squares / self.counts.clamp(min=1)[:, None].to(self.squares)

    @property
    def radius(self) -> float:
        """Root of the variance, averaged over classes and dimensions: the noise of PASS (Zhu and others, CVPR 2021)."""
        if not len(self.classes):
            raise InputError("classes", got="none", expected="statistics of at least one class")
        return float(self.variances[self.classes].mean().sqrt())

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Take in rows ``(n, width)`` with integer ``labels (n,)``; classes beyond the last one are added."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.width:
            raise InputError("embeddings", got=f"shape {tuple(embeddings.shape)}", expected=f"shape (n, {self.width})")
        whole = labels.shape == embeddings.shape[:1] and not labels.is_floating_point()
        if not whole or (len(labels) and int(labels.min()) < 0):
            raise InputError("labels", got=f"{labels.dtype} {tuple(labels.shape)}", expected="an integer >= 0 per row")
        if not torch.isfinite(embeddings).all():
            raise InputError("embeddings", got="NaN or an infinity", expected="finite values")
        if not len(labels) and world_size() == 1:
            raise InputError("embeddings", got="no rows", expected="at least one row")
        rows = embeddings.to(self.means)
        size = max(len(self), int(labels.max()) + 1 if len(labels) else 0)
        counts = labels.to(self.counts.device).bincount(minlength=size)
        sums = rows.new_zeros(size, self.width).index_add(0, labels, rows)
        means = sums / counts.clamp(min=1)[:, None].to(sums)
        squares = rows.new_zeros(size, self.width).index_add(0, labels, (rows - means[labels]).square())
        # one matrix, so that counts, means and squares of every rank come together, of as many classes as it has
        for part in rows_of_ranks(torch.cat([counts[:, None].to(means), means, squares], dim=1)):
            self._merge(part[:, 0].round().to(torch.int64), *part[:, 1:].split(self.width, dim=1))

    @torch.no_grad()
    def forget(self, first: int) -> None:
        """Drop the statistics of class ``first`` and all after it."""
        check_integer(first, "first", low=0)
        self.counts, self.means, self.squares = self.counts[:first], self.means[:first], self.squares[:first]

    def _merge(self, counts: torch.Tensor, means: torch.Tensor, squares: torch.Tensor) -> None:
        more = len(counts) - len(self)
        if more > 0:
            self.counts = torch.cat([self.counts, self.counts.new_zeros(more)])
            self.means = torch.cat([self.means, self.means.new_zeros(more, self.width)])
            self.squares = torch.cat([self.squares, self.squares.new_zeros(more, self.width)])
        size = len(counts)
        ours, total = self.counts[:size], self.counts[:size] + counts
        share = (counts.to(means) / total.clamp(min=1))[:, None]
        step = means - self.means[:size]
        self.squares[:size] += squares + step.square() * share * ours[:, None].to(means)
        self.means[:size] += step * share
        self.counts[:size] = total

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        resize_to(self, state_dict, prefix, _GROWING)
        super()._load_from_state_dict(state_dict, prefix, *rest)
