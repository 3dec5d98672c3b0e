"""The frame of losses that compare rows with learned vectors of classes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.losses.combination import Composable
from spaceform.losses.fused.blocks import attach, before_norm, row_slices
from spaceform.losses.fused.fractional import PairSets
from spaceform.losses.fused.measures import Measure, measure
from spaceform.ops.batches import check_batch
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import torch_generator


class ClassLoss(Composable, nn.Module, ABC):
    """A mean over rows of a loss of their cosines with vectors of classes, which are parameters of the loss.

    Parameters: ``n_classes``; ``width``, the dimension of the embeddings; ``seed`` of the first vectors, which point in
    random directions. Give the vectors to the optimiser, often at a higher learning rate than the network's.
    """

    vectors_per_class = 1

    def __init__(self, *, n_classes: int, width: int, seed: int, vectors_per_class: int = 1) -> None:
        super().__init__()
        self.n_classes = check_integer(n_classes, "n_classes", low=2)
        self.width = check_integer(width, "width", low=1)
        self.vectors_per_class = check_integer(vectors_per_class, "vectors_per_class", low=1)
        self.seed = check_integer(seed, "seed", low=0)
        first = torch.randn(self.n_classes * self.vectors_per_class, self.width, generator=torch_generator(self.seed))
        self.vectors = nn.Parameter(l2_normalize(first))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, width)`` with ``labels (B,)`` from 0 to ``n_classes - 1``.

        Raises ``InputError`` for NaN, zero vectors, labels out of range, and when a reference is given: the rows are
        compared with the vectors of the classes only. O(B C d) time for C vectors, memory of one block.
        """
        rows = self._check(embeddings, labels, reference, reference_labels)
        learns = torch.is_grad_enabled()
        with torch.no_grad():
            vectors = l2_normalize(self.vectors.detach().to(rows.dtype), name="vectors")
        wants = (learns and embeddings.requires_grad, learns and self.vectors.requires_grad)
        value, row_gradient, vector_gradient = self._sum((rows, labels), vectors, wants)
        return attach(
            value.to(rows.dtype),
            (embeddings, before_norm(row_gradient, rows, embeddings.detach().to(rows.dtype))),
            (self.vectors, before_norm(vector_gradient, vectors, self.vectors.detach().to(rows.dtype))),
        )

    def closeness(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the cosines ``(B, n_classes * vectors_per_class)`` of rows with all vectors, by autograd. O(B C d)."""
        rows = l2_normalize(embeddings, name="embeddings")
        return rows @ l2_normalize(self.vectors, name="vectors").to(rows.dtype).T

    def pair_sets(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> PairSets:
        """Return what is compared for a batch: rows as anchors with the vectors of the classes as items."""
        self._check(embeddings, labels, reference, reference_labels)
        rows = l2_normalize(embeddings if embeddings.dtype == torch.float64 else embeddings.float(), name="embeddings")
        return PairSets(
            anchors=rows,
            anchor_labels=labels,
            items=l2_normalize(self.vectors.to(rows.dtype), name="vectors"),
            item_labels=torch.arange(self.n_classes, device=labels.device).repeat(self.vectors_per_class),
            closeness="dot",
            unit=True,
            own=None,
            items_are_rows=False,
        )

    @abstractmethod
    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the values ``(r,)`` and overwrite ``cosines (r, C)`` by their derivatives; ``labels (r, 1)``."""

    def _sum(
        self, batch: tuple[torch.Tensor, torch.Tensor], vectors: torch.Tensor, wants: tuple[bool, bool]
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return the mean over unit rows and its gradients by the unit rows and the unit vectors."""
        rows, labels = batch
        compared: Measure = measure("dot", rows, vectors, wants=wants)
        value = torch.zeros((), dtype=torch.float64, device=rows.device)
        with torch.no_grad(), torch.autocast(rows.device.type, enabled=False):
            for part in row_slices(len(rows), len(vectors), rows.device):
                cosines = compared.block(part)
                value += self._weigh(cosines, labels[part, None]).sum(dtype=torch.float64)
                compared.add_gradient(part, cosines)
        row_gradient, vector_gradient = (
            None if gradient is None else gradient.div_(len(rows))
            for gradient in (compared.row_gradient, compared.column_gradient)
        )
        return value / len(rows), row_gradient, vector_gradient

    def _check(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        reference: torch.Tensor | None,
        reference_labels: torch.Tensor | None,
    ) -> torch.Tensor:
        if reference is not None or reference_labels is not None:
            raise InputError(
                "reference", got="a second set", expected="None", remedy="rows are compared with vectors of classes"
            )
        with torch.no_grad():
            rows, _ = check_batch(embeddings, labels, normalize=True)
        if rows.shape[1] != self.width:
            raise InputError("embeddings", got=f"{rows.shape[1]} columns", expected=f"{self.width} columns")
        if len(rows) == 0:
            raise InputError("embeddings", got="no rows", expected="at least one")
        if int(labels.min()) < 0 or int(labels.max()) >= self.n_classes:
            raise InputError(
                "labels",
                got=f"{int(labels.min())} to {int(labels.max())}",
                expected=f"0 to {self.n_classes - 1}",
                remedy="drop rows without a label, and number the classes",
            )
        return rows
