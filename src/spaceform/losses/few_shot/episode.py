"""The loss of an episode: cross-entropy over prototypes, Proto-Triplet and ICNN, in any combination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError
from spaceform.losses.few_shot.icnn import PARTS, ICNNLoss
from spaceform.losses.few_shot.proto_triplet import ProtoTripletLoss
from spaceform.ops.pairs import squared_distances

TERMS = ("ce", "proto_triplet", "icnn_support", "icnn_query", "icnn_prototypes", "icnn_full")
"""Cross-entropy and Proto-Triplet of queries; ICNN of supports, of queries among supports, of queries among prototypes,
and of supports and queries together."""


@final
class EpisodeLoss(nn.Module):
    """Weighted sum of losses over one episode of ``N`` classes with ``K`` supports and ``Q`` queries each.

    ``"ce"``: cross-entropy of logits ``-|x - c_n|^2 / temperature`` (prototypical networks); ``"proto_triplet"``;
    and ICNN in four forms, the full one with a window of ``K + Q``, so that at least one foreign row is in it. All see
    the same embeddings, which are not normalised.

    Parameters: ``terms``, of :data:`TERMS`, which are checked by name; ``weights``, one each (None: the mean of the
    terms, as in the code); ``temperature > 0`` of the logits (1); ``margin`` (0.5) and ``foreign`` of
    :class:`ProtoTripletLoss`; ``k`` (4) and ``parts`` of :class:`ICNNLoss`.

    Raises ``InputError`` for unknown or repeated terms, weights of another number, temperatures <= 0, and embeddings
    that are not ``(N, K, d)`` and ``(N, Q, d)`` with N >= 2, K, Q >= 1. With K = 1 the support form has no own-class
    neighbour and its ``inter`` acts alone. ICNN needs three rows to look at: N >= 3 for ``"icnn_prototypes"``.
    O(N^2 Q d) and, for the full form, O(N^2 (K + Q)^2 (d + log)).

    >>> generator = torch.Generator().manual_seed(0)
    >>> support, query = (torch.randn(3, size, 4, generator=generator) for size in (2, 5))
    >>> total, parts = EpisodeLoss()(support, query)
    >>> abs(float(total) - sum(parts.values()) / 3) < 1e-5
    True
    """

    def __init__(
        self,
        *,
        terms: Sequence[str] = ("ce", "proto_triplet", "icnn_full"),
        weights: Sequence[float] | None = None,
        temperature: float = 1.0,
        margin: float = 0.5,
        foreign: str = "nearest",
        k: int = 4,
        parts: Sequence[str] = PARTS,
    ) -> None:
        super().__init__()
        if isinstance(terms, str) or not terms:
            raise InputError("terms", got=repr(terms), expected="a list of terms", remedy=f"take of {', '.join(TERMS)}")
        self.terms = tuple(check_choice(term, "terms", TERMS) for term in terms)
        if len(set(self.terms)) < len(self.terms):
            raise InputError("terms", got=self.terms, expected="each term once")
        weights = [1 / len(self.terms)] * len(self.terms) if weights is None else weights
        if len(weights) != len(self.terms):
            raise InputError("weights", got=f"{len(weights)} of them", expected=f"one for each of {len(self.terms)}")
        self.weights = tuple(check_real(weight, "weights") for weight in weights)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.proto_triplet = ProtoTripletLoss(margin=margin, foreign=foreign)
        self.k, self.parts = ICNNLoss(k=k, parts=parts).k, tuple(parts)

    def forward(
        self, support: torch.Tensor, query: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the scalar loss of ``support (N, K, d)`` and ``query (N, Q, d)``, row n of class n, and each term."""
        shapes = (tuple(support.shape), tuple(query.shape))
        fits = support.ndim == query.ndim == 3 and support.shape[::2] == query.shape[::2] and 0 not in shapes[0]
        if not fits or len(support) < 2 or query.shape[1] < 1:
            expected = "(N, K, d) and (N, Q, d) with N >= 2 and K, Q >= 1"
            raise InputError("support", got=f"shapes {shapes[0]} and {shapes[1]}", expected=expected)
        values = {term: self._term(term, support, query, generator) for term in self.terms}
        total = torch.stack(
            [weight * values[term] for term, weight in zip(self.terms, self.weights, strict=True)]
        ).sum()
        return total, {term: float(value.detach()) for term, value in values.items()}

    def _term(
        self, term: str, support: torch.Tensor, query: torch.Tensor, generator: torch.Generator | None
    ) -> torch.Tensor:
        classes = torch.arange(len(support), device=support.device)
        asked, labels = query.flatten(0, 1), classes.repeat_interleave(query.shape[1])
        prototypes = support.mean(1)
        if term == "ce":
            return cross_entropy(-squared_distances(asked, prototypes) / self.temperature, labels)
        if term == "proto_triplet":
            return self.proto_triplet(
                asked, labels, reference=prototypes, reference_labels=classes, generator=generator
            )
        if term == "icnn_full":
            together = torch.cat([support, query], dim=1)
            of_class = together.shape[1]
            # with few rows k is cut below what the window must hold
            loss = ICNNLoss(k=min(self.k, of_class), window=of_class, parts=self.parts)
            return loss(together.flatten(0, 1), classes.repeat_interleave(of_class))
        loss = ICNNLoss(k=self.k, parts=self.parts, empty="inter")
        shown, names = support.flatten(0, 1), classes.repeat_interleave(support.shape[1])
        if term == "icnn_support":
            return loss(shown, names)
        if term == "icnn_query":
            return loss(asked, labels, reference=shown, reference_labels=names)
        return loss(asked, labels, reference=prototypes, reference_labels=classes)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"terms={self.terms}, weights={self.weights}, temperature={self.temperature}"
