"""Losses by name, so that a setting which is plain text says what is trained."""

from __future__ import annotations

import copy
import difflib
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn

from spaceform import losses
from spaceform.errors import InputError
from spaceform.losses.combination import WeightedSum
from spaceform.losses.fused.class_loss import ClassLoss

SUPPLIED = ("n_classes", "width", "seed")
"""What losses with learned class vectors are told by the data."""


@cache
def loss_classes() -> dict[str, type[nn.Module]]:
    """Return the losses of this library by name: ``TripletLoss`` is ``triplet``, ``InfoNCELoss`` ``info_nce``.

    A loss that needs an object, such as the loss that it mixes, is not among them.
    """
    found: dict[str, type[nn.Module]] = {}
    for info in pkgutil.walk_packages(losses.__path__, f"{losses.__name__}."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == module.__name__ and issubclass(value, nn.Module)
            if own and name.endswith("Loss") and not inspect.isabstract(value) and _over_a_batch(value):
                found[_snake(name.removesuffix("Loss"))] = value
    return dict(sorted(found.items()))


def find_loss(name: str) -> type[nn.Module]:
    """Return the loss class of this name. Raises ``InputError`` with all names, and the nearest one."""
    classes, plain = loss_classes(), name.replace("-", "_").lower()
    if plain in classes:
        return classes[plain]
    near = difflib.get_close_matches(plain, classes, n=1)
    raise InputError(
        "loss", got=repr(name), expected=", ".join(classes), remedy=f"did you mean {near[0]}?" if near else ""
    )


def make_loss(loss: str | nn.Module, options: Mapping[str, Any], *, n_classes: int, width: int, seed: int) -> nn.Module:
    """Return the loss named ``loss``, or a copy of a module, for vectors of ``width`` dimensions.

    Losses over class vectors are told ``n_classes``, ``width`` and ``seed``. An option whose type can be parsed from
    text, such as the mining of triplets, may be text. Raises ``InputError`` for unknown names and options (all right
    ones are listed), and for options of a module.
    """
    if isinstance(loss, nn.Module):
        if options:
            raise InputError("loss_options", got="options of a module", expected="none: the module has its settings")
        return copy.deepcopy(loss)
    kind = find_loss(loss)
    known = inspect.signature(kind).parameters
    for option in options:
        if option not in known or option in SUPPLIED:
            listed = ", ".join(f"{p.name}={p.default!r}" for p in known.values() if p.name not in SUPPLIED)
            near = difflib.get_close_matches(option, known, n=1)
            raise InputError(
                option,
                got=f"an option of {kind.__name__}",
                expected=listed or "none",
                remedy=f"did you mean {near[0]}?" if near else "",
            )
    supplied = {"n_classes": n_classes, "width": width, "seed": seed}
    read = {name: _read(kind, name, value) for name, value in options.items()}
    made: nn.Module = kind(**{name: value for name, value in supplied.items() if name in known}, **read)
    return made


def over_classes(loss: nn.Module) -> bool:
    """Return whether a loss compares rows with learned class vectors, so that it takes codes and needs no pairs."""
    parts = loss.losses if isinstance(loss, WeightedSum) else [loss]
    return any(isinstance(part, ClassLoss) for part in parts)


def _read(kind: type[nn.Module], name: str, value: Any) -> Any:
    """Return what text stands for if the annotation names a class with ``parse``; other values as they are."""
    if not isinstance(value, str):
        return value
    hint = typing.get_type_hints(kind.__init__)[name]
    for part in (hint, *typing.get_args(hint)):
        if inspect.isclass(part) and hasattr(part, "parse"):
            return part.parse(value)
    return value


def _over_a_batch(kind: type[nn.Module]) -> bool:
    """Return whether a loss takes a batch, and needs to be told nothing but what data or text can say."""
    needed = {n for n, p in inspect.signature(kind).parameters.items() if p.default is inspect.Parameter.empty}
    takes = list(inspect.signature(kind.forward).parameters)[1:3]
    return takes == ["embeddings", "labels"] and needed <= set(SUPPLIED)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
