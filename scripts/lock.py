"""Write requirements/lock.txt: the exact versions in this environment of all that the two commands need.

    .venv/bin/python scripts/lock.py            write the lock
    .venv/bin/python scripts/lock.py --check    fail when the lock misses or contradicts a dependency of pyproject.toml

The closure is taken for every Python in ``PYTHONS``, from its first patch release on, which distributions may still
ship; a package that only some of them need gets a marker. Packages
that only another platform needs (GPU libraries of torch, say) are left to pip, which resolves them beside the pins.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "lock.txt"
EXTRAS = ("test",)
PYTHONS = ("3.11", "3.12", "3.13")
BUILD = ("hatchling", "editables")
"""What builds the project itself, pinned too so that the build needs no network of its own."""
HEAD = "# Exact versions of all that scripts/demo.py and scripts/test.py need; written by scripts/lock.py.\n"


def main() -> int:
    """Write or check the lock; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if parser.parse_args().check:
        problems = list(contradictions(LOCK.read_text()))
        for problem in problems:
            print(problem, file=sys.stderr)
        return bool(problems)
    text = render()
    LOCK.write_text(text)
    print(f"{LOCK.relative_to(ROOT)}: {text.count('==')} packages")
    return 0


def direct_requirements() -> list[Requirement]:
    """Return what pyproject.toml asks for: core, the extras of the lock (an extra may name others), the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts, left, seen = list(project["dependencies"]), list(EXTRAS), set[str]()
    while left:
        extra = left.pop()
        if extra not in seen:
            seen.add(extra)
            texts += project["optional-dependencies"][extra]
            left += [name for text in texts if (own := Requirement(text)).name == "spaceform" for name in own.extras]
    found = [Requirement(text) for text in [*texts, *BUILD]]
    return [requirement for requirement in found if requirement.name != "spaceform"]


def closure(python: str) -> dict[str, str]:
    """Return name -> installed version of everything that the requirements need on one Python."""
    pinned: dict[str, str] = {}
    left = [(requirement, extra) for requirement in direct_requirements() for extra in ("", *requirement.extras)]
    done = set()
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if requirement.marker is None:
                raise SystemExit(f"{name} is not installed here: pip install -e '.[test]' first") from None
            continue
        first = f"{python}.0"
        if not SpecifierSet(found.metadata["Requires-Python"] or "").contains(first):
            wanted = found.metadata["Requires-Python"]
            raise SystemExit(f"{name} {found.version} wants Python {wanted}: install one that takes {first}, too")
        pinned[name] = Version(found.version).public
        for text in found.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate(_environment(python, extra)):
                left += [(needed, extra) for extra in ("", *needed.extras)]
    return pinned


def render() -> str:
    """Return the lock as text."""
    closures = {python: closure(python) for python in PYTHONS}
    lines = []
    for name in sorted(set().union(*closures.values())):
        users = [python for python in PYTHONS if name in closures[python]]
        version = closures[users[0]][name]
        marker = "" if len(users) == len(PYTHONS) else "; " + _marker(users)
        lines.append(f"{name}=={version}{marker}\n")
    return HEAD + "".join(lines)


def contradictions(text: str) -> Iterator[str]:
    """Yield what is wrong with the lock, measured against pyproject.toml alone (installed versions may differ)."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pins = {canonicalize_name(pin.name): pin for line in lines if line for pin in [Requirement(line)]}
    for name, pin in pins.items():
        if [operator.operator for operator in pin.specifier] != ["=="]:
            yield f"{name}: pinned as {pin.specifier or 'nothing'}, expected one exact version"
    for requirement in direct_requirements():
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        if name not in pins:
            yield f"{name}: required by pyproject.toml, missing from the lock"
        elif not requirement.specifier.contains(next(iter(pins[name].specifier)).version, prereleases=True):
            yield f"{name}: locked at {pins[name].specifier}, pyproject.toml asks for {requirement.specifier}"


def _environment(python: str, extra: str) -> dict[str, str]:
    here = {key: str(value) for key, value in default_environment().items()}
    return {**here, "python_version": python, "python_full_version": f"{python}.0", "extra": extra}


def _marker(users: list[str]) -> str:
    return " or ".join(f"python_version == '{python}'" for python in users)


if __name__ == "__main__":
    sys.exit(main())
