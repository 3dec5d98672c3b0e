"""Put the fragments of changelog.d/ into CHANGELOG.md.

    .venv/bin/python scripts/changelog.py --check            fail when a fragment is not one
    .venv/bin/python scripts/changelog.py 0.2.0 2027-01-31   assemble a release and remove its fragments

A fragment is ``changelog.d/<subject>.<kind>.md``, with one to three lines that say what users notice; kinds are added,
changed, fixed and removed.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "changelog.d"
CHANGELOG = ROOT / "CHANGELOG.md"
KINDS = ("added", "changed", "fixed", "removed")
MARK = "<!-- releases -->\n"


def fragments(folder: Path) -> dict[str, list[str]]:
    """Return the texts of the fragments by kind, ordered by file name. Raises ``ValueError`` for one that is none."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8").strip()
        parts = path.name.split(".")
        if len(parts) != 3 or parts[1] not in KINDS:
            raise ValueError(f"{path.name}: expected <subject>.<kind>.md with kind one of {', '.join(KINDS)}")
        if not 1 <= len(text.splitlines()) <= 3 or not text.endswith("."):
            raise ValueError(f"{path.name}: expected one to three lines that end with a full stop")
        found[parts[1]].append(" ".join(text.split()))
    return found


def render(title: str, found: dict[str, list[str]]) -> str:
    """Return the section of one release."""
    sections = [f"## {title}"]
    for kind, texts in found.items():
        if texts:
            sections.append(f"### {kind.capitalize()}\n\n" + "\n".join(f"- {text}" for text in texts))
    return "\n\n".join(sections) + "\n"


def preview() -> str:
    """Return the changelog with the coming release on top."""
    coming, text = fragments(FOLDER), CHANGELOG.read_text(encoding="utf-8")
    return text.replace(MARK, render("Unreleased", coming) if any(coming.values()) else "")


def assemble(version: str, date: str, *, folder: Path = FOLDER, changelog: Path = CHANGELOG) -> None:
    """Write the release on top of the changelog and remove its fragments."""
    found = fragments(folder)
    if not any(found.values()):
        raise ValueError("no fragments: nothing to release")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ValueError("expected a version such as 0.2.0 and a date such as 2027-01-31")
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(MARK, f"{MARK}\n{render(f'{version} ({date})', found)}", 1), encoding="utf-8")
    for path in folder.glob("*.md"):
        path.unlink()


def main() -> int:
    """Check or assemble; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only look at the fragments")
    parser.add_argument("version", nargs="?")
    parser.add_argument("date", nargs="?")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            fragments(FOLDER)
        elif arguments.version and arguments.date:
            assemble(arguments.version, arguments.date)
        else:
            parser.error("a version and a date, or --check")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
