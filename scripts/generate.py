"""Write the generated parts of README.md between their markers.

    .venv/bin/python scripts/generate.py            write
    .venv/bin/python scripts/generate.py --check    fail when the file is stale

A part stands between ``<!-- begin: name -->`` and ``<!-- end: name -->``; what is written by hand stays.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pages

README = pages.ROOT / "README.md"


def parts() -> dict[str, str]:
    """Return the generated parts by name."""
    results = pages.read_results()
    return {"claims": pages.claims_table(results), "data": pages.data_table(), "verbs": pages.verbs_table()}


def fill(text: str, contents: dict[str, str]) -> str:
    """Return ``text`` with every part replaced. Raises ``ValueError`` for a marker without content or the reverse."""
    marked = re.findall(r"<!-- begin: (\w+) -->", text)
    if sorted(marked) != sorted(contents):
        raise ValueError(f"markers {sorted(marked)}, parts {sorted(contents)}")
    for name, content in contents.items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"part {name} has no end")
        text = f"{head}{begin}{content}\n{end}{tail}"
    return text


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    new = fill(old, parts())
    if check and old != new:
        print(f"{README.name} is stale: run scripts/{Path(__file__).name}", file=sys.stderr)
        return 1
    if old != new:
        README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
