"""A linear classifier on the sphere, to which classes are added without training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self, final

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.resultants import concentrations, mean_directions
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import torch_generator

CONSTRAINTS = ("reparam", "project")
_GROWING = ("vectors", "sums", "counts")


@final
class NormalizedLinear(nn.Module):
    """Logits ``scale * cos(h, w_c)``: rows and class vectors on the unit sphere, no bias, and classes may be added.

    Learned classes have their vectors trained (with any cross-entropy on the logits). A class that is added has the
    mean direction of its examples, ``r / |r|`` with ``r = sum_x h(x) / |h(x)|``; nothing else changes.

    Parameters
    ----------
    width : dimensions of the embeddings.
    n_classes : learned classes; 0 makes a head of added classes only (the disjoint scenario).
    scale : of the cosines, the inverse of a temperature; 10 in the first author's package. It is fixed: with 1
        training stalls, see :func:`spaceform.losses.margin_softmax.normalized_softmax_floor`.
    constraint : ``"reparam"`` divides the vectors by their length in the forward pass; ``"project"`` brings them back
        to unit length after every step (:meth:`project_after`), so that gradients keep their radial part until then.
    seed : of the first vectors, which point in random directions.

    ``forward(embeddings (B, width)) -> (B, classes)``, computed in float32 or float64 whatever autocast says. Learned
    classes come first, added ones follow in the order of their addition. The ``state_dict`` holds the scale and, of
    added classes, sum and number of the examples, so that a loaded head goes on growing; loading resizes the head.

    Raises ``InputError`` for bad settings, NaN, zero rows, rows of another width, examples that balance out, an answer
    without a class and training with one. Warns when ``width < n_classes - 1``: the vectors can't be equally far apart.
    O(B C d) per call, O(n d) to add a class of n examples, O(C d) to remove a learned one.

    Traps: a ReLU right before the head keeps all rows in one orthant, where no cosine falls below 0. With
    ``"project"``, a copy whose weights were averaged is inside the sphere until :meth:`project_`; in ``eval`` mode the
    vectors are always taken at unit length.

    >>> head = NormalizedLinear(width=2, n_classes=2).eval()
    >>> head.vectors.data = torch.tensor([[1.0, 0.0], [-0.5, 0.75**0.5]])  # at 0 and 120 degrees
    >>> head.add_class(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))  # the mean direction is at 45 degrees
    2
    >>> query = torch.tensor([[0.5, 0.75**0.5]])  # at 60 degrees
    >>> [round(p, 5) for p in head(query).softmax(1)[0].tolist()]
    [0.0093, 0.0093, 0.98141]
    """

    scale: torch.Tensor
    sums: torch.Tensor
    counts: torch.Tensor

    def __init__(
        self, *, width: int, n_classes: int, scale: float = 10.0, constraint: str = "reparam", seed: int = 0
    ) -> None:
        super().__init__()
        self.width = check_integer(width, "width", low=1)
        check_integer(n_classes, "n_classes", low=0)
        self.constraint = check_choice(constraint, "constraint", CONSTRAINTS)
        first = torch.randn(n_classes, self.width, generator=torch_generator(check_integer(seed, "seed", low=0)))
        self.vectors = nn.Parameter(l2_normalize(first, name="vectors"))
        self.register_buffer("scale", torch.tensor(check_real(scale, "scale", low=0, open_ends=True)).double())
        self.register_buffer("sums", torch.zeros(0, self.width, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64))
        if self.width < n_classes - 1:
            warnings.warn(
                f"{n_classes} classes in {self.width} dimensions: the floor of the loss can't be reached below "
                f"{n_classes - 1} dimensions",
                UserWarning,
                stacklevel=2,
            )

    @classmethod
    def from_vectors(cls, vectors: torch.Tensor, *, scale: float = 10.0) -> NormalizedLinear:
        """Return a head with learned classes along ``vectors (C, d)``, such as those of a normalised softmax loss."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they are trained already
            head = cls(width=vectors.shape[1], n_classes=0, scale=scale).to(vectors.device)
        head.vectors = nn.Parameter(l2_normalize(vectors.detach().clone(), name="vectors"))
        return head

    @property
    def n_classes(self) -> int:
        """Learned and added classes."""
        return len(self.vectors) + len(self.sums)

    @property
    def weight(self) -> torch.Tensor:
        """Unit vectors ``(C, width)`` of all classes, learned ones first."""
        return self._rows(l2_normalize(self.vectors, name="vectors"))

    @property
    def concentration(self) -> torch.Tensor:
        """Mean resultant length in (0, 1] of the examples of each added class: near 0, one vector says little."""
        return concentrations(self.sums, self.counts)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)`` of ``embeddings (B, width)``."""
        rows = self._check(embeddings, "embeddings")
        learns = self.training and torch.is_grad_enabled()
        if self.n_classes < (2 if learns else 1):
            raise InputError(
                "n_classes",
                got=self.n_classes,
                expected="at least 2 to train" if learns else "at least 1",
                remedy="add a class first" if self.n_classes == 0 else "train with more classes, or call eval()",
            )
        with torch.autocast(rows.device.type, enabled=False):
            free = self.constraint == "project" and self.training
            weight = self._rows(self.vectors) if free else self.weight
            logits: torch.Tensor = self.scale.to(rows.dtype) * (rows @ weight.to(rows.dtype).T)
            return logits

    @torch.no_grad()
    def project_(self) -> Self:
        """Bring the learned vectors back to unit length, in place."""
        self.vectors.copy_(l2_normalize(self.vectors, name="vectors"))
        return self

    def project_after(self, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Call :meth:`project_` after every step of ``optimizer``; the handle's ``remove()`` ends it."""

        def project(*_: object) -> None:
            self.project_()

        return optimizer.register_step_post_hook(project)

    @torch.no_grad()
    def add_class(self, support: torch.Tensor) -> int:
        """Add a class from its examples ``support (n, width)``, n >= 1, and return its number."""
        total, count = self._resultant(support)
        self.sums = torch.cat([self.sums, total])
        self.counts = torch.cat([self.counts, count])
        return self.n_classes - 1

    @torch.no_grad()
    def update_class(self, k: int, support: torch.Tensor) -> None:
        """Add further examples ``support (n, width)`` to added class ``k``; as if it had had them from the start."""
        place = check_integer(k, "k", low=len(self.vectors), high=self.n_classes - 1) - len(self.vectors)
        sums, counts = self.sums.clone(), self.counts.clone()
        total, count = self._resultant(support, start=(sums[place], counts[place]))
        sums[place], counts[place] = total[0], count[0]
        self.sums, self.counts = sums, counts

    @torch.no_grad()
    def remove_class(self, k: int) -> None:
        """Take class ``k`` out; the numbers of later ones fall by one. A learned class needs a new optimiser then."""
        check_integer(k, "k", low=0, high=self.n_classes - 1)
        if self.n_classes == 1:
            raise InputError("k", got="the last class", expected="a head keeps at least one")
        place = k - len(self.vectors)
        if place < 0:
            self.vectors = nn.Parameter(_without(self.vectors.detach(), k), self.vectors.requires_grad)
        else:
            self.sums, self.counts = _without(self.sums, place), _without(self.counts, place)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        sizes = f"width={self.width}, learned={len(self.vectors)}, added={len(self.sums)}"
        return f"{sizes}, scale={float(self.scale):g}, constraint={self.constraint!r}"

    def _rows(self, learned: torch.Tensor) -> torch.Tensor:
        if len(self.sums) == 0:
            return learned
        return torch.cat([learned, l2_normalize(self.sums).to(learned)])

    def _resultant(
        self, support: torch.Tensor, start: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sum ``(1, width)`` and number ``(1,)`` of the examples and what was there before."""
        rows = self._check(support, "support").to(self.sums)
        if len(rows) == 0:
            raise InputError("support", got="no rows", expected="at least one example of the class")
        total, count = l2_normalize(rows).sum(0), self.counts.new_tensor(len(rows))
        if start is not None:
            total, count = total + start[0], count + start[1]
        mean_directions(total[None], count[None])  # refuses examples that balance out
        return total[None], count[None]

    def _check(self, rows: torch.Tensor, name: str) -> torch.Tensor:
        """Return unit rows, float32 or float64."""
        if rows.ndim != 2 or not rows.is_floating_point() or rows.shape[1] != self.width:
            got = f"{rows.dtype} of shape {tuple(rows.shape)}"
            raise InputError(name, got=got, expected=f"floats of shape (B, {self.width})")
        if not torch.isfinite(rows.detach()).all():
            raise InputError(name, got="NaN or an infinity", expected="finite values")
        return l2_normalize(rows if rows.dtype == torch.float64 else rows.float(), name=name)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        exact = self.scale, self.sums
        super()._apply(fn, recurse)
        # what grows is kept in float64 even where the network goes to half precision
        self.scale, self.sums = (kept.to(self.vectors.device) for kept in exact)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in _GROWING:
            saved, own = state_dict.get(prefix + name), getattr(self, name).detach()
            if saved is not None and saved.shape != own.shape and saved.shape[1:] == own.shape[1:]:
                resized = torch.zeros(saved.shape, dtype=own.dtype, device=own.device)
                setattr(self, name, nn.Parameter(resized) if name == "vectors" else resized)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _without(rows: torch.Tensor, place: int) -> torch.Tensor:
    return torch.cat([rows[:place], rows[place + 1 :]])
