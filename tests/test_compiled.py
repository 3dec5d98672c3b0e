"""Compiled functions are kept in a folder that is named by all sources that compile."""

import ast
from pathlib import Path

import numba
import pytest

import spaceform
from spaceform.compiled import HOMES, compiled, folder

ROOT = Path(spaceform.__file__).parent


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return a cache folder in which nothing is kept, as it is for users: without NUMBA_CACHE_DIR."""
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    folder.cache_clear()
    yield tmp_path
    folder.cache_clear()


def _twice(x):
    return 2 * x


def test_code_is_kept_in_the_users_cache(cache):
    twice = compiled(error_model="numpy")(_twice)
    assert numba.config.CACHE_DIR == ""
    assert twice(4) == 8
    assert [path.suffix for path in sorted((cache / "compiled").rglob("*.nb*"))] == [".nbc", ".nbi"]
    assert twice.stats.cache_misses
    again = compiled(error_model="numpy")(_twice)
    assert again(5) == 10
    assert again.stats.cache_hits


def test_the_folder_has_another_name_when_any_of_the_sources_changes(cache, monkeypatch):
    before, read = folder(), Path.read_bytes
    folder.cache_clear()
    assert folder() == before
    folder.cache_clear()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path.name == "scoring.py"))
    assert folder() != before


def test_without_a_folder_numba_chooses(cache, monkeypatch):
    (cache / "compiled").write_text("a file where the folder would be")
    assert folder() == ""


def test_nothing_else_compiles():
    for path in ROOT.rglob("*.py"):
        inside = path.relative_to(ROOT)
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)
        }
        if {"compiled", "njit"} & names and inside.name != "compiled.py":
            assert inside.parts[0] in HOMES, f"{inside} compiles: name its folder in spaceform.compiled.HOMES"
