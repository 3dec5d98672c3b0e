"""What a claim leaves behind: ``results/<slug>.json`` with every arm and seed, and the fingerprints of what made it."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spaceform.errors import InputError
from spaceform.files import write_text_whole
from spaceform.papers import claim_hash, load

PACKAGES = ("spaceform", "torch", "numpy", "scipy", "scikit-learn", "numba")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The results of one claim at one scale; ``runs`` hold raw figures, ``comparisons`` are judged from them."""

    slug: str
    scale: str
    statement: str
    claim_hash: str
    code_hash: str
    settings: Mapping[str, Any]
    seeds: list[int]
    arms: Mapping[str, str]
    runs: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    verdict: str
    mechanism: str
    accuracy: str
    seconds: float
    finished: bool
    curves: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    def figures(self) -> dict[str, dict[int, dict[str, float]]]:
        """Return ``figures[arm][seed][metric]``."""
        table: dict[str, dict[int, dict[str, float]]] = {}
        for run in self.runs:
            table.setdefault(run["arm"], {})[run["seed"]] = run["figures"]
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def result_path(folder: Path, slug: str, scale: str) -> Path:
    """Return where the result of a claim lies: ``<slug>.json`` at laptop scale, ``<slug>.<scale>.json`` else."""
    return folder / (f"{slug}.json" if scale == "laptop" else f"{slug}.{scale}.json")


def write(record: Record, folder: Path) -> Path:
    """Write ``record`` aside and rename it into place; return its path."""
    path = result_path(folder, record.slug, record.scale)
    write_json(path, record.to_dict())
    return path


def write_json(path: Path, value: object) -> None:
    """Write JSON to ``path``, whole or not at all."""
    write_text_whole(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read(path: Path) -> Record:
    """Read a result file. Raises ``InputError`` when it is missing or is not a result."""
    try:
        return Record(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise InputError(
            "result", got=f"no file {path}", expected="a result", remedy="run: spaceform reproduce"
        ) from None
    except (TypeError, ValueError) as error:
        raise InputError("result", got=f"{path} ({error})", expected="a file written by spaceform reproduce") from error


def code_fingerprint(slug: str) -> str:
    """Hash claim and method without comments, docstrings and imports: a result made by other code is stale.

    A module that moves, or a name that is imported from elsewhere, changes nothing that is computed here.
    """
    paper = load(slug)
    name = paper.module
    modules = [f"spaceform.{part}.{paper.purpose}.{name}" for part in ("claims", "methods")]
    digest = hashlib.sha256()
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise InputError("slug", got=repr(slug), expected=f"a paper whose {module} exists")
        digest.update(_bare(Path(spec.origin).read_text()).encode())
    return digest.hexdigest()[:16]


def is_stale(record: Record) -> bool:
    """Tell whether the claim's record or the code of claim or method has changed since the result was made."""
    return record.claim_hash != claim_hash(record.slug) or record.code_hash != code_fingerprint(record.slug)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def machine() -> dict[str, Any]:
    """Return what figures in seconds depend on, and nothing that names a host."""
    return {"cpus": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()}


def _bare(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [part for part in node.body if not isinstance(part, ast.Import | ast.ImportFrom)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
