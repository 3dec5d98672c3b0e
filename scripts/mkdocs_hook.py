"""Hook of mkdocs: makes pages from README, records, results and modules while the site is built.

Nothing generated is written into docs/, so nothing generated can grow stale there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import changelog
import pages
from spaceform.papers import PURPOSES, all_papers

ROOT = pages.ROOT
HIDDEN = ("spaceform.__main__", "spaceform.cli", "spaceform.space_")
"""Beginnings of the names of modules that nobody calls from Python."""

PUBLIC = re.compile(r"^(?:class|def) [a-zA-Z]", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Complete the navigation with what is generated."""
    papers: list[Any] = [{"All": "papers/index.md"}]
    for purpose in PURPOSES:
        entries = [{paper.method: f"papers/{paper.slug}.md"} for paper in all_papers() if paper.purpose == purpose]
        papers += [{purpose.replace("_", " ").capitalize(): entries}] if entries else []
    api = [{package: f"api/{package}.md"} for package in sorted(pages.api_pages(modules()))]
    config["nav"] = [_filled(entry, {"papers": papers, "api": api}) for entry in config["nav"]]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the pictures of the results."""
    results = pages.read_results()
    made = {
        "index.md": _for_site((ROOT / "README.md").read_text(encoding="utf-8")),
        "contributing.md": _for_site((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")),
        "changelog.md": changelog.preview(),
        "benchmarks.md": pages.benchmarks_page((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")),
        "papers/index.md": pages.papers_index(results),
        **{f"papers/{p.slug}.md": pages.paper_page(p, results.get(p.slug)) for p in all_papers()},
        **{f"api/{package}.md": text for package, text in pages.api_pages(modules()).items()},
    }
    for name, text in made.items():
        written = files.get_file_from_path(name)
        if written is not None:
            files.remove(written)
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "results").glob("*.svg")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def modules() -> list[str]:
    """Return the dotted names of the modules that have something public to read about."""
    names = []
    for path in sorted(pages.PACKAGE.rglob("*.py")):
        parts = path.relative_to(pages.PACKAGE.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if not name.startswith(HIDDEN) and PUBLIC.search(path.read_text(encoding="utf-8")):
            names.append(name)
    return names


def _filled(entry: Any, lists: dict[str, list[Any]]) -> Any:
    """Replace ``{name}`` in an entry of the navigation by the list of that name."""
    if not isinstance(entry, dict):
        return entry
    return {title: lists.get(place.strip("{}"), place) for title, place in entry.items()}


def _for_site(text: str) -> str:
    """Point the links of a file in the root of the repository at the pages of the site."""
    places = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    text = re.sub(r"\]\(docs/", "](", text).replace("[Apache License 2.0](LICENSE)", "Apache License 2.0")
    for source, target in places.items():
        text = text.replace(f"]({source}", f"]({target}")
    return re.sub(r"<!-- (begin|end): \w+ -->\n", "", text)
