"""Which class of a method can be trained on a Space, and its options as people type them."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from spaceform import papers
from spaceform.errors import InputError

GIVEN = frozenset({"estimator", "label_metric", "observed", "prefit", "progress", "checkpoint"})
"""Parameters that the workflow sets itself: objects that no text can name."""

WAYS = ("predict", "transform", "encode")
"""A class with ``fit`` and one of these gives something for every row of a Space."""


def find_trainable(method: str) -> tuple[str, type]:
    """Return the slug and the class that ``method`` names: ``slug`` or ``slug:Class``.

    Without a class it is the first of the paper's own classes, then of all public ones in its module, that has
    ``fit`` and ``predict``, ``transform`` or ``encode``. Raises ``InputError`` for unknown papers, methods without
    code yet, unknown classes, and methods that offer only parts (losses, layers).
    """
    slug, _, wanted = method.partition(":")
    paper = papers.load(slug)
    address = f"spaceform.methods.{paper.purpose}.{paper.module}"
    try:
        module = importlib.import_module(address)
    except ModuleNotFoundError as error:
        if error.name != address and not address.startswith(f"{error.name}."):
            raise
        raise InputError("method", got=repr(slug), expected="a method whose code exists") from None
    own = [name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == address]
    listed = [*paper.classes, *(name for name in getattr(module, "__all__", own) if name not in paper.classes), *own]
    names = [name for name in dict.fromkeys(listed) if is_trainable(getattr(module, name, None))]
    if wanted:
        if wanted not in names:
            raise InputError("method", got=repr(method), expected=f"one of {_listed(slug, names)}")
        names = [wanted]
    if not names:
        raise InputError(
            "method",
            got=repr(slug),
            expected="a method with a class that is fitted to rows",
            remedy=f"{', '.join(paper.classes)} are parts to be used from Python",
        )
    found: type = getattr(module, names[0])
    return paper.slug, found


def is_trainable(candidate: Any) -> bool:
    """Return whether ``candidate`` is a class that is fitted and then gives something for every row."""
    return inspect.isclass(candidate) and hasattr(candidate, "fit") and any(hasattr(candidate, way) for way in WAYS)


def accepts(function: Any, name: str) -> bool:
    """Return whether ``function`` has a parameter of this name."""
    return name in inspect.signature(function).parameters


def parse_options(cls: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``options`` as arguments of ``cls``; text is read as its annotations say.

    ``"0.5"``, ``"true"``, ``"none"``, ``"[1, 2]"`` become what they look like if the parameter takes that, and stay
    text if it takes text; values that are no text pass as they are. Raises ``InputError`` for an unknown option,
    with all right ones and their defaults, and for a value of a type that the parameter does not take.
    """
    known = {name: parameter for name, parameter in _signature(cls).parameters.items() if name not in GIVEN}
    parsed = {}
    for name, value in options.items():
        plain = name.replace("-", "_")
        if plain not in known:
            near = difflib.get_close_matches(plain, known, n=1)
            raise InputError(
                name,
                got=f"an option of {cls.__name__}",
                expected=", ".join(map(with_default, known.values())) or "none",
                remedy=f"did you mean {near[0]}?" if near else "",
            )
        parsed[plain] = _parse(plain, value, known[plain].annotation) if isinstance(value, str) else value
    return parsed


def _signature(cls: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(cls, eval_str=True)
    except NameError:  # a name that only type checkers import: such annotations take everything
        return inspect.signature(cls)


def _parse(name: str, text: str, hint: Any) -> Any:
    try:
        value = None if text.lower() == "none" else json.loads(text.lower() if text.lower() in _BOOLEANS else text)
    except ValueError:
        value = text
    for candidate in (value, text):
        if _fits(candidate, hint):
            return float(candidate) if hint is float and isinstance(candidate, int) else candidate
    raise InputError(name, got=repr(text), expected=f"a value of type {_shown(hint)}")


_BOOLEANS = ("true", "false", "null")


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a JSON value is of the annotated type; unknown annotations take everything."""
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is Literal:
        return value in typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in {str, bool}:
        return isinstance(value, hint)
    if origin in {tuple, list, typing.get_origin(typing.Sequence[int])}:
        return isinstance(value, list)
    return True


def with_default(parameter: inspect.Parameter) -> str:
    """Return ``name=default`` as an error lists it."""
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def _shown(hint: Any) -> str:
    return hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")


def _listed(slug: str, names: list[str]) -> str:
    return ", ".join(f"{slug}:{name}" for name in names) or "none"
