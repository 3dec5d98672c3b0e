"""Losses on learned stand-ins for classes: ProxyNCA, proxy anchor, SoftTriple."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from torch.nn.functional import cross_entropy

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, in_order, sum_blocks
from spaceform.losses.fused.class_loss import ClassLoss
from spaceform.losses.fused.exponents import exponentiate
from spaceform.losses.fused.fractional import PairSets
from spaceform.losses.fused.measures import measure
from spaceform.losses.generic_pair import nca_form, proxy_anchor_form, softmax_form
from spaceform.losses.margin_softmax import weigh_softmax
from spaceform.losses.multi_similarity import weigh_exponentials
from spaceform.ops.pairs import l2_normalize
from spaceform.ops.triplets import label_order


def proxy_nca(
    cosines: torch.Tensor, labels: torch.Tensor, *, scale: float = 1.0, own_in_sum: bool = True
) -> torch.Tensor:
    """Return ``(A,)`` of ``-log(exp(-scale |x - p_y|^2) / sum_z exp(-scale |x - p_z|^2))`` on the unit sphere.

    Squared distances of unit vectors are ``2 - 2 c``. ``own_in_sum``: whether the sum has the class itself (ProxyNCA++,
    Teh and others, ECCV 2020) or only the others (Movshovitz-Attias and others, ICCV 2017,
    where the loss may be negative). ``cosines (A, C)``, ``labels (A,)``. O(A C).
    """
    scores = 2 * scale * (cosines - 1)
    own = scores.gather(1, labels[:, None])
    rivals = scores if own_in_sum else scores.scatter(1, labels[:, None], -torch.inf)
    return rivals.logsumexp(1) - own[:, 0]


def soft_triple(
    cosines: torch.Tensor, labels: torch.Tensor, *, scale: float = 20.0, gamma: float = 0.1, margin: float = 0.01
) -> torch.Tensor:
    """Return ``(A,)`` of the cross-entropy of ``scale s``, with ``s_y - margin`` for the true class.

    ``s_c = sum_k softmax_k(c_kc / gamma) c_kc`` is the soft maximum of the cosines with the centres of a class.
    ``cosines (A, K, C)``, ``labels (A,)``. Qian and others, ICCV 2019. O(A C K).
    """
    scores = ((cosines / gamma).softmax(1) * cosines).sum(1)
    shift = torch.zeros_like(scores).scatter(1, labels[:, None], margin)
    return cross_entropy(scale * (scores - shift), labels, reduction="none")


@final
class ProxyNCALoss(ClassLoss):
    """Mean of :func:`proxy_nca`: a row must be nearer to the proxy of its class than to the others.

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``scale`` (1) of the squared distances (9 in ProxyNCA++); ``own_in_sum``: see the function. With the
    class in the sum it is the normalised softmax at temperature ``1 / (2 scale)``.

    Raises ``InputError`` for bad batches and labels out of range. O(B C d) time, memory of one block. Equal to
    pytorch-metric-learning's ``ProxyNCALoss`` with the same vectors and ``own_in_sum``.

    >>> loss = ProxyNCALoss(n_classes=2, width=2)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-2))
    0.1269
    """

    joint = True

    def __init__(
        self, *, n_classes: int, width: int, scale: float = 1.0, own_in_sum: bool = True, seed: int = 0
    ) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.scale = check_real(scale, "scale", low=0, open_ends=True)
        self.own_in_sum = own_in_sum

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own, scale = cosines.gather(1, labels), 2 * self.scale
        if self.own_in_sum:
            return weigh_softmax(cosines, labels, target=own, slope=torch.ones_like(own), scale=scale)
        cosines.scatter_(1, labels, -torch.inf)
        total, log_total = exponentiate(cosines, scale)
        cosines.mul_(scale / total).scatter_(1, labels, -scale)
        return (log_total - scale * own)[:, 0]

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        scale = 2 * self.scale
        if not self.own_in_sum:
            return nca_form(1 / scale)(closeness, targets, mask).mean()
        return softmax_form(lambda s: scale * s, lambda s: scale * s)(closeness, targets, mask).mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, scale={self.scale}"


@final
class ProxyAnchorLoss(ClassLoss):
    """Every proxy as an anchor of the batch: all rows of its class pull it, all others push it, the hard ones most.

    ``mean_(c with rows) log(1 + sum_(x of c) exp(-alpha (s - margin)))
    + mean_(all c) log(1 + sum_(x not of c) exp(alpha (s + margin)))`` for cosines s (Kim and others, CVPR 2020,
    equation 4).

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``margin`` (0.1), ``alpha`` (32), the settings of the paper (which trains proxies at 100 times the base rate).

    Raises ``InputError`` for bad batches and labels out of range. O(B C d) time, memory of one block. Equal to
    pytorch-metric-learning's ``ProxyAnchorLoss`` with the same vectors.

    >>> loss = ProxyAnchorLoss(n_classes=2, width=2, alpha=1.0)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # 0.3412 + 0.7444 / 2
    0.7134
    """

    joint = False

    def __init__(self, *, n_classes: int, width: int, margin: float = 0.1, alpha: float = 32.0, seed: int = 0) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed)
        self.margin = check_real(margin, "margin", low=0, high=1)
        self.alpha = check_real(alpha, "alpha", low=0, open_ends=True)

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError  # the anchors are the vectors, so a block has rows of those: see _sum

    def _sum(
        self, batch: tuple[torch.Tensor, torch.Tensor], vectors: torch.Tensor, wants: tuple[bool, bool]
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        rows, labels = batch
        ordered = label_order(
            vectors, torch.arange(self.n_classes, device=labels.device), reference=rows, reference_labels=labels
        )
        present = int((ordered.pairs > 0).sum())

        def weigh(block: Block) -> tuple[torch.Tensor, int]:
            values = weigh_exponentials(
                block,
                slopes=(self.alpha, self.alpha),
                bases=(self.margin, -self.margin),
                weights=(1 / present, 1 / self.n_classes),
            )
            return values, 0

        compared = measure("dot", ordered.rows, ordered.columns, wants=(wants[1], wants[0]))
        value, _ = sum_blocks(ordered, compared, weigh)
        row_gradient = in_order(compared.column_gradient, ordered.column_order, 1.0)
        return value, row_gradient, in_order(compared.row_gradient, ordered.row_order, 1.0)

    def pair_sets(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> PairSets:
        """Return what is compared for a batch: the vectors of the classes as anchors with the rows as items."""
        sets = super().pair_sets(embeddings, labels, reference=reference, reference_labels=reference_labels)
        return replace(
            sets,
            anchors=sets.items,
            anchor_labels=sets.item_labels,
            items=sets.anchors,
            item_labels=sets.anchor_labels,
            items_are_rows=True,
        )

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        form, nothing = proxy_anchor_form(self.alpha, self.margin), torch.zeros_like(mask)
        pull = form.parts(closeness, targets, positives=mask, negatives=nothing)
        push = form.parts(closeness, targets, positives=nothing, negatives=mask)
        present = (mask & (targets > 0)).any(1).sum()
        return pull.sum() / present.clamp(min=1) + push.mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, margin={self.margin}, alpha={self.alpha}"


@final
class SoftTripleLoss(ClassLoss):
    """Mean of :func:`soft_triple` plus a pull that merges centres a class does not need.

    Parameters: ``n_classes``, ``width``, ``seed``: see :class:`~spaceform.losses.fused.class_loss.ClassLoss`;
    ``centers`` (10) per class, of which number k of class c is row ``k n_classes + c`` of ``vectors``; ``scale`` (20,
    the paper's lambda), ``gamma`` (0.1) the temperature among the centres of a class, ``margin`` (0.01); ``merge``
    (0.2, the paper's tau), the weight of ``sum_c sum_(s < t) |w_cs - w_ct| / (C K (K - 1))``. With one
    centre and margin 0 it is the normalised softmax at temperature ``1 / scale``.

    Raises ``InputError`` for bad batches and labels out of range. O(B C K d) time, memory of two blocks. Equal to
    pytorch-metric-learning's ``SoftTripleLoss`` with the same vectors and ``merge=0``, and to that with its
    ``SparseCentersRegularizer`` as weight regulariser otherwise.

    >>> loss = SoftTripleLoss(n_classes=2, width=2, centers=1, scale=2.0, margin=0.5)
    >>> loss.vectors.data = torch.eye(2)
    >>> round(loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).item(), 4)  # log(1 + exp(-1))
    0.3133
    """

    def __init__(
        self,
        *,
        n_classes: int,
        width: int,
        centers: int = 10,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        merge: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(n_classes=n_classes, width=width, seed=seed, vectors_per_class=centers)
        self.scale = check_real(scale, "scale", low=0, open_ends=True)
        self.gamma = check_real(gamma, "gamma", low=0, open_ends=True)
        self.margin = check_real(margin, "margin", low=0, high=2)
        self.merge = check_real(merge, "merge", low=0)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, width)`` with ``labels (B,)`` from 0 to ``n_classes - 1``."""
        value = super().forward(embeddings, labels, reference=reference, reference_labels=reference_labels)
        return value + self.merge * self.spread().to(value.dtype) if self.merge else value

    def spread(self) -> torch.Tensor:
        """Return the mean distance between centres of one class, halved as in the paper; 0 with one centre."""
        k = self.vectors_per_class
        centers = l2_normalize(self.vectors, name="vectors").view(k, self.n_classes, self.width).transpose(0, 1)
        first, second = torch.triu_indices(k, k, 1, device=centers.device)
        cosines = (centers @ centers.transpose(1, 2))[:, first, second]
        # the distance has no slope where centres meet: a small number keeps it finite
        distances = (2 - 2 * cosines.clamp(max=1) + torch.finfo(cosines.dtype).tiny ** 0.5).sqrt()
        return distances.sum() / max(1, self.n_classes * k * (k - 1))

    def _weigh(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        height, k = len(cosines), self.vectors_per_class
        grouped = cosines.view(height, k, self.n_classes)
        shares = (grouped / self.gamma).softmax(1)
        scores = (shares * grouped).sum(1)
        # d score / d cosine = share (1 + (cosine - score) / gamma)
        grouped.sub_(scores[:, None]).div_(self.gamma).add_(1).mul_(shares)
        own = scores.gather(1, labels)
        values = weigh_softmax(scores, labels, target=own - self.margin, slope=torch.ones_like(own), scale=self.scale)
        grouped.mul_(scores[:, None])
        return values

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, centers={self.vectors_per_class}, scale={self.scale}"
