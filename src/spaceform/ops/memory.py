"""A queue of the newest embeddings with their labels: keys of earlier batches to compare with."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.ops.ranks.rows import gather as gather_rows


@final
class MemoryBank(nn.Module):
    """The newest ``rows`` embeddings and labels, oldest first out; equal on all ranks of a distributed run.

    Parameters: ``rows``, how many it holds; ``width``, the number of dimensions. What it holds is in ``state_dict``, so
    a saved run goes on with the same memory. Nothing in it carries a gradient.

    When torch.distributed runs, :meth:`enqueue` first gathers the rows of all ranks in the order of the ranks, so that
    every rank holds what one process would hold for the whole batch; all ranks must call it together.

    Raises ``InputError`` for rows of another width. O(n d) per call for n new rows (and as many copied out).

    >>> bank = MemoryBank(rows=3, width=1)
    >>> bank.enqueue(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 2]))
    >>> bank.enqueue(torch.tensor([[3.0], [4.0]]), torch.tensor([3, 4]))
    >>> bank.contents()[1]
    tensor([2, 3, 4])
    """

    def __init__(self, *, rows: int, width: int) -> None:
        super().__init__()
        self.rows = check_integer(rows, "rows", low=1)
        self.width = check_integer(width, "width", low=1)
        self._vectors: torch.Tensor
        self._labels: torch.Tensor
        self._seen: torch.Tensor
        self.register_buffer("_vectors", torch.zeros(self.rows, self.width))
        self.register_buffer("_labels", torch.zeros(self.rows, dtype=torch.int64))
        self.register_buffer("_seen", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(self.rows, int(self._seen))

    def contents(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return copies of the stored embeddings ``(len, width)`` and labels ``(len,)``, oldest first."""
        size, seen = len(self), int(self._seen)
        places = torch.arange(seen - size, seen, device=self._labels.device) % self.rows
        return self._vectors[places], self._labels[places]

    @torch.no_grad()
    def enqueue(self, embeddings: torch.Tensor, labels: torch.Tensor, *, gather: bool = True) -> None:
        """Store ``embeddings (n, width)`` with integer ``labels (n,)``; the oldest rows make room.

        ``gather``: take those of all ranks; False when the rows given are of all ranks already.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.width:
            raise InputError("embeddings", got=f"shape {tuple(embeddings.shape)}", expected=f"shape (n, {self.width})")
        if labels.shape != embeddings.shape[:1] or labels.is_floating_point():
            raise InputError("labels", got=f"{labels.dtype} {tuple(labels.shape)}", expected="one integer per row")
        vectors, classes = embeddings.detach().to(self._vectors), labels.to(self._labels)
        if gather:
            vectors, classes = gather_rows(vectors), gather_rows(classes)
        seen, count = int(self._seen), len(classes)
        vectors, classes = vectors[-self.rows :], classes[-self.rows :]
        places = torch.arange(seen + count - len(classes), seen + count, device=classes.device) % self.rows
        self._vectors[places] = vectors
        self._labels[places] = classes
        self._seen += count

    @torch.no_grad()
    def clear(self) -> None:
        """Forget everything."""
        self._seen.zero_()

    def extra_repr(self) -> str:
        """Return the size, for ``repr``."""
        return f"rows={self.rows}, width={self.width}"
