"""abc-parametrisations: the powers of the width in weights, initial scale and learning rate, and what they decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError

NAMED = ("mup", "ntk", "standard", "standard-stable", "mean-field")
REGIMES = ("feature", "kernel", "trivial", "unstable")

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class ABC:
    """Exponents of an MLP with L hidden layers of width n, for its L + 1 weight matrices.

    ``W_l = n^-a_l w_l`` with ``w_l`` trained from ``N(0, sigma^2 n^(-2 b_l))`` by SGD at rate ``eta n^-c`` (Yang and
    Hu, 2021, definition 1.1; inputs and outputs have fixed widths). ``a`` and ``b`` have L + 1 numbers each.

    Raises ``InputError`` for lists of unequal length, fewer than two numbers, and NaN.

    >>> [(name, ABC.named(name, 2).regime()) for name in ("mup", "ntk", "standard")]
    [('mup', 'feature'), ('ntk', 'kernel'), ('standard', 'unstable')]
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    c: float

    def __post_init__(self) -> None:
        """Check the lengths and store plain floats."""
        if len(self.a) != len(self.b) or len(self.a) < 2:
            got = f"{len(self.a)} and {len(self.b)} exponents"
            raise InputError("a and b", got=got, expected="one per weight matrix in both, L + 1 >= 2")
        for name in ("a", "b"):
            object.__setattr__(self, name, tuple(check_real(value, name) for value in getattr(self, name)))
        object.__setattr__(self, "c", check_real(self.c, "c"))

    @classmethod
    def named(cls, name: str, depth: int = 1) -> Self:
        """Return a scaling by name for ``depth`` hidden layers.

        ``"mup"``, ``"ntk"``, ``"standard"`` (what frameworks do: one rate for all widths), ``"standard-stable"`` (rate
        ``eta / n``) and ``"mean-field"`` (one hidden layer only).
        """
        check_choice(name, "name", NAMED)
        depth = check_integer(depth, "depth", low=1)
        inner = depth - 1
        if name == "mup":
            return cls((-0.5, *[0.0] * inner, 0.5), (0.5,) * (depth + 1), 0.0)
        if name == "ntk":
            return cls((0.0, *[0.5] * depth), (0.0,) * (depth + 1), 0.0)
        if name == "mean-field":
            if depth > 1:
                raise InputError("depth", got=depth, expected="1: mean-field scaling has one hidden layer")
            return cls((0.0, 1.0), (0.0, 0.0), -1.0)
        return cls((0.0,) * (depth + 1), (0.0, *[0.5] * depth), 1.0 if name == "standard-stable" else 0.0)

    @property
    def depth(self) -> int:
        """Number of hidden layers L."""
        return len(self.a) - 1

    def shift(self, theta: float) -> ABC:
        """Return ``a + theta, b - theta, c - 2 theta``: the same function at every step of SGD."""
        theta = check_real(theta, "theta")
        return ABC(tuple(a + theta for a in self.a), tuple(b - theta for b in self.b), self.c - 2 * theta)

    def r(self) -> float:
        """Return r: hidden features move like ``n^-r`` during training."""
        last = min(self.a[-1] + self.b[-1], 2 * self.a[-1] + self.c)
        return last + self.c - 1 + min(2 * a + (number == 0) for number, a in enumerate(self.a[:-1]))

    def is_stable(self) -> bool:
        """Return whether neither features nor outputs blow up, at the start and in training."""
        sums = [a + b for a, b in zip(self.a, self.b, strict=True)]
        return (
            _equal(sums[0], 0.0)
            and all(_equal(total, 0.5) for total in sums[1:-1])
            and _least(sums[-1], 0.5)
            and _least(self.r(), 0.0)
            and _least(2 * self.a[-1] + self.c, 1.0)
            and _least(sums[-1] + self.r(), 1.0)
        )

    def is_nontrivial(self) -> bool:
        """Return whether the scaling is stable and its function changes in training at infinite width."""
        moves = _equal(self.a[-1] + self.b[-1] + self.r(), 1.0) or _equal(2 * self.a[-1] + self.c, 1.0)
        return self.is_stable() and moves

    def regime(self) -> str:
        """Return ``"feature"``, ``"kernel"``, ``"trivial"`` or ``"unstable"``: what is left at infinite width."""
        if not self.is_stable():
            return "unstable"
        if not self.is_nontrivial():
            return "trivial"
        return "feature" if _equal(self.r(), 0.0) else "kernel"


def _equal(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= _TOLERANCE


def _least(value: float, low: float) -> bool:
    return value >= low - _TOLERANCE
