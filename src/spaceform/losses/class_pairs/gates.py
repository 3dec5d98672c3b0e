"""Gates that say for two classes which dimensions they share, and closeness inside the subspace that a gate opens."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize

KINDS = ("sigmoid", "gumbel", "stochastic", "open")
FUSIONS = ("mean", "product")
FORMS = ("global", "subspace")

SIGMA = 0.5
"""Noise of the stochastic gate (Yamada and others, ICML 2020, as the released code sets it)."""

PENALTY = 1e-6
"""Weight of the expected number of open dimensions of the stochastic gate, as the released code sets it."""

SHORTEST = 1e-12
"""Added to squared lengths inside a subspace, where a unit vector may have nothing left."""

BLOCK = 4096
"""Pairs whose gates are computed at a time by ``matrix``."""


def gated_closeness(
    embeddings: torch.Tensor, reference: torch.Tensor, gate: torch.Tensor, *, form: str = "global"
) -> torch.Tensor:
    """Return ``s (B, N)``: closeness of row i to each reference row within the subspace of gate i.

    With unit vectors z, k: ``"global"`` gives ``<g * g * z, k>`` (the gate's size acts as an inverse temperature, too;
    the released code's default), ``"subspace"`` the cosine ``<g * z, g * k> / (|g * z| |g * k|)``. An open gate makes
    both the plain cosine. ``embeddings (B, d)`` and ``reference (N, d)`` of any length above 0, ``gate (B, d)`` >= 0.

    Raises ``InputError`` for other shapes and zero vectors. O(B N d), twice that for ``"subspace"``, and never a
    ``(B, N, d)`` array: ``|g * k|^2 = (g * g) (k * k)^T``.
    """
    check_choice(form, "form", FORMS)
    if gate.shape != embeddings.shape or reference.shape[1:] != embeddings.shape[1:]:
        raise InputError(
            "gate",
            got=f"gate {tuple(gate.shape)} for {tuple(embeddings.shape)} and {tuple(reference.shape)}",
            expected="(B, d), (B, d) and (N, d)",
        )
    rows, keys = l2_normalize(embeddings, name="embeddings"), l2_normalize(reference, name="reference")
    squares = gate * gate
    products = (squares * rows) @ keys.T
    if form == "global":
        return products
    lengths = (squares * rows * rows).sum(1, keepdim=True) + SHORTEST
    return products * (lengths * (squares @ (keys * keys).T + SHORTEST)).rsqrt()


class ClassPairGate(nn.Module):
    """For two classes, how far each dimension is open to them: ``g = sigmoid(MLP((T[a] + T[b]) / 2))`` in (0, 1)^width.

    T is a learned table of classes; the network is ReLU, batch norm, linear, ReLU, batch norm, linear, its last bias 0
    at the start, so that the gate begins half open. ``g(a, b) = g(b, a)``.

    Parameters
    ----------
    n_classes : classes, at least 2. width : dimensions of the gate.
    embed_dim, hidden : of the table and the network; 512 and 1024 in the released code.
    fuse : ``"mean"`` of the two classes' vectors before the network, or ``"product"`` of two gates of one class each.
    kind : ``"sigmoid"``; ``"gumbel"``: a draw of ``sigmoid(logit + G)`` with Gumbel noise G (temperature 1);
        ``"stochastic"``: ``clamp(m + sigma e + 1/2, 0, 1)``, e normal, which pays :attr:`penalty_weight` times the
        expected number of open dimensions, ``sum Phi((m + 1/2) / sigma)``; or ``"open"``: 1, nothing is learned.
        Without noise in evaluation mode.
    seed : of the first weights, and of the draws where no generator is given.

    While training, the network sees each distinct pair of a batch once, and the batch norms count it as often as it
    comes, which is what they would do row by row. In evaluation mode a gate does not depend on the rest of the batch.

    Raises ``InputError`` for labels that are no integers from 0 to ``n_classes - 1``, and for one row in training mode.
    O(P hidden (embed_dim + width)) for P distinct pairs, at most min(B, C (C + 1) / 2).

    >>> gate = ClassPairGate(n_classes=4, width=6, embed_dim=8, hidden=8).eval()
    >>> one, other = gate(torch.tensor([0]), torch.tensor([3])), gate(torch.tensor([3]), torch.tensor([0]))
    >>> one.shape, torch.equal(one, other), gate.matrix().shape
    (torch.Size([1, 6]), True, torch.Size([4, 4]))
    """

    def __init__(
        self,
        *,
        n_classes: int,
        width: int,
        embed_dim: int = 512,
        hidden: int = 1024,
        fuse: str = "mean",
        kind: str = "sigmoid",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_classes = check_integer(n_classes, "n_classes", low=2)
        self.width = check_integer(width, "width", low=1)
        check_integer(embed_dim, "embed_dim", low=1)
        check_integer(hidden, "hidden", low=1)
        self.fuse = check_choice(fuse, "fuse", FUSIONS)
        self.kind = check_choice(kind, "kind", KINDS)
        self.penalty_weight = PENALTY if kind == "stochastic" else 0.0
        if self.kind == "open":
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(check_integer(seed, "seed", low=0))
            self.table = nn.Embedding(self.n_classes, embed_dim)
            self.first_norm = CountedBatchNorm(embed_dim)
            self.inner = nn.Linear(embed_dim, hidden)
            self.second_norm = CountedBatchNorm(hidden)
            self.outer = nn.Linear(hidden, self.width)
        nn.init.zeros_(self.outer.bias)

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the gates ``(B, width)`` of the classes ``first (B,)`` and ``second (B,)``, int64.

        ``generator`` of the draws of gumbel and stochastic gates in training mode (None: torch's global one, which
        the training loop seeds for every step).
        """
        return self.with_penalty(first, second, generator=generator)[0]

    def with_penalty(
        self, first: torch.Tensor, second: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gates, and what is to be added to the loss: the weighted penalty, or None where there is none."""
        for name, labels in (("first", first), ("second", second)):
            check_codes(labels, name, self.n_classes)
        if first.shape != second.shape:
            raise InputError("second", got=f"shape {tuple(second.shape)}", expected=f"{tuple(first.shape)}, as first")
        if self.training and len(first) < 2:
            raise InputError(
                "first", got=f"{len(first)} row(s) in training mode", expected="at least 2", remedy="call eval() first"
            )
        if self.kind == "open":
            return torch.ones(len(first), self.width, device=first.device), None
        logits = self._logits(first, second)
        noise = self._noise(logits, generator) if self.training and self.kind != "sigmoid" else 0.0
        if self.kind == "stochastic":
            opened = (logits + noise + 0.5).clamp(0, 1)
        else:
            opened = torch.sigmoid(logits + noise)
        penalty = self.penalty_weight * _expected_open(logits) if self.penalty_weight else None
        return opened[0] if len(opened) == 1 else opened[0] * opened[1], penalty

    @torch.no_grad()
    def matrix(self) -> torch.Tensor:
        """Return the mean opening ``(C, C)`` of all pairs in evaluation mode, in [0, 1]. O(C^2) gates, in blocks."""
        n, device = self.n_classes, self._device()
        first, second = torch.triu_indices(n, n, device=device)
        was, found = self.training, torch.empty(n, n, device=device)
        self.eval()
        for start in range(0, len(first), BLOCK):
            one, other = first[start : start + BLOCK], second[start : start + BLOCK]
            found[one, other] = found[other, one] = self(one, other).mean(1)
        self.train(was)
        return found

    @torch.no_grad()
    def overlap(self) -> torch.Tensor:
        """Return the cosines ``(C, C)`` of the classes' own gates g(c, c) about their mean: who opens what together.

        In evaluation mode. The mean gate says what is open to everybody; what differs from it relates classes.
        Classes that all have one gate (``kind="open"``) have no relation: 0 off the diagonal. O(C) gates.
        """
        classes = torch.arange(self.n_classes, device=self._device())
        was = self.training
        own = self.eval()(classes, classes)
        self.train(was)
        about = own - own.mean(0)
        unit = about / about.norm(dim=1, keepdim=True).clamp(min=math.sqrt(SHORTEST))
        return (unit @ unit.T).fill_diagonal_(1.0)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"n_classes={self.n_classes}, width={self.width}, fuse={self.fuse!r}, kind={self.kind!r}"

    def _logits(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return ``(1, B, width)`` of the pairs, or for products ``(2, B, width)`` of the classes."""
        if self.fuse == "product":
            classes, places, counts = torch.unique(torch.cat([first, second]), return_inverse=True, return_counts=True)
            return self._network(self.table(classes), counts)[places].view(2, len(first), -1)
        pairs = torch.minimum(first, second) * self.n_classes + torch.maximum(first, second)
        distinct, places, counts = torch.unique(pairs, return_inverse=True, return_counts=True)
        middle = (self.table(distinct // self.n_classes) + self.table(distinct % self.n_classes)) / 2
        return self._network(middle, counts)[places][None]

    def _network(self, vectors: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        inner = self.inner(self.first_norm(vectors.relu(), counts))
        logits: torch.Tensor = self.outer(self.second_norm(inner.relu(), counts))
        return logits

    def _noise(self, logits: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        place = logits.device if generator is None else generator.device
        if self.kind == "stochastic":
            return SIGMA * torch.randn(logits.shape, generator=generator, device=place).to(logits)
        draws = torch.rand(logits.shape, generator=generator, device=place).to(logits)
        tiny = torch.finfo(draws.dtype).tiny
        return -(-draws.clamp(min=tiny).log()).clamp(min=tiny).log()

    def _device(self) -> torch.device:
        return next((value.device for value in self.parameters()), torch.device("cpu"))


class ClassifierGate(nn.Module):
    """The gate that a linear classifier has already: open where the weights of both classes have the same sign.

    ``g = [w_a * w_b > 0]`` in {0, 1}^width; it has no parameters of its own and gives the weights no gradient. The
    released code's variant for classifiers, where the pair loss is added to their cross-entropy. Parameter:
    ``classifier``, whose ``weight (n_classes, width)`` is read at every call. Two classes that agree in nothing have a
    closed gate. Raises ``InputError`` for labels out of range. O(B width).

    >>> linear = nn.Linear(2, 3)
    >>> linear.weight.data = torch.tensor([[1.0, 1.0], [2.0, -1.0], [-1.0, -1.0]])
    >>> ClassifierGate(linear)(torch.tensor([0, 0]), torch.tensor([1, 2]))
    tensor([[1., 0.],
            [0., 0.]])
    """

    def __init__(self, classifier: nn.Linear) -> None:
        super().__init__()
        self.classifier = [classifier]  # in a list: its parameters are not ours

    @property
    def n_classes(self) -> int:
        """Classes of the classifier."""
        return self.classifier[0].out_features

    @property
    def width(self) -> int:
        """Dimensions of the gate."""
        return self.classifier[0].in_features

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the gates ``(B, width)`` of the classes ``first (B,)`` and ``second (B,)``."""
        for name, labels in (("first", first), ("second", second)):
            check_codes(labels, name, self.n_classes)
        weights = self.classifier[0].weight.detach()
        return (weights[first] * weights[second] > 0).to(weights.dtype)


@final
class CountedBatchNorm(nn.Module):
    """Batch norm over rows that each stand for several equal ones: ``norm(rows, counts)``.

    Equal to ``nn.BatchNorm1d`` on ``rows.repeat_interleave(counts, 0)``, running statistics included, at the cost of
    the distinct rows. ``counts (P,)`` int64 > 0, in all at least 2 in training mode. Parameters: ``width`` of the
    rows; ``eps`` and ``momentum`` as in ``nn.BatchNorm1d``. Refuses nothing by itself. O(P width).

    >>> norm = CountedBatchNorm(1)
    >>> rows = norm(torch.tensor([[0.0], [4.0]]), torch.tensor([3, 1])).detach()
    >>> [round(float(row), 3) for row in rows]
    [-0.577, 1.732]
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, width: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, rows: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Return the normalised ``rows (P, width)``."""
        mean, variance = self.running_mean, self.running_var
        if self.training:
            total = counts.sum()
            shares = (counts / total).to(rows.dtype)
            mean = shares @ rows
            variance = shares @ (rows - mean) ** 2
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * total / (total - 1), self.momentum)
        return (rows - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def check_codes(labels: torch.Tensor, name: str, n_classes: int) -> None:
    """Refuse labels that are no integers ``(B,)`` from 0 to ``n_classes - 1``."""
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InputError(name, got=f"{labels.dtype} of shape {tuple(labels.shape)}", expected="integers (B,)")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise InputError(
            name, got=f"labels from {int(labels.min())} to {int(labels.max())}", expected=f"0 to {n_classes - 1}"
        )


def _expected_open(logits: torch.Tensor) -> torch.Tensor:
    """Mean over the rows of the expected number of open dimensions of stochastic gates."""
    return torch.special.ndtr((logits + 0.5) / SIGMA).sum(-1).mean()
