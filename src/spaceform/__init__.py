"""spaceform: shape an embedding space, find its classes, search it, and learn how it breaks.

Everything public hangs here and is imported when it is first used: ``Space``, the verbs (``build``, ``audit``, ...),
the packages (``losses``, ``metrics``, ...) and the classes of every paper, whose names and places follow from the
papers' records. Importing the package itself loads neither torch nor scikit-learn.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaceform.papers import Paper

__version__ = "0.1.0"

_HERE = Path(__file__).parent
_INNER = frozenset({"__init__", "__main__", "checks", "cli", "rng", "types"})
"""Modules that are not offered as attributes; neither are ``space`` and its parts, whose content is."""


def _packages() -> dict[str, str]:
    names = {path.stem for path in _HERE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return {name: f"spaceform.{name}" for name in names - _INNER if not name.startswith("space")}


def _verbs() -> dict[str, str]:
    """Each workflow with a function of its own name; a package of that name keeps it."""
    files = {path.stem: path for path in (_HERE / "workflows").glob("*.py") if path.stem not in _packages()}
    found = (name for name, path in files.items() if f"\ndef {name}(" in path.read_text(encoding="utf-8"))
    return {name: f"spaceform.workflows.{name}" for name in found}


def _classes() -> dict[str, str]:
    from spaceform.papers import all_papers

    places = {}
    for paper in all_papers():
        if _method_file(paper).is_file():
            places.update(dict.fromkeys(paper.classes, f"spaceform.methods.{paper.purpose}.{paper.module}"))
    return places


def _method_file(paper: Paper) -> Path:
    return _HERE / "methods" / paper.purpose / f"{paper.module}.py"


def _public() -> list[str]:
    space = ["Space"] if (_HERE / "space.py").is_file() else []
    return sorted(["__version__", *space, *_packages(), *_verbs(), *_classes()])


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return _public()
    if name in _packages():
        return importlib.import_module(f"spaceform.{name}")
    if not name.startswith("_"):
        place = "spaceform.space" if name == "Space" else _verbs().get(name) or _classes().get(name)
        if place is not None:
            value = getattr(importlib.import_module(place), name)
            globals()[name] = value
            return value
    raise AttributeError(_unknown(name), name=name, obj=importlib.import_module("spaceform"))


def __dir__() -> list[str]:
    return _public()


def _unknown(name: str) -> str:
    import difflib

    near = [] if name.startswith("_") else difflib.get_close_matches(name, _public(), n=3)
    return f"module 'spaceform' has no attribute {name!r}" + (f"; near: {', '.join(near)}" if near else "")
