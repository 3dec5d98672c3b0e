"""A network in two halves, cut where features are mixed."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from spaceform.errors import InputError

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
STRAIGHT = (*LINEAR, nn.Identity, nn.Flatten, nn.Dropout, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
"""Layers through which a mixture of two inputs goes as the mixture of the two outputs."""


def halves(net: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """Return ``(trunk, head)`` with ``head(trunk(x)) == net(x)`` and shared weights, cut before the last non-linearity.

    The trunk ends with the last convolution (or linear layer) that a non-linear layer follows, so its output is the
    last map of a convolutional network, before activation and pooling. A cut behind them would be none: through
    average pooling and a linear layer the mixture of two maps is the mixture of their two vectors.

    ``net`` is an ``nn.Sequential``, or has a ``trunk`` and a ``head`` that follow each other, as the networks of this
    library. Raises ``InputError`` for other networks, and where no layer with weights comes before a non-linear one.
    """
    layers = list(_layers(net))
    bends = [place for place, layer in enumerate(layers) if not isinstance(layer, STRAIGHT)]
    weighted = [
        place for place, layer in enumerate(layers) if isinstance(layer, LINEAR) and any(b > place for b in bends)
    ]
    if not weighted:
        raise InputError(
            "net",
            got=type(net).__name__,
            expected="a sequence of layers, with weights before a non-linear one",
            remedy="mix inputs or embeddings instead",
        )
    cut = weighted[-1] + 1
    return nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])


def _layers(net: nn.Module) -> Iterator[nn.Module]:
    if isinstance(net, nn.Sequential):
        for layer in net:
            yield from _layers(layer)
    elif isinstance(getattr(net, "trunk", None), nn.Module) and isinstance(getattr(net, "head", None), nn.Module):
        yield from _layers(net.trunk)  # type: ignore[arg-type]  # a module, as was just seen
        yield from _layers(net.head)  # type: ignore[arg-type]
    else:
        yield net
