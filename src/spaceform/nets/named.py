"""Encoders by name, so that a setting which is plain text says which network it is."""

from __future__ import annotations

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.nets.addressed import addressed_net, is_address
from spaceform.nets.conv import ConvNet
from spaceform.nets.inception import Inception, ZeilerFergus
from spaceform.nets.mlp import mlp
from spaceform.nets.vision import VisionNet
from spaceform.rng import derive_seed

NAMES = (
    "'conv', 'conv:<width>' such as 'conv:0.5', 'nn1' to 'nn4', these with ':plain' (no batch norm), 'mlp', "
    "'transformers:<folder>', or a function of yours as 'package.module:function'"
)
KINDS = ("auto", "conv", "nn1", "nn2", "nn3", "nn4", "mlp", "transformers")
HIDDEN = 256
"""Width of the hidden layer of the perceptron."""


def is_net_name(name: str) -> bool:
    """Return whether :func:`named_net` has a network of this kind, or the name is the address of a function."""
    return name.partition(":")[0] in KINDS or is_address(name)


def named_net(name: str, shape: tuple[int, ...], dim: int, *, seed: int) -> nn.Module:
    """Return a fresh network for inputs of ``shape`` with vectors of ``dim`` dimensions, drawn by ``seed``.

    ``shape`` is ``(d,)`` for vectors or ``(size, size, channels)`` for pictures. ``name``: ``"auto"`` takes ``"conv"``
    for pictures and ``"mlp"`` (one hidden layer of 256 units) for vectors; ``"conv:0.5"`` has half the channels;
    ``"nn1"`` to ``"nn4"`` are those of FaceNet, ``"nn2:plain"`` without batch norm as in its tables.
    ``"transformers:FOLDER"`` is a pretrained picture model (:class:`spaceform.nets.vision.VisionNet`), and
    ``"package.module:function"`` a function of shape and dimensions that returns a module. Raises ``InputError`` for
    other names, and for a network that does not fit the shape.
    """
    check_integer(dim, "embedding_dim", low=1)
    kind, _, detail = name.partition(":")
    pictures = len(shape) == 3
    if kind not in KINDS and is_address(name):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            return addressed_net(name, shape, dim)
    if kind not in KINDS:
        raise InputError("net", got=repr(name), expected=NAMES)
    if kind == "auto" and not detail:
        kind = "conv" if pictures else "mlp"
    if pictures == (kind == "mlp"):
        what = "pictures" if pictures else "vectors"
        raise InputError("net", got=f"{name!r} for {what}", expected="'mlp' for vectors, another net for pictures")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if kind == "mlp" and not detail:
            return mlp((shape[0], HIDDEN, dim))
        if kind == "conv":
            return ConvNet(size=shape[0], channels=shape[2], dim=dim, width=_width(name, detail))
        if kind == "transformers" and detail:
            return VisionNet.open(detail, dim=dim)
        if detail in {"", "plain"} and kind == "nn1":
            return ZeilerFergus(size=shape[0], channels=shape[2], dim=dim, batch_norm=not detail)
        if detail in {"", "plain"} and kind in {"nn2", "nn3", "nn4"}:
            return Inception(name=kind, channels=shape[2], dim=dim, batch_norm=not detail)
    raise InputError("net", got=repr(name), expected=NAMES)


def _width(name: str, detail: str) -> float:
    try:
        return float(detail) if detail else 1.0
    except ValueError as error:
        raise InputError("net", got=repr(name), expected=NAMES) from error
