"""Energy confusion: draw different classes together, against the metric loss, so that no direction is relied on alone.

Chen and Deng, Energy Confused Adversarial Metric Learning (ECAML), AAAI 2019.
"""

from __future__ import annotations

import warnings
from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.combination import Composable
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import label_order

COLLAPSED = 1e-3
"""Below this share of the mean squared length of the rows, the energy between classes says that they have merged."""


def between_class_energies(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ``mean (x_k - r_k)^2 / 2`` over all pairs of different classes, for every dimension k: ``(d,)``.

    ``embeddings (B, d)`` with integer ``labels (B,)``; the second of a pair comes from ``reference (M, d)``, or from
    the batch. The sum over dimensions is half the mean squared distance of rows of different classes.

    The sum over pairs of different classes is that over all pairs minus that within each class, and
    ``sum_ij (x_i - r_j)^2 = m sum x^2 + n sum r^2 - 2 (sum x)(sum r)`` needs only sums per class: O((B + M) d).
    Rows are centred first, which changes no difference and keeps single precision where means are large.

    Raises ``NoPairsError`` when all rows are of one class.
    """
    alone = reference is None or reference_labels is None
    columns = embeddings if reference is None else reference
    column_labels = labels if reference_labels is None else reference_labels
    codes = torch.unique(torch.cat([labels, column_labels]), return_inverse=True)[1]
    classes = int(codes.max()) + 1
    with torch.no_grad():
        centre = torch.cat([embeddings, columns]).mean(0)
    first = _sums(embeddings - centre, codes[: len(labels)], classes)
    second = first if alone else _sums(columns - centre, codes[len(labels) :], classes)
    pairs = len(labels) * len(column_labels) - int(first[0] @ second[0])
    if pairs == 0:
        raise NoPairsError("labels", got="rows of one class only", expected="at least two classes in the batch")
    every = _squares(*(part.sum(0, keepdim=True) for part in (*first, *second)))
    return ((every - _squares(*first, *second)).clamp(min=0) / (2 * pairs)).to(embeddings.dtype)


def _sums(rows: torch.Tensor, codes: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return per class the number of rows ``(C,)``, and the sums of rows and of their squares ``(C, d)``."""
    counts = torch.bincount(codes, minlength=classes)
    room = rows.new_zeros(classes, rows.shape[1])
    return counts, room.index_add(0, codes, rows), room.index_add(0, codes, rows * rows)


def _squares(
    n: torch.Tensor, x: torch.Tensor, xx: torch.Tensor, m: torch.Tensor, r: torch.Tensor, rr: torch.Tensor
) -> torch.Tensor:
    """Return the sum ``(d,)`` of ``(x_i - r_j)^2`` over the pairs within each group, added up."""
    return (m[:, None] * xx + n[:, None] * rr - 2 * x * r).sum(0)


def row_norm_penalty(weight: torch.Tensor, *, strength: float = 0.5) -> torch.Tensor:
    """Return ``strength / N sum_k (|w_k|^2 - 1)^2`` over the N rows of ``weight (N, f)``, 0 at rows of unit length.

    The guard of ECAML's embedding layer (0.5 in its code). With a metric loss that does not feel the scale, rows of
    norm t under ``lambda log E`` settle where ``t^2 (1 - t^2) = lambda / (2 strength)``: at 0.920 for the published
    0.13 and 0.5, and nowhere for ``lambda > strength / 2``, where the layer shrinks for ever. O(N f).
    """
    excess = (weight * weight).sum(1) - 1
    return strength * (excess * excess).mean()


@final
class EnergyConfusion(Composable, nn.Module):
    """Log of half the mean squared distance between rows of different classes, to be added to a metric loss.

    ``log(E + eps) + scale_guard (log mean |x|^2)^2`` with ``E = mean |x_i - x_j|^2 / 2`` over pairs of different
    classes, of rows as they are (not normalised). It is minimised together with the loss, which wants the opposite:
    ``TripletLoss() + 0.13 * EnergyConfusion()``. The log makes its pull as strong at the end as at the start.

    In the paper only the last layer feels it: :class:`~spaceform.heads.confused.ConfusedHead` stops its gradient
    there and :func:`row_norm_penalty` holds the rows of that layer, so the paper's own term is ``scale_guard=0``.
    Added to a loss over normalised rows it would fall for ever by shrinking the embeddings, at any weight; the
    ``scale_guard`` holds their mean squared length at ``exp(-1 / (2 scale_guard))``, 0.61 by default, whatever
    the weight.

    Parameters: ``n_pairs``: ``"all"`` sums every pair of different classes exactly, a number draws so many partners per
    row with replacement (10 in the paper's code); ``scale_guard >= 0`` (1.0, ours); ``eps > 0`` inside the log (1e-12).

    Raises ``InputError`` for NaN, fewer than two rows or labels of another length; ``NoPairsError`` when the batch is
    of one class. Rows of one class are not needed. O(B d) for all pairs, O(n_pairs B d) for drawn ones.

    Traps: the weight has a critical value, above which confusion wins and all classes meet in one point; for the
    triplet loss it lay between 0.13 and 0.3 on small blobs, for binomial deviance above 3. A warning says so once E
    falls below 1e-3 of the mean squared length (without ``scale_guard``: below ``eps``). The second
    set of a batch (``reference``) gives the other ends of the pairs; the guard feels the batch.

    >>> pair = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    >>> round(float(EnergyConfusion(scale_guard=0.0)(pair, torch.tensor([0, 1]))), 4)  # log 12.5
    2.5257
    """

    def __init__(self, *, n_pairs: int | str = "all", scale_guard: float = 1.0, eps: float = 1e-12) -> None:
        super().__init__()
        self.n_pairs: int | str = (
            check_choice(n_pairs, "n_pairs", ("all",))
            if isinstance(n_pairs, str)
            else check_integer(n_pairs, "n_pairs", low=1)
        )
        self.scale_guard = check_real(scale_guard, "scale_guard", low=0)
        self.eps = check_real(eps, "eps", low=0, open_ends=True)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the scalar term of ``embeddings (B, d)`` with integer ``labels (B,)``; draws are ``generator``'s."""
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=False
        )
        if len(rows) < 2 and columns is None:
            raise InputError("embeddings", got=f"{len(rows)} row(s)", expected="at least two rows")
        if isinstance(self.n_pairs, str):
            energy = between_class_energies(rows, labels, reference=columns, reference_labels=reference_labels).sum()
        else:
            energy = self._drawn(rows, labels, columns, reference_labels, generator)
        size = (rows * rows).sum(1).mean()
        # a layer under its own guard may start far from the origin, where all rows are near each other
        limit = COLLAPSED * float(size.detach()) if self.scale_guard else self.eps
        if float(energy.detach()) <= limit:
            warnings.warn(
                "energy confusion: rows of different classes have all but merged; lower its weight",
                RuntimeWarning,
                stacklevel=2,
            )
        term = (energy + self.eps).log()
        return term + self.scale_guard * (size + self.eps).log() ** 2 if self.scale_guard else term

    def _drawn(
        self,
        rows: torch.Tensor,
        labels: torch.Tensor,
        columns: torch.Tensor | None,
        column_labels: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        batch = label_order(rows, labels, reference=columns, reference_labels=column_labels)
        others = len(batch.columns) - batch.counts
        if not int(others.max()):
            raise NoPairsError("labels", got="rows of one class only", expected="at least two classes in the batch")
        place = torch.rand(len(rows), int(self.n_pairs), generator=generator, dtype=torch.float64)
        place = (place.to(others.device) * others[:, None]).long()
        # in label order the rows of other classes are one stretch that runs on past the end
        partners = batch.columns[((batch.starts + batch.counts)[:, None] + place) % len(batch.columns)]
        squares = ((batch.rows[:, None] - partners) ** 2).sum(-1)[others > 0]
        return squares.mean() / 2

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_pairs={self.n_pairs!r}, scale_guard={self.scale_guard}, eps={self.eps}"
