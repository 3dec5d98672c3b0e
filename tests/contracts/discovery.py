"""What the package walk finds: estimators, losses and claims, and the modules they stand in."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import torch
from sklearn.base import BaseEstimator

import spaceform

LIBRARY = (
    "geometry",
    "ops",
    "losses",
    "miners",
    "samplers",
    "heads",
    "clustering",
    "metrics",
    "nets",
    "tables",
    "encoders",
    "methods",
)
"""Packages whose classes are under contract."""


def module_names() -> list[str]:
    """Return the names of all modules of the package, without importing any but the packages around them."""
    names = [found.name for found in pkgutil.walk_packages(spaceform.__path__, "spaceform.")]
    return [name for name in names if not name.endswith("__main__")]


@cache
def library_modules() -> tuple[ModuleType, ...]:
    """Import and return every module of the library packages."""
    return tuple(importlib.import_module(name) for name in module_names() if name.split(".")[1] in LIBRARY)


def public_classes() -> Iterator[type]:
    """Yield every public class that a library module defines (not those it only imports)."""
    for module in library_modules():
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                yield value


def estimators() -> list[type[BaseEstimator]]:
    """Return every concrete estimator: a scikit-learn ``BaseEstimator`` with ``fit``."""
    return [c for c in public_classes() if issubclass(c, BaseEstimator) and hasattr(c, "fit") and is_concrete(c)]


def losses() -> list[type[torch.nn.Module]]:
    """Return every loss: a module called with embeddings and labels."""
    return [c for c in public_classes() if issubclass(c, torch.nn.Module) and is_concrete(c) and _is_loss(c)]


def claims() -> list[ModuleType]:
    """Return every claim: a module of ``claims/`` with a slug."""
    package = importlib.import_module("spaceform.claims")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, "spaceform.claims.")]
    return [module for name in names if hasattr(module := importlib.import_module(name), "SLUG")]


def is_concrete(kind: type) -> bool:
    """Return whether a class may be instantiated: abstract ones leave something to be defined."""
    return not inspect.isabstract(kind) and not kind.__name__.startswith("Abstract")


def _is_loss(kind: type) -> bool:
    return list(inspect.signature(kind.forward).parameters)[1:3] == ["embeddings", "labels"]
