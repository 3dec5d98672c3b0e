"""ICNN: how close own-class neighbours are, how far foreign ones, how many are own; minus its logarithm as a loss.

Mendez-Ruiz and others, SuSana Distancia is all you need, 2023; the rule as in the first author's code. The same score
for arrays of any size is :func:`spaceform.metrics.icnn.icnn_score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.combination import Composable
from spaceform.ops.batches import check_batch

SMOOTH, NEAR_ZERO = 1e-6, 1e-7
"""Inside the square root of distances, and under divisors and logarithms (the code's)."""

PARTS = ("intra", "inter", "gamma")


class ICNNParts(NamedTuple):
    """Scalars in [0, 1], larger is better: ``intra``, ``inter`` (with gradients), ``gamma`` (a count, without)."""

    intra: torch.Tensor
    inter: torch.Tensor
    gamma: torch.Tensor


def smooth_distances(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return ``sqrt(|u - v|^2 + 1e-6)`` ``(n, m)``, which has a slope where rows meet. O(n m d) time, O(n m) memory."""
    exact = torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")
    return (exact * exact + SMOOTH).sqrt()


def icnn_parts(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    k: int = 4,
    window: int | None = None,
    drop_first: str = "self",
) -> ICNNParts:
    """Return the three parts of the score of ``embeddings (n, d)`` among themselves or ``reference (m, d)``.

    Each row looks at its ``window`` nearest others (``k + 1`` unless given), of which the first ``k`` are scored;
    ``k`` becomes ``m - 2`` where fewer are there. ``intra``: 1 minus the mean distance of own-class neighbours over
    that of the nearest foreign one in the window (each row's ratios are divided by the largest, if that is above 1);
    ``inter``: the mean distance of foreign neighbours over the largest of all of them, 1 if there are none; means are
    over neighbours, then over the rows that have any. ``gamma``: the share of own-class neighbours, 1 where k was cut.

    ``drop_first``: ``"self"`` leaves a row out of its own neighbours; ``"legacy"`` drops the nearest of every row, even
    among a reference, as the released code does. Raises ``InputError`` for ``k < 1``, ``window < k``, a window
    beyond the rows that are there, and fewer than three of these. O(n m (d + log m)).
    """
    targets = embeddings if reference is None else reference
    target_labels = labels if reference_labels is None else reference_labels
    within, m = reference is None, len(targets)
    legacy = check_choice(drop_first, "drop_first", ("self", "legacy")) == "legacy"
    dropped = int(within or legacy)
    few, k, window = check_window(k, window, m, dropped)
    distances = smooth_distances(embeddings, targets)
    keys = distances.detach()
    if within and not legacy:
        keys = keys.clone().fill_diagonal_(torch.inf)
    order = keys.argsort(dim=1, stable=True)[:, int(legacy) :][:, :window]
    near = distances.gather(1, order)
    own = target_labels[order] == labels[:, None]
    first, mine = near[:, :k], own[:, :k]
    foreign = near.masked_fill(own, torch.inf).amin(1, keepdim=True)
    known = torch.isfinite(foreign)
    # an infinite reference would give 0 times infinity in the gradient
    ratios = torch.where(known, first / (torch.where(known, foreign, 1.0) + NEAR_ZERO), 0.0)
    ratios = ratios / ratios.amax(1, keepdim=True).clamp(min=1)
    intra = 1 - _mean_of_rows(ratios, mine, absent=0.0)
    others = first.masked_fill(mine, 0.0)
    inter = _mean_of_rows(others / others.amax().clamp(min=NEAR_ZERO), ~mine, absent=1.0)
    gamma = torch.ones_like(intra) if few else mine.to(near).mean()
    return ICNNParts(intra, inter, gamma.detach())


def check_window(k: int, window: int | None, m: int, dropped: int) -> tuple[bool, int, int]:
    """Return whether ``k`` was cut for ``m`` targets, ``k`` and the window; refuse what can't be looked at."""
    check_integer(k, "k", low=1)
    few = k + 2 >= m
    scored = m - 2 if few else k
    if scored < 1:
        raise InputError("reference", got=f"{m} rows to look at", expected="at least three")
    seen = scored + 1 if window is None else check_integer(window, "window", low=scored)
    if seen > m - dropped:
        raise InputError("window", got=seen, expected=f"at most {m - dropped} of {m} rows", remedy="lower k or window")
    return few, scored, seen


def _mean_of_rows(values: torch.Tensor, mask: torch.Tensor, *, absent: float) -> torch.Tensor:
    """Return the mean over rows that have a masked entry of the mean of these; ``absent`` if none has."""
    counts = mask.sum(1)
    some = counts > 0
    if not bool(some.any()):
        return values.sum() * 0 + absent
    return (values.masked_fill(~mask, 0.0).sum(1)[some] / counts[some]).mean()


@final
class ICNNLoss(Composable, nn.Module):
    """Minus the log of the ICNN score: own-class neighbours near, foreign ones far and few.

    ``score = (L + gamma) / 2`` with ``L = (intra + inter) / 2``, in (0, 1]; see :func:`icnn_parts`. ``gamma`` is a
    count without gradient, which only scales that of ``L`` by ``1 / (L + gamma)``.

    Parameters: ``k`` (4) neighbours are scored, of a ``window`` (None: k + 1) that looks for the nearest foreign row:
    where no foreign row is in it nothing is left to learn, so take at least the size of a class (the paper's full form
    has supports plus queries of a class). ``parts``: those of ``"intra"``, ``"inter"``, ``"gamma"`` that count (all).
    ``drop_first``: see :func:`icnn_parts`. ``empty``: ``"raise"`` a ``NoPairsError`` for a batch in which no row has
    another of its class to find, or let ``"inter"`` act alone (``intra`` is then 1).

    Raises ``InputError`` for bad batches, ``k < 1``, a window below k or beyond the batch; ``NoPairsError``, also for a
    single class. O(n m (d + log m)) for n rows and m rows of the reference.

    Traps: it does not feel the scale, so logits need another loss; ``inter`` is relative to the farthest foreign
    neighbour, so foreign rows that are equally near to all count as well apart; neighbours jump as rows move.

    >>> points = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> round(float(ICNNLoss(k=2)(points, torch.tensor([0, 0, 0, 1, 1, 1]))), 4)  # -log 0.9626
    0.0381
    """

    def __init__(
        self,
        *,
        k: int = 4,
        window: int | None = None,
        parts: Sequence[str] = PARTS,
        drop_first: str = "self",
        empty: str = "raise",
    ) -> None:
        super().__init__()
        self.k = check_integer(k, "k", low=1)
        self.window = None if window is None else check_integer(window, "window", low=self.k)
        self.parts = tuple(check_choice(part, "parts", PARTS) for part in parts)
        if len(set(self.parts)) < len(self.parts) or not {"intra", "inter"} & set(self.parts):
            raise InputError("parts", got=self.parts, expected="each once, with intra or inter among them")
        self.drop_first = check_choice(drop_first, "drop_first", ("self", "legacy"))
        self.empty = check_choice(empty, "empty", ("raise", "inter"))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (n, d)`` with integer ``labels (n,)``, among themselves or others."""
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=False
        )
        names = labels if reference_labels is None else reference_labels
        same = labels[:, None] == names[None, :]
        pairs = int(same.sum()) - (len(labels) if columns is None else 0)
        if bool(same.all()) or (pairs == 0 and self.empty == "raise"):
            got = "rows of one class only" if bool(same.all()) else "no two rows of one class"
            raise NoPairsError("labels", got=got, expected="two classes, one of them with a row to find")
        found = icnn_parts(
            rows,
            labels,
            reference=columns,
            reference_labels=reference_labels,
            k=self.k,
            window=self.window,
            drop_first=self.drop_first,
        )
        shape = [getattr(found, part) for part in self.parts if part != "gamma"]
        score = torch.stack(shape).mean()
        if "gamma" in self.parts:
            score = (score + found.gamma) / 2
        return -score.clamp(min=NEAR_ZERO).log()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"k={self.k}, window={self.window}, parts={self.parts}"
