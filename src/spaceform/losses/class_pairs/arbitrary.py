"""Contrastive loss whose positives are rows of another class, inside the subspace that the two classes share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import final

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.class_pairs.gates import FORMS, ClassPairGate, check_codes, gated_closeness
from spaceform.losses.combination import Composable
from spaceform.losses.info_nce import info_nce
from spaceform.ops.batches import check_batch
from spaceform.ops.pairs import row_blocks
from spaceform.rng import derive_seed, torch_generator

MODES = ("arbitrary", "distinct", "identical")
REDUCTIONS = ("pairs", "rows")

FEWEST_CLASSES = 3
"""Negatives are rows of a third class."""


def partner_labels(
    labels: torch.Tensor, mode: str, *, n_classes: int, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return the partner class ``(B,)`` of each row.

    ``mode``: ``"arbitrary"``, the labels of the batch in a random order (a class may meet itself); ``"distinct"``,
    another class, all equally likely, which the batch need not hold; ``"identical"``, the row's own. Draws come from
    ``generator`` (None: torch's global one). O(B).
    """
    check_choice(mode, "mode", MODES)
    if mode == "identical":
        return labels
    place = labels.device if generator is None else generator.device
    if mode == "arbitrary":
        return labels[torch.randperm(len(labels), generator=generator, device=place).to(labels.device)]
    steps = torch.randint(1, n_classes, labels.shape, generator=generator, device=place)
    return (labels + steps.to(labels.device)) % n_classes


