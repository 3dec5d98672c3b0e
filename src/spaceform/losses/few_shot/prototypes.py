"""Losses between prototypes and queries of episodes (DAFOS-Net, equations of the classification, triplet and
alignment terms; Prototypical networks for the first).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import squared_distances


def prototype_distances(
    embeddings: torch.Tensor, prototypes: torch.Tensor, *, temperature: float = 1.0
) -> torch.Tensor:
    """Return squared Euclidean distances over ``temperature``, ``(n, K)``: what a softmax over classes takes negated.

    ``embeddings (n, d)``, ``prototypes (K, d)``. A ``temperature`` of d makes it the mean over dimensions. O(n K d).
    """
    check_real(temperature, "temperature", low=0, open_ends=True)
    if embeddings.ndim != 2 or prototypes.ndim != 2 or embeddings.shape[1] != prototypes.shape[1]:
        got = f"shapes {tuple(embeddings.shape)} and {tuple(prototypes.shape)}"
        raise InputError("prototypes", got=got, expected="rows of one width")
    return squared_distances(embeddings, prototypes) / temperature


def prototypical_loss(distances: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return ``mean -log softmax_k(-d(q, P_k))[target]`` for ``distances (n, K)`` and ``targets (n,)``. O(n K)."""
    return functional.cross_entropy(-distances, targets)


def prototype_triplet_loss(
    prototypes: torch.Tensor,
    queries: torch.Tensor,
    targets: torch.Tensor,
    *,
    margin: float = 0.5,
    temperature: float = 1.0,
) -> torch.Tensor:
    """Return ``sum_k [mean d(P_k, own queries) - mean d(P_k, all others) + margin]_+``, one hinge a prototype.

    ``prototypes (K, d)``, ``queries (n, d)``, ``targets (n,)`` class numbers with -1 for queries of no class here
    (unknown and made-up ones), which are far from every prototype when all is well. ``d`` is the squared Euclidean
    distance over ``temperature``; ``margin`` >= 0 (0.5 in the released code, which averages over k inside one hinge:
    there a class that is well apart pays for one that is not). A class without own queries has no term.

    Raises ``InputError`` for targets out of range, and when no class has queries of both kinds. O(n K d).
    """
    check_real(margin, "margin", low=0)
    n_classes = len(prototypes)
    if targets.shape != queries.shape[:1] or not bool(((targets >= -1) & (targets < n_classes)).all()):
        raise InputError("targets", got="other lengths or numbers", expected=f"(n,) numbers -1 to {n_classes - 1}")
    distances = prototype_distances(queries, prototypes, temperature=temperature)
    own = (targets[:, None] == torch.arange(n_classes, device=targets.device)).to(distances)
    counts, others = own.sum(0), (1 - own).sum(0)
    used = (counts > 0) & (others > 0)
    if not bool(used.any()):
        raise InputError("targets", got="no class with own and other queries", expected="at least one")
    near = (distances * own).sum(0) / counts.clamp_min(1)
    far = (distances * (1 - own)).sum(0) / others.clamp_min(1)
    return functional.relu(near - far + margin)[used].sum()


def prototype_alignment_loss(
    source: torch.Tensor,
    target: torch.Tensor,
    source_affine: tuple[torch.Tensor, torch.Tensor],
    target_affine: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Return ``|mean_k(g_S P_k,S + b_S) - mean_k(g_T P_k,T + b_T)|``: how far apart the domains' mean prototypes are.

    ``source (K, d)`` and ``target (L, d)`` are prototypes; each affine pair holds scale g and shift b ``(d,)`` of the
    domain's batch norm, which learn with the prototypes. Never negative; the gradient at 0 is 0. Raises ``InputError``
    when widths differ. O((K + L) d).
    """
    widths = {part.shape[-1] for part in (source, target, *source_affine, *target_affine)}
    if len(widths) != 1:
        raise InputError(
            "source", got=f"widths {sorted(widths)}", expected="prototypes, scales and shifts of one width"
        )
    gap = (source * source_affine[0] + source_affine[1]).mean(0) - (target * target_affine[0] + target_affine[1]).mean(
        0
    )
    square = (gap * gap).sum()
    # sqrt has no gradient at 0; there the loss is least and nothing has to move
    return torch.where(square > 0, square, 1.0).sqrt() * (square > 0)
