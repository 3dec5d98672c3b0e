"""Networks of the user's own, named by where the function stands that makes them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from spaceform.errors import InputError

FORM = "package.module:function"


def is_address(name: str) -> bool:
    """Return whether ``name`` has the form ``package.module:function``."""
    module, colon, function = name.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def imported_maker(address: str) -> Callable[[tuple[int, ...], int], nn.Module]:
    """Return the function at ``package.module:function``; modules in the working directory are found, too.

    Raises ``InputError`` when there is no such module or function, or importing it fails.
    """
    module, _, function = address.partition(":")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        maker: Callable[[tuple[int, ...], int], nn.Module] = getattr(importlib.import_module(module), function)
    except Exception as error:  # the user's module may raise anything while it loads
        got = f"{address!r} ({type(error).__name__}: {error})"
        raise InputError("net", got=got, expected=f"{FORM}, a function of input shape and dimensions") from error
    finally:
        if added:
            sys.path.remove(here)
    if not callable(maker):
        raise InputError("net", got=f"{address!r}, a {type(maker).__name__}", expected=f"{FORM}")
    return maker


def addressed_net(address: str, shape: tuple[int, ...], dim: int) -> nn.Module:
    """Return the module that the function at ``address`` makes for inputs of ``shape`` and ``dim`` outputs.

    ``shape`` is ``(size, size, channels)`` or ``(d,)``; the module is called with ``(B, channels, size, size)`` in
    [0, 1], or with ``(B, d)``. Raises ``InputError`` when it is no module, fails on such a batch, or gives something
    else than ``(B, dim)``, each told with the shapes.
    """
    maker = imported_maker(address)
    batch = torch.full((2, shape[0]) if len(shape) == 1 else (2, shape[2], shape[0], shape[1]), 0.5)
    expected = f"a function of input shape and dimensions that returns a torch module from {tuple(batch.shape)}"
    expected += f" to (2, {dim})"
    try:
        net = maker(shape, dim)
        answer = _answer(net, batch)
    except Exception as error:  # the user's code may raise anything
        line = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError("net", got=f"{address}, which fails ({line})", expected=expected) from error
    if answer is None:
        raise InputError("net", got=f"{address}, which returned {type(net).__name__}", expected=expected)
    if not isinstance(answer, torch.Tensor) or answer.shape != (2, dim):
        got = f"shape {tuple(answer.shape)}" if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise InputError("net", got=f"{address}, which gives {got}", expected=expected)
    return net


def _answer(net: object, batch: torch.Tensor) -> object:
    """Return what a module makes of a batch outside training; None for what is no module."""
    if not isinstance(net, nn.Module):
        return None
    was_training = net.training
    with torch.no_grad():
        answer: object = net.eval()(batch)
    net.train(was_training)
    return answer
