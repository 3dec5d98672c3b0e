"""Proto-Triplet: a margin between the own and the nearest foreign prototype.

Mendez-Ruiz and others, SuSana Distancia is all you need, 2023.
"""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.combination import Composable
from spaceform.losses.few_shot.icnn import smooth_distances
from spaceform.ops.batches import check_batch


@final
class ProtoTripletLoss(Composable, nn.Module):
    """Mean over rows of ``[d(x, own prototype) - d(x, nearest foreign prototype) + margin]_+``.

    ``d(u, v) = sqrt(|u - v|^2 + 1e-6)``, not squared, of rows as they are. Prototypes are the class means of the
    ``reference`` (supports, or given prototypes with one row each), without one those of the batch itself.

    Parameters: ``margin >= 0`` (0.5), in the unit of the embeddings, which are not normalised; ``foreign``:
    ``"nearest"`` (the paper) or ``"random"``, a foreign prototype drawn for every row, which is the idea removed.

    Raises ``InputError`` for bad batches and labels that have no prototype; ``NoPairsError`` for a single class, and
    without a reference when no class has two rows. O(n K d) for n rows and K prototypes.

    Trap: it can be met by scaling all embeddings up; cross-entropy beside it, or weight decay, limits that.

    >>> queries = torch.tensor([[0.0], [5.9], [6.2], [12.0]])
    >>> prototypes = {"reference": torch.tensor([[1.0], [11.0]]), "reference_labels": torch.tensor([0, 1])}
    >>> round(float(ProtoTripletLoss()(queries, torch.tensor([0, 0, 0, 1]), **prototypes)), 4)  # 0, 0.3, 0.9, 0
    0.3
    """

    def __init__(self, *, margin: float = 0.5, foreign: str = "nearest") -> None:
        super().__init__()
        self.margin = check_real(margin, "margin", low=0)
        self.foreign = check_choice(foreign, "foreign", ("nearest", "random"))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (n, d)`` with integer ``labels (n,)``; draws are ``generator``'s."""
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=False
        )
        names = labels if reference_labels is None else reference_labels
        classes, codes = torch.unique(names, return_inverse=True)
        if len(classes) < 2 or (columns is None and len(classes) == len(labels)):
            got = "one class" if len(classes) < 2 else "no two rows of one class"
            raise NoPairsError("labels", got=got, expected="at least two classes, one of them with two rows")
        own = torch.searchsorted(classes, labels).clamp(max=len(classes) - 1)
        lost = classes[own] != labels
        if bool(lost.any()):
            raise InputError("labels", got=f"label {int(labels[lost][0])}", expected="labels that have a prototype")
        members = rows if columns is None else columns
        sums = members.new_zeros(len(classes), members.shape[1]).index_add(0, codes, members)
        prototypes = sums / codes.bincount()[:, None]
        distances = smooth_distances(rows, prototypes)
        near = distances.gather(1, own[:, None])[:, 0]
        if self.foreign == "random":
            step = torch.randint(1, len(classes), own.shape, generator=generator).to(own.device)
            far = distances.gather(1, ((own + step) % len(classes))[:, None])[:, 0]
        else:
            far = distances.scatter(1, own[:, None], torch.inf).amin(1)
        return (near - far + self.margin).clamp(min=0).mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"margin={self.margin}, foreign={self.foreign!r}"
