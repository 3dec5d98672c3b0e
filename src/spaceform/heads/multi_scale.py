"""Distances to class means in several embedding spaces at once, added up with learned weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.prototypes import class_prototypes

NONNEG = ("none", "relu", "softplus")
METRICS = ("euclidean", "squared")


@final
class MultiScalePrototypeHead(nn.Module):
    """Logits of queries from supports in S spaces: ``l(q, c) = - sum_s alpha_s |z_s(q) - p_sc|``.

    ``p_sc`` is the mean of the supports of class c in space s. The distance is Euclidean, not squared: squares would
    let one far space speak for all. Column c of the logits is the c-th smallest of the support's labels.

    Parameters: ``n_scales`` S >= 1; ``init`` where the weights alpha start, one number or one per space (MSENet tries
    1 and rising ones such as 1 to 1.4); ``learnable``: else they are fixed; ``nonneg`` keeps weights from turning a
    distance into a reward: ``"none"`` (the paper's main variant does not), ``"relu"`` or ``"softplus"``; ``metric``
    ``"euclidean"`` or ``"squared"`` (plain prototypical networks).

    Raises ``InputError`` for lists of another length than ``n_scales``, widths that differ between support and query,
    fewer than two classes, no queries, NaN, and weights of a wrong number. O(Q K sum C_s) for Q queries, K classes.

    >>> head = MultiScalePrototypeHead(1)
    >>> support, query = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.zeros(1, 2)
    >>> (-head([support], torch.tensor([7, 9]), [query])).tolist()
    [[5.0, 1.0]]
    """

    def __init__(
        self,
        n_scales: int,
        *,
        init: float | Sequence[float] = 1.0,
        learnable: bool = True,
        nonneg: str = "none",
        metric: str = "euclidean",
    ) -> None:
        super().__init__()
        self.n_scales = check_integer(n_scales, "n_scales", low=1)
        self.nonneg = check_choice(nonneg, "nonneg", NONNEG)
        self.metric = check_choice(metric, "metric", METRICS)
        numbers = list(init) if isinstance(init, Sequence) else [init] * n_scales
        if len(numbers) != n_scales:
            raise InputError("init", got=f"{len(numbers)} weights", expected=f"{n_scales}, one per space")
        low = {"none": None, "relu": 0.0, "softplus": 1e-6}[nonneg]
        start = torch.tensor([check_real(number, "init", low=low) for number in numbers])
        if nonneg == "softplus":
            start = start + torch.log(-torch.expm1(-start))  # the inverse, so that the weights start at ``init``
        self.alpha = nn.Parameter(start, requires_grad=bool(learnable))

    @property
    def weights(self) -> torch.Tensor:
        """The weight of each space ``(S,)``, after ``nonneg``."""
        if self.nonneg == "relu":
            return self.alpha.relu()
        return nn.functional.softplus(self.alpha) if self.nonneg == "softplus" else self.alpha

    def forward(
        self, support: Sequence[torch.Tensor], support_y: torch.Tensor, query: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return logits ``(Q, K)`` from supports ``[(n, C_s)]`` with labels ``(n,)`` and queries ``[(Q, C_s)]``."""
        return self.combine(self.distances(support, support_y, query))

    def distances(
        self, support: Sequence[torch.Tensor], support_y: torch.Tensor, query: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return the distances ``(S, Q, K)`` of the queries to the class means in each space."""
        self._check(support, query)
        if support_y.shape != support[0].shape[:1] or support_y.is_floating_point():
            got = f"{support_y.dtype} of shape {tuple(support_y.shape)}"
            raise InputError("support_y", got=got, expected=f"integers ({len(support[0])},)")
        classes, codes = torch.unique(support_y, return_inverse=True)
        if len(classes) < 2:
            raise InputError("support_y", got=f"{len(classes)} class(es)", expected="at least two")
        found = []
        for rows, asked in zip(support, query, strict=True):
            means = class_prototypes(rows, codes, len(classes))
            # by differences, not by products: exact for near vectors, and the slope at distance 0 is 0
            apart = torch.cdist(asked, means, compute_mode="donot_use_mm_for_euclid_dist")
            found.append(apart if self.metric == "euclidean" else apart.square())
        return torch.stack(found)

    def combine(self, distances: torch.Tensor) -> torch.Tensor:
        """Return the logits ``(Q, K)`` of distances ``(S, Q, K)``."""
        return -torch.einsum("s,sqk->qk", self.weights.to(distances.dtype), distances)

    def _check(self, support: Sequence[torch.Tensor], query: Sequence[torch.Tensor]) -> None:
        for name, parts in (("support", support), ("query", query)):
            if len(parts) != self.n_scales:
                raise InputError(name, got=f"{len(parts)} spaces", expected=f"{self.n_scales}")
            for part in parts:
                if part.ndim != 2 or len(part) == 0 or len(part) != len(parts[0]) or not part.is_floating_point():
                    got = f"{part.dtype} of shape {tuple(part.shape)}"
                    raise InputError(name, got=got, expected="floats (n, C_s), at least one row, equally many in each")
                if not bool(torch.isfinite(part.detach()).all()):
                    raise InputError(name, got="NaN or an infinity", expected="finite values")
        for scale, (rows, asked) in enumerate(zip(support, query, strict=True)):
            if rows.shape[1] != asked.shape[1]:
                got = f"{asked.shape[1]} columns in space {scale}"
                raise InputError("query", got=got, expected=f"{rows.shape[1]}, as in support")