def pair_masks(
    labels: torch.Tensor, partners: torch.Tensor, reference_labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which reference rows are positives and which are negatives of each row, bool ``(B, N)``.

    Positives are the rows of the partner class, negatives those of third classes; the row's own class is neither,
    unless it is the partner. O(B N).
    """
    positives = partners[:, None] == reference_labels[None, :]
    return positives, ~positives & (labels[:, None] != reference_labels[None, :])


@final
class ArbitraryPairLoss(Composable, nn.Module):
    """Rows of two arbitrary classes attract each other inside the subspace of their gate, where third classes repel.

    Row i of class y draws a partner class y' and with it the gate g(y, y'). Over the pairs (i, j) with j of class y':
    ``L = mean [ log(exp(l_ij) + sum_(n of a third class) exp(l_in)) - l_ij ]``, ``l = s / temperature`` with the
    :func:`~spaceform.losses.class_pairs.gates.gated_closeness` s. With the open gate and ``mode="identical"`` it is
    :class:`~spaceform.losses.info_nce.InfoNCELoss` (a supervised contrastive loss with one positive per term).

    Parameters
    ----------
    n_classes : at least 3; labels are 0 to ``n_classes - 1``.
    width : dimensions of the embeddings and of the gate; 256 in the released code.
    mode : ``"arbitrary"``, ``"distinct"`` or ``"identical"``, see :func:`partner_labels`.
    form : ``"global"`` or ``"subspace"`` closeness.
    temperature : 0.1. learn_temperature : make it a parameter, kept as the logarithm of its inverse.
    repulsion : start of a learned factor a of ``l -= a <z, k>`` over unit vectors, by which a pair is pushed apart
        outside its subspace (the released code's alpha, not divided by the temperature); 0 leaves it out.
    include_self : with a single view and y' = y, let a row be its own positive, as the released code does.
    reduction : the mean over all ``"pairs"``, or over the pairs of a row and then the ``"rows"``.
    gate : a module called with two tensors of labels; None is a :class:`ClassPairGate` of the released sizes.
    empty : ``"raise"`` a ``NoPairsError`` when no row has a positive and a negative, or return ``"zero"``.
    seed : of the gate's first weights and of the partners where no generator is given.

    Rows without a positive (a partner class that the batch lacks) or without a negative (a batch of two classes) are
    left out of the mean; a warning says so when they are most. Partners come from the forward call's ``generator``;
    without one from ``seed`` and the number of training-mode calls so far, which ``state_dict`` keeps. ``last_log`` has
    the figures of the last call: mean ``opening`` and ``entropy`` of the gates, and ``used``, the share of rows.

    Raises ``InputError`` for bad batches and labels out of range. O(B N width) time and the gate's, memory of one block
    of rows by N: blocks are computed again on the way back where there is more than one.

    >>> loss = ArbitraryPairLoss(n_classes=3, width=4, gate=ClassPairGate(n_classes=3, width=4, kind="open"))
    >>> partners = torch.tensor([1, 1, 2, 0])  # of the classes 0, 0, 1, 2; all rows at right angles
    >>> round(float(loss(torch.eye(4), torch.tensor([0, 0, 1, 2]), partners=partners)), 4)  # (4 log 2 + log 3) / 5
    0.7742
    """

    draws: torch.Tensor

    def __init__(
        self,
        *,
        n_classes: int,
        width: int,
        mode: str = "arbitrary",
        form: str = "global",
        temperature: float = 0.1,
        learn_temperature: bool = False,
        repulsion: float = 0.0,
        include_self: bool = False,
        reduction: str = "pairs",
        gate: nn.Module | None = None,
        empty: str = "raise",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_classes = check_integer(n_classes, "n_classes", low=FEWEST_CLASSES)
        self.width = check_integer(width, "width", low=1)
        self.mode = check_choice(mode, "mode", MODES)
        self.form = check_choice(form, "form", FORMS)
        self.include_self = bool(include_self)
        self.reduction = check_choice(reduction, "reduction", REDUCTIONS)
        self.empty = check_choice(empty, "empty", ("raise", "zero"))
        self.seed = check_integer(seed, "seed", low=0)
        own = ClassPairGate(n_classes=n_classes, width=width, seed=self.seed) if gate is None else gate
        for name, size in (("n_classes", self.n_classes), ("width", self.width)):
            if getattr(own, name, size) != size:
                raise InputError("gate", got=f"{name}={getattr(own, name)}", expected=f"{size}, as of the loss")
        self.gate = own
        check_real(temperature, "temperature", low=0, open_ends=True)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=bool(learn_temperature))
        start = check_real(repulsion, "repulsion", low=0)
        self.repulsion = nn.Parameter(torch.tensor(start)) if start else None
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self.last_log: Mapping[str, float] = {}

    @property
    def temperature(self) -> float:
        """The temperature as it is now."""
        return float((-self.log_scale.detach()).exp())

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        partners: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, width)`` with ``labels (B,)``.

        ``reference (N, width)`` with labels are the keys (a second view of the rows, or the rows of all processes);
        without one the rows are their own keys. ``partners (B,)`` replaces the draw of partner classes.
        """
        rows, keys = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=True
        )
        self._check(rows, labels, reference_labels, partners)
        generator = self._generator() if generator is None else generator
        if partners is None:
            partners = partner_labels(labels, self.mode, n_classes=self.n_classes, generator=generator)
        if isinstance(self.gate, ClassPairGate):
            opened, penalty = self.gate.with_penalty(labels, partners, generator=generator)
        else:
            opened, penalty = self.gate(labels, partners, generator=generator), None
        opened = opened.to(rows.dtype)
        total, used = self._sum(rows, rows if keys is None else keys, opened, (labels, partners, reference_labels))
        self.last_log = _figures(opened.detach(), used / len(rows))
        if used == 0:
            return self._nothing(total)
        if used * 2 < len(rows):
            warnings.warn(
                f"{len(rows) - used} of {len(rows)} rows have no positive or no negative in the batch: "
                "draw several rows of each class, and three classes or more",
                UserWarning,
                stacklevel=2,
            )
        return total if penalty is None else total + penalty.to(total.dtype)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"mode={self.mode!r}, form={self.form!r}, temperature={self.temperature:.4g}"

    def _sum(
        self,
        rows: torch.Tensor,
        keys: torch.Tensor,
        opened: torch.Tensor,
        labels: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None],
    ) -> tuple[torch.Tensor, int]:
        """Return the mean over pairs (or rows) and the number of rows in it."""
        own, partners, others = labels
        parts: list[torch.Tensor] = []
        n_pairs = used = 0
        blocks = list(row_blocks(len(rows), len(keys), itemsize=rows.element_size()))
        for block in blocks:
            positives, negatives = pair_masks(own[block], partners[block], own if others is None else others)
            if others is None and not self.include_self:
                at = torch.arange(block.start, block.stop, device=rows.device)
                positives[at - block.start, at] = False
            good = (positives.any(1) & negatives.any(1)).nonzero()[:, 0]
            if not len(good):
                continue
            near, far = positives[good], negatives[good]
            counts = near.sum(1)
            weights = torch.ones_like(counts) if self.reduction == "pairs" else 1 / counts
            n_pairs, used = n_pairs + int(counts.sum()), used + len(good)
            given = (rows[block][good], keys, opened[block][good], near, far, weights.to(rows.dtype))
            if len(blocks) == 1:
                parts.append(self._block(*given))
            else:
                parts.append(checkpoint(self._block, *given, use_reentrant=False, preserve_rng_state=False))
        if not parts:
            return rows.sum() * 0 + keys.sum() * 0, 0
        return torch.stack(parts).sum() / (n_pairs if self.reduction == "pairs" else used), used

    def _block(
        self,
        rows: torch.Tensor,
        keys: torch.Tensor,
        opened: torch.Tensor,
        near: torch.Tensor,
        far: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        logits = gated_closeness(rows, keys, opened, form=self.form) * self.log_scale.exp().to(rows.dtype)
        if self.repulsion is not None:
            logits = logits - self.repulsion.to(rows.dtype) * (rows @ keys.T)
        return weights @ info_nce(logits, near, near | far, temperature=1.0)

    def _check(
        self,
        rows: torch.Tensor,
        labels: torch.Tensor,
        reference_labels: torch.Tensor | None,
        partners: torch.Tensor | None,
    ) -> None:
        if rows.shape[1] != self.width:
            raise InputError("embeddings", got=f"{rows.shape[1]} columns", expected=f"{self.width}, the gate's width")
        for name, codes in (("labels", labels), ("reference_labels", reference_labels), ("partners", partners)):
            if codes is not None:
                check_codes(codes, name, self.n_classes)
        if partners is not None and partners.shape != labels.shape:
            raise InputError("partners", got=f"shape {tuple(partners.shape)}", expected=f"{tuple(labels.shape)}")

    def _generator(self) -> torch.Generator:
        made = torch_generator(derive_seed(self.seed, "partners", int(self.draws)))
        if self.training:
            self.draws += 1
        return made

    def _nothing(self, zero: torch.Tensor) -> torch.Tensor:
        if self.empty == "zero":
            return zero
        raise NoPairsError(
            "labels",
            got="no row with a positive and a negative",
            expected="rows of three classes or more, several of each",
            remedy="draw batches with MPerClassSampler, or pass empty='zero'",
        )


def _figures(opened: torch.Tensor, used: float) -> dict[str, float]:
    """Return the mean opening of gates, their mean entropy as of coins (nats), and the share of rows that count."""
    odds = opened.double().clamp(1e-12, 1 - 1e-12)
    entropy = -(odds * odds.log() + (1 - odds) * (1 - odds).log()).mean()
    return {"opening": float(opened.mean()), "entropy": float(entropy), "used": used}
