"""Metrix (ICLR 2022): any loss over pairs, and the same loss once more on mixed examples with fractional labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.combination import Composable, CrossBatchMemory, WeightedSum
from spaceform.losses.fused.fractional import Fractional, PairSets, plain_closeness
from spaceform.losses.mixing.choice import choose, labels_of_mixed, nearest_negatives
from spaceform.losses.mixing.mixtures import mix_features, sample_beta
from spaceform.losses.mixing.points import LARGEST, mixed_closeness
from spaceform.ops.batches import check_batch

PAIRS = ("both", "pos-neg", "anchor-neg")
Head = Callable[[torch.Tensor], torch.Tensor]


@final
class MetrixLoss(Composable, nn.Module):
    """``loss + weight * mixed``: beside its pairs every anchor meets mixtures with fractional labels.

    For an anchor a with positives P(a) and negatives N(a) the mixed term is the same loss over the mixtures
    ``share p + (1 - share) n`` with label ``share``, ``share ~ Beta(alpha, alpha)``; the label belongs to the pair of
    anchor and mixture, not to the mixture. Where things are mixed depends on what the loss is given:

    - embeddings alone: vectors are mixed, all of ``P(a) x N(a)``, from the products of rows, without coordinates;
    - with ``features (B, ...)`` and ``head``: maps inside the network, of which ``head`` makes embeddings, or the
      inputs with the whole network as ``head``. Each row is mixed with its ``negatives`` nearest rows of other
      classes, and every mixture serves all anchors, with another label for each.

    Which losses: those that say what a pair with a fractional label costs (``fractional``), in every closeness and
    geometry that they offer. Mixtures of unit vectors are brought back to unit length, those of flat space lie on
    straight lines, those of other geometries on geodesics.

    - ``ContrastiveLoss``, ``BinomialDevianceLoss``, ``MultiSimilarityLoss``, ``ProxyAnchorLoss`` (whose anchors are
      the proxies): the mixtures alone, as in the paper.
    - ``GeneralizedLiftedLoss``, ``CircleLoss``, ``InfoNCELoss``, ``SupConLoss``, ``FormLoss`` of lifted or NCA forms:
      sums over positives and negatives multiply, so that among mixtures of one share the label does not tell what to
      pull and what to push (an NCA form has no gradient at all); their mixtures stand beside the clean pairs
      (``with_clean``), or take ``lam_per="pair"``.
    - ``ProxyNCALoss``, ``NormalizedSoftmaxLoss``, ``CosFaceLoss``, ``ArcFaceLoss``: as those, but the items are class
      vectors, so embeddings only: a class vector has no features.
    - ``WeightedSum``: every part with the same draws. ``CrossBatchMemory``: give it this loss, not the reverse.
    - Not defined: ``TripletLoss``, ``NPairLoss``, ``LiftedStructureLoss`` (their terms are pairs of pairs, of which no
      share can be taken) and ``SoftTripleLoss`` (a class is a set of centres, which has no mixture).

    Parameters: ``loss``; ``alpha`` (2) of the Beta distribution; ``weight`` (0.4) of the mixed term, 0 leaves it out;
    ``pairs``: ``"pos-neg"``, ``"anchor-neg"`` (the anchor is its own positive), or ``"both"``: one of the two per
    batch, with probability 1/2; ``lam``: a fixed share instead of draws; ``lam_per``: one share per ``"batch"`` or one
    per ``"pair"``; ``with_clean``: whether clean pairs stand beside the mixed ones in the mixed term (None: where the
    loss needs it); ``negatives`` (1) for each row in features; ``max_pairs`` (2^17) mixtures of embeddings per batch,
    drawn where there are more (beyond it, and beyond 2^22 clean pairs, anchors are drawn too).

    Draws come from torch's global generator, which the training loop seeds for every step, or from ``generator`` of
    :meth:`with_figures`. Raises ``InputError`` for losses without fractional labels, bad settings and batches;
    ``NoPairsError`` where nothing can be mixed. O(sum_a |P||N|), about B^2 K for K rows per class, beside the loss;
    features cost one pass of the head over B x ``negatives`` mixtures.

    Traps: a linear head after average pooling makes feature mixing the mixing of vectors before they are normalised;
    batch normalisation in the head sees mixtures as batches of their own.

    >>> from spaceform.losses.contrastive import ContrastiveLoss
    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> loss = MetrixLoss(loss=ContrastiveLoss(closeness="dot"), pairs="pos-neg", lam=0.5)
    >>> value, figures = loss.with_figures(batch, torch.tensor([0, 0, 1]))
    >>> round(figures["mixed"], 4)  # cosines 0.3162, 0.9899: 0.5 (0.6838 + 0.0101) / 2 + 0.5 (0.4899)
    0.4184
    """

    def __init__(
        self,
        *,
        loss: nn.Module,
        alpha: float = 2.0,
        weight: float = 0.4,
        pairs: str = "both",
        lam: float | None = None,
        lam_per: str = "batch",
        with_clean: bool | None = None,
        negatives: int = 1,
        max_pairs: int = 2**17,
    ) -> None:
        super().__init__()
        self.loss = loss
        _parts(loss)
        self.alpha = check_real(alpha, "alpha", low=0, open_ends=True)
        self.weight = check_real(weight, "weight", low=0)
        self.pairs = check_choice(pairs, "pairs", PAIRS)
        self.lam = None if lam is None else check_real(lam, "lam", low=0, high=1)
        self.lam_per = check_choice(lam_per, "lam_per", ("batch", "pair"))
        self.with_clean = with_clean
        self.negatives = check_integer(negatives, "negatives", low=1)
        self.max_pairs = check_integer(max_pairs, "max_pairs", low=1)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
        head: Head | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with integer ``labels (B,)``, or against the reference.

        ``features (B, ...)`` of the same rows and ``head``, which makes embeddings ``(n, d)`` of features: mix those
        instead (not with a reference, whose rows have none).
        """
        value, _ = self.with_figures(
            embeddings,
            labels,
            reference=reference,
            reference_labels=reference_labels,
            features=features,
            head=head,
        )
        return value

    def with_figures(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
        head: Head | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss, and its parts ``clean`` and ``mixed`` (0 when the weight is)."""
        second: dict[str, Any] = {}
        if reference is not None or reference_labels is not None:
            second = {"reference": reference, "reference_labels": reference_labels}
        clean = self.loss(embeddings, labels, **second)
        if self.weight == 0:
            return clean, {"clean": float(clean.detach()), "mixed": 0.0}
        parts = _parts(self.loss)
        sets = [part.pair_sets(embeddings, labels, **second) for part, _ in parts]
        shares = None if self.lam_per == "pair" else self._shares((), generator)
        through = self._through(embeddings, features, head, sets, shares, generator)
        turns = [self.pairs == "anchor-neg"]
        if self.pairs == "both":
            first = bool(torch.rand((), generator=generator) < 0.5)
            turns = [first, not first]
        mixed = torch.zeros_like(clean)
        for (part, factor), compared in zip(parts, sets, strict=True):
            found = self._mixtures(compared, turns, through, shares, generator)
            mixed = mixed + factor * self._term(part, found)
        return clean + self.weight * mixed, {"clean": float(clean.detach()), "mixed": float(mixed.detach())}

    def _term(self, part: Fractional, found: _Found | None) -> torch.Tensor:
        """Return the mixed term of one loss."""
        if found is None:
            if getattr(part, "empty", "raise") == "zero":
                return torch.zeros(())
            raise NoPairsError(
                "labels",
                got="no anchor with anything to mix",
                expected=f"two classes, and for pairs={self.pairs!r} an anchor with both parts",
                remedy="draw batches with MPerClassSampler, or allow pairs='both'",
            )
        closeness, targets, mask = found.closeness, found.targets, found.mask
        beside = self.with_clean
        if part.joint and self.lam_per == "batch" if beside is None else beside:
            same, others = found.sets.masks()
            closeness = torch.cat([found.sets.matrix(), closeness], 1)
            targets = torch.cat([same.to(targets.dtype), targets], 1)
            mask = torch.cat([others, mask], 1)
        return part.fractional(closeness, targets, mask)

    def _mixtures(
        self,
        sets: PairSets,
        turns: list[bool],
        through: _Through | None,
        shares: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> _Found | None:
        """Return the mixtures of the anchors of one loss; ``turns`` says which kind is tried first."""
        sets = sets.some(max(1, LARGEST // max(1, len(sets.items))), generator)
        for with_anchor in turns:
            if through is not None:
                found = _through_head(sets, through, with_anchor=with_anchor)
            else:
                choice = choose(sets, with_anchor=with_anchor, max_pairs=self.max_pairs, generator=generator)
                if choice is None:
                    continue
                drawn = self._shares(choice.mask.shape, generator) if shares is None else shares
                closeness, mask = mixed_closeness(sets, choice, drawn)
                found = _Found(sets, closeness, drawn.to(closeness).expand(mask.shape), mask)
            if bool(found.mask.any()):
                return found
        return None

    def _shares(self, size: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
        if self.lam is not None:
            return torch.full(size, self.lam, dtype=torch.float64)
        return sample_beta(self.alpha, size, generator)

    def _through(
        self,
        embeddings: torch.Tensor,
        features: torch.Tensor | None,
        head: Head | None,
        sets: list[PairSets],
        shares: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> _Through | None:
        """Mix features and bring them through the head, once for all losses."""
        if features is None and head is None:
            return None
        if features is None or head is None or len(features) != len(embeddings):
            got = f"{None if features is None else tuple(features.shape)} and head {head!r}"
            raise InputError("features", got=got, expected=f"features of {len(embeddings)} rows and what embeds them")
        if not all(compared.items_are_rows for compared in sets):
            raise InputError(
                "features",
                got="features for a loss that compares rows with a reference or with class vectors",
                expected="a loss whose items are the rows of the batch",
                remedy="mix embeddings: leave out features and head",
            )
        first, second = nearest_negatives(sets[0], self.negatives)
        drawn = self._shares((len(first),), generator) if shares is None else shares
        if not len(first):
            return _Through(embeddings[:0], first, second, drawn)
        mixed = head(mix_features(features, first, second, drawn.to(features)))
        if mixed.shape != (len(first), embeddings.shape[1]):
            expected = f"({len(first)}, {embeddings.shape[1]})"
            raise InputError("head", got=f"embeddings {tuple(mixed.shape)}", expected=expected)
        return _Through(mixed, first, second, drawn)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        kept = ("alpha", "weight", "pairs", "lam", "lam_per", "with_clean", "negatives", "max_pairs")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in kept)


@dataclass(frozen=True)
class _Through:
    """Mixed features as embeddings ``(V, d)``, of which rows, and by which shares (a scalar or ``(V,)``)."""

    embeddings: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    shares: torch.Tensor


@dataclass(frozen=True)
class _Found:
    """The mixtures of the anchors of a loss: closeness, labels and mask, each ``(A, V)``."""

    sets: PairSets
    closeness: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor


def _through_head(sets: PairSets, through: _Through, *, with_anchor: bool) -> _Found:
    names = sets.item_labels[through.first]
    rows, _ = check_batch(through.embeddings, names, normalize=sets.unit)
    rows, shares = rows.to(sets.anchors.dtype), through.shares.to(sets.anchors).expand(len(rows))
    targets, mask = labels_of_mixed(sets, through.first, through.second, shares, with_anchor=with_anchor)
    return _Found(sets, plain_closeness(sets.closeness, sets.anchors, rows), targets, mask)


def _parts(loss: nn.Module) -> list[tuple[Fractional, float]]:
    """Return the losses that a loss is the weighted sum of; refuse those that know no fractional labels."""
    if isinstance(loss, WeightedSum):
        pairs = zip(loss.losses, loss.weights, strict=True)
        return [(part, factor * own) for inner, factor in pairs for part, own in _parts(inner)]
    if not hasattr(loss, "fractional"):
        outside = isinstance(loss, CrossBatchMemory)
        raise InputError(
            "loss",
            got=type(loss).__name__,
            expected="a loss that says what a pair with a fractional label costs",
            remedy="put the mixing inside: CrossBatchMemory(loss=MetrixLoss(...))"
            if outside
            else "the documentation of MetrixLoss lists them, and why others are not among them",
        )
    fractional: Any = loss
    return [(fractional, 1.0)]
