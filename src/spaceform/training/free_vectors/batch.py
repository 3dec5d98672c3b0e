"""Several tables of relevance in one tensor, in torch and on any device that has float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from spaceform.errors import InputError
from spaceform.ops.pairs import ZERO_NORM, row_blocks
from spaceform.training.free_vectors.losses import Objective
from spaceform.training.free_vectors.single import BETAS, EPSILON
from spaceform.types import BoolArray, FloatArray

Start = tuple[FloatArray, FloatArray, BoolArray]
"""Queries ``(m, d)``, documents ``(n, d)`` and their table ``(m, n)``."""


class BatchDescent:
    """What :class:`~spaceform.training.free_vectors.single.SingleDescent` does, for tables of any sizes at once.

    Rows of ``starts``, of one width d, are padded to the largest m and n; padding weighs nothing and never moves.
    The numbers are those of the reference up to rounding. Raises ``InputError`` for a ``device`` that torch does not
    have, or not in float64. O(tables m n d) per step.
    """

    def __init__(self, starts: Sequence[Start], *, objective: Objective, device: str = "cpu") -> None:
        self._objective, self._count = objective, 0
        self._shapes = [table.shape for *_, table in starts]
        m, n = (max(sizes) for sizes in zip(*self._shapes, strict=True))
        d = starts[0][0].shape[1]
        try:
            self._queries = torch.zeros(len(starts), m, d, dtype=torch.float64, device=torch.device(device))
        except (RuntimeError, TypeError, AssertionError) as error:
            got = f"{device!r} ({str(error).splitlines()[0]})"
            raise InputError("device", got=got, expected="a device of torch with float64") from error
        self._documents = self._queries.new_zeros(len(starts), n, d)
        self._queries[..., 0] = 1
        self._documents[..., 0] = 1
        self._wanted = torch.zeros(len(starts), m, n, dtype=torch.bool, device=device)
        self._other = torch.zeros_like(self._wanted)
        for place, (queries, documents, table) in enumerate(starts):
            self._queries[place, : len(queries)] = torch.from_numpy(queries)
            self._documents[place, : len(documents)] = torch.from_numpy(documents)
            self._wanted[place, : len(queries), : len(documents)] = torch.from_numpy(table)
            self._other[place, : len(queries), : len(documents)] = torch.from_numpy(~table)
        self._threshold = self._queries.new_zeros(len(starts), 1)
        moved = (self._queries, self._documents, self._threshold)
        self._moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in moved]
        self._gradients: list[torch.Tensor] = []

    def margins(self) -> list[FloatArray]:
        """Return per table each query's least relevant score less its largest irrelevant one ``(m,)``."""
        found = torch.empty_like(self._queries[..., 0])
        for block in self._blocks():
            scores = self._queries[:, block] @ self._documents.mT
            least = scores.masked_fill(~self._wanted[:, block], torch.inf).amin(2)
            found[:, block] = least - scores.masked_fill(~self._other[:, block], -torch.inf).amax(2)
        return [row[:m] for row, (m, _) in zip(found.cpu().numpy(), self._shapes, strict=True)]

    def rows(self, place: int) -> tuple[FloatArray, FloatArray]:
        """Return copies of the queries and documents of table ``place``."""
        m, n = self._shapes[place]
        return self._queries[place, :m].cpu().numpy().copy(), self._documents[place, :n].cpu().numpy().copy()

    def losses(self) -> FloatArray:
        """Return the losses of the rows as they are, one a table, and remember the gradients."""
        temperature = self._objective.temperature
        pairs = self._wanted.sum((1, 2)).double()
        total, of_threshold = torch.zeros_like(pairs), torch.zeros_like(self._threshold)
        of_queries, of_documents = torch.empty_like(self._queries), torch.zeros_like(self._documents)
        residual = self._softmax_residual if self._objective.loss == "infonce" else self._sigmoid_residual
        for block in self._blocks():
            rows = self._queries[:, block]
            found, pull = residual(rows @ self._documents.mT, block)
            total += found
            pull /= (pairs * temperature)[:, None, None]
            of_threshold -= pull.sum((1, 2))[:, None]
            of_queries[:, block] = pull @ self._documents
            of_documents += pull.mT @ rows
        self._gradients = [of_queries, of_documents, of_threshold]
        return np.asarray((total / pairs).cpu().numpy())

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the tables, in the given order."""
        chosen = torch.tensor(list(places), device=self._queries.device)
        self._shapes = [self._shapes[place] for place in places]
        for name in ("_queries", "_documents", "_threshold", "_wanted", "_other"):
            setattr(self, name, getattr(self, name)[chosen])
        self._moments = [(mean[chosen], square[chosen]) for mean, square in self._moments]
        self._gradients = [one[chosen] for one in self._gradients]

    def update(self) -> None:
        """Take one step along the gradients of `losses`."""
        self._count += 1
        changes = [
            self._adam(*moments, gradient) for moments, gradient in zip(self._moments, self._gradients, strict=True)
        ]
        self._queries = _on_sphere(self._queries, changes[0])
        self._documents = _on_sphere(self._documents, changes[1])
        if self._objective.loss == "sigmoid":
            self._threshold = self._threshold - changes[2]

    def _softmax_residual(self, scores: torch.Tensor, block: slice) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = self._wanted[:, block]
        logits = scores.div_(self._objective.temperature)
        counts = wanted.sum(2)
        positive = logits.masked_fill(~wanted, 0).sum((1, 2))
        padding = ~(wanted | self._other[:, block]) & (counts > 0)[..., None]
        logits = logits.masked_fill(padding, -torch.inf)
        total = (counts * torch.logsumexp(logits, 2)).sum(1) - positive
        return total, torch.softmax(logits, 2) * counts[..., None] - wanted.double()

    def _sigmoid_residual(self, scores: torch.Tensor, block: slice) -> tuple[torch.Tensor, torch.Tensor]:
        wanted, real = self._wanted[:, block], self._wanted[:, block] | self._other[:, block]
        logits = (scores - self._threshold[..., None]) / self._objective.temperature
        likely = torch.nn.functional.logsigmoid(torch.where(wanted, logits, -logits))
        total = -likely.masked_fill(~real, 0).sum((1, 2))
        return total, (torch.sigmoid(logits) - wanted.double()).masked_fill(~real, 0)

    def _adam(self, mean: torch.Tensor, square: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        first, second = BETAS
        mean += (1 - first) * (gradient - mean)
        square += (1 - second) * (gradient * gradient - square)
        scale = self._objective.learning_rate / (1 - first**self._count)
        return scale * mean / ((square / (1 - second**self._count)).sqrt() + EPSILON)

    def _blocks(self) -> list[slice]:
        tables, m, n = self._wanted.shape
        return list(row_blocks(m, tables * n))


def _on_sphere(rows: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    moved = rows - change
    norms = moved.norm(dim=2, keepdim=True)
    return torch.where(norms < ZERO_NORM, rows, moved / norms.clamp(min=ZERO_NORM))
