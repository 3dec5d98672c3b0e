"""One encoder with a head for known classes and several for novel ones (UNO, ICCV 2021; Cr-KD, ICCV 2023)."""

from __future__ import annotations

from typing import Self, final

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.heads.normalized_linear import NormalizedLinear
from spaceform.rng import derive_seed

HIDDEN, PROJECTED = 2048, 256
"""Widths of the projectors for encoders of 512 and more dimensions; smaller encoders get 4 and 1 times their own."""


@final
class MultiHeadProjector(nn.Module):
    """Projectors ``width -> hidden -> BN -> ReLU -> projected``, one per head, side by side.

    ``forward(features (B, width)) -> (H, B, projected)``, of any length. In training mode a batch of one row is refused
    by the batch normalization; ``norm=False`` leaves that out, as processes with parts of a batch need it.
    """

    def __init__(
        self, *, width: int, n_heads: int, hidden: int = HIDDEN, projected: int = PROJECTED, norm: bool = True
    ):
        super().__init__()
        for value, name in ((width, "width"), (n_heads, "n_heads"), (hidden, "hidden"), (projected, "projected")):
            check_integer(value, name, low=1)
        middle: list[type[nn.Module]] = [nn.BatchNorm1d] if norm else []
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, hidden), *(kind(hidden) for kind in middle), nn.ReLU(), nn.Linear(hidden, projected)
            )
            for _ in range(n_heads)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the projections of every head."""
        return torch.stack([head(features) for head in self.heads])


@final
class NCDNet(nn.Module):
    """Logits over known and novel classes from one encoder: the known head is shared, novel heads are several.

    The known head has a unit vector per class, compared by cosine with the encoder's vector; novel head h has its own
    projector on the vector as it is, and unit vectors compared with the projection. All logits are cosines in [-1, 1].

    Parameters: ``encoder`` from inputs to vectors ``(B, width)``; ``n_known`` >= 2; ``n_novel`` >= 2; ``n_heads`` >= 1;
    ``norm``: batch normalization in the projectors; ``seed`` of all but the encoder.

    ``forward(x) -> (H, B, n_known + n_novel)``. Call :meth:`normalize_` after every step. ``best_head``: the head that
    answers, part of the state. Raises ``InputError`` for other numbers, zero and non-finite vectors.
    """

    best_head: torch.Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_known: int,
        n_novel: int,
        n_heads: int = 4,
        norm: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.width, self.norm, self.n_heads = check_integer(width, "width", low=1), norm, n_heads
        check_integer(n_known, "n_known", low=2)
        self.known = NormalizedLinear(
            width=width, n_classes=n_known, scale=1.0, constraint="project", seed=derive_seed(seed, "known")
        )
        self.register_buffer("best_head", torch.zeros((), dtype=torch.int64))
        self.draw_novel(n_novel, seed=seed)

    @property
    def n_known(self) -> int:
        """Number of known classes."""
        return self.known.n_classes

    @property
    def n_novel(self) -> int:
        """Number of novel classes."""
        return int(self.novel[0].n_classes)  # type: ignore[arg-type]

    def draw_novel(self, n_novel: int, *, seed: int) -> None:
        """Replace projectors and vectors of the novel heads by fresh ones for ``n_novel`` classes."""
        check_integer(n_novel, "n_novel", low=2)
        hidden, projected = min(HIDDEN, 4 * self.width), min(PROJECTED, self.width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "projectors"))
            self.projector = MultiHeadProjector(
                width=self.width, n_heads=self.n_heads, hidden=hidden, projected=projected, norm=self.norm
            )
        self.novel = nn.ModuleList(
            NormalizedLinear(
                width=projected,
                n_classes=n_novel,
                scale=1.0,
                constraint="project",
                seed=derive_seed(seed, "novel", head),
            )
            for head in range(self.n_heads)
        )
        place = self.known.vectors.device
        self.projector.to(place)
        self.novel.to(place)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the encoder's vectors ``(B, width)``, of any length."""
        vectors: torch.Tensor = self.encoder(x)
        return vectors

    def known_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return cosines ``(B, n_known)`` of the encoder's vectors."""
        logits: torch.Tensor = self.known(features)
        return logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return cosines ``(H, B, n_known + n_novel)``."""
        return self.logits(self.encode(x))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return cosines ``(H, B, n_known + n_novel)`` of the encoder's vectors ``(B, width)``."""
        known = self.known_logits(features)
        novel = [head(rows) for head, rows in zip(self.novel, self.projector(features), strict=True)]
        return torch.stack([torch.cat([known, own.to(known)], 1) for own in novel])

    def normalize_(self) -> Self:
        """Bring the vectors of all classes back to unit length, in place."""
        for head in (self.known, *self.novel):
            head.project_()
        return self
