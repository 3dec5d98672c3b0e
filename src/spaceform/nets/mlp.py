"""Multi-layer perceptrons from a list of widths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def mlp(
    widths: Sequence[int], *, activation: str = "relu", norm: str | None = "batch", dropout: float = 0.0
) -> nn.Sequential:
    """Return linear layers ``widths[0] -> widths[1] -> ...``, with activation, norm and dropout between them.

    The order between two layers is activation, normalization, dropout (the released code of PBN); nothing follows
    the last layer. ``norm`` is "batch", "layer" or None; without ``dropout`` (in [0, 1)) there is no such module.
    In training mode batch normalization refuses a batch of one row.

    Raises ``InputError`` for fewer than two widths, widths below 1 and unknown names.
    """
    if len(widths) < 2:
        raise InputError("widths", got=f"{len(widths)} widths", expected="at least 2: input and output")
    sizes = [check_integer(width, "widths", low=1) for width in widths]
    check_choice(activation, "activation", tuple(ACTIVATIONS))
    check_choice(norm or "batch", "norm", tuple(NORMS))
    share = check_real(dropout, "dropout", low=0, high=1)
    layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
    for width, following in pairwise(sizes[1:]):
        layers.append(ACTIVATIONS[activation]())
        if norm is not None:
            layers.append(NORMS[norm](width))
        if share > 0:
            layers.append(nn.Dropout(share))
        layers.append(nn.Linear(width, following))
    return nn.Sequential(*layers)
