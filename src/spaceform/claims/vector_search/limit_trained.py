"""Linear maps of an encoder's vectors: fitted on the answers themselves, or trained on people who like other things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spaceform.rng import derive_seed, torch_generator
from spaceform.types import BoolArray, FloatArray

TEMPERATURE = 0.1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a map is trained with: its ``dim``, steps of Adam, queries a step, and the rate."""

    dim: int
    steps: int
    batch: int
    learning_rate: float


def overfit(
    queries: FloatArray, documents: FloatArray, relevance: BoolArray, *, dim: int, steps: int, seed: int
) -> FloatArray:
    """Return scores after two linear maps to ``dim`` dimensions, fitted on the very relevance that is asked for."""
    generator = torch_generator(derive_seed(seed, "overfit"))
    inputs = [torch.from_numpy(np.asarray(rows, dtype=np.float32)) for rows in (queries, documents)]
    maps = [torch.randn(rows.shape[1], dim, generator=generator) / rows.shape[1] ** 0.5 for rows in inputs]
    for one in maps:
        one.requires_grad_(True)
    wanted = torch.from_numpy(relevance.astype(np.float32))
    optimizer = torch.optim.Adam(maps, lr=0.01)

    def closeness() -> Tensor:
        a, b = (torch.nn.functional.normalize(rows @ one, dim=1) for rows, one in zip(inputs, maps, strict=True))
        return a @ b.T

    for _ in range(steps):
        optimizer.zero_grad()
        infonce(closeness(), wanted).backward()
        optimizer.step()
    return closeness().detach().numpy().astype(np.float64)


def train_map(
    queries: Sequence[FloatArray],
    documents: Sequence[FloatArray],
    relevance: BoolArray,
    *,
    budget: Budget,
    seed: int,
) -> Callable[[Sequence[FloatArray]], list[FloatArray]]:
    """Return a linear map of texts ``(vectors, d)`` to unit vectors ``(vectors, dim)``, trained for MaxSim.

    Queries and documents share it. The loss is InfoNCE over all documents, of the MaxSim score divided by the number
    of the query's vectors; with one vector a text that is the cosine, so that both kinds of text are trained alike.
    """
    generator = torch_generator(derive_seed(seed, "map"))
    asked, base = padded(queries), padded(documents)
    weight = torch.randn(asked.rows.shape[2], budget.dim, generator=generator) / asked.rows.shape[2] ** 0.5
    weight.requires_grad_(True)
    wanted = torch.from_numpy(relevance.astype(np.float32))
    optimizer = torch.optim.Adam([weight], lr=budget.learning_rate)
    for _ in range(budget.steps):
        drawn = torch.randperm(len(queries), generator=generator)[: budget.batch]
        optimizer.zero_grad()
        scores = token_closeness(Padded(asked.rows[drawn], asked.real[drawn]).mapped(weight), base.mapped(weight))
        infonce(scores, wanted[drawn]).backward()
        optimizer.step()
    final = weight.detach()

    def apply(texts: Sequence[FloatArray]) -> list[FloatArray]:
        return [
            torch.nn.functional.normalize(torch.from_numpy(np.asarray(text, dtype=np.float32)) @ final, dim=1).numpy()
            for text in texts
        ]

    return apply


@dataclass(frozen=True)
class Padded:
    """Texts as one tensor: ``rows (n, most, d)``, and which of them are there, ``real (n, most)``."""

    rows: Tensor
    real: Tensor

    def mapped(self, weight: Tensor) -> Padded:
        """Return the rows under a linear map, scaled."""
        return Padded(torch.nn.functional.normalize(self.rows @ weight, dim=2), self.real)


def padded(texts: Sequence[FloatArray]) -> Padded:
    """Return texts of different numbers of vectors as one tensor."""
    most = max(map(len, texts))
    rows = torch.zeros(len(texts), most, texts[0].shape[1])
    real = torch.zeros(len(texts), most, dtype=torch.bool)
    for place, text in enumerate(texts):
        rows[place, : len(text)] = torch.from_numpy(np.asarray(text, dtype=np.float32))
        real[place, : len(text)] = True
    return Padded(rows, real)


def token_closeness(queries: Padded, documents: Padded) -> Tensor:
    """Return the mean over a query's vectors of the best inner product with one of the document's ``(m, n)``."""
    n, most, d = documents.rows.shape
    scores = (queries.rows.reshape(-1, d) @ documents.rows.reshape(-1, d).T).reshape(-1, n, most)
    best = scores.masked_fill(~documents.real, -torch.inf).amax(2).reshape(*queries.real.shape, n)
    return (best * queries.real[..., None]).sum(1) / queries.real.sum(1, keepdim=True)


def infonce(closeness: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of several relevant documents per query, over all documents."""
    return -(wanted * torch.log_softmax(closeness / TEMPERATURE, dim=1)).sum() / wanted.sum()
