"""Extension of griffe: on the site, examples in docstrings become code blocks and roles plain code."""

from __future__ import annotations

import re
from typing import Any

import griffe


def as_markdown(text: str) -> str:
    """Return a docstring with its ``>>>`` paragraphs fenced and without Sphinx roles."""
    paragraphs = [_fenced(paragraph) for paragraph in re.split(r"\n[ \t]*\n", text)]
    return re.sub(r":(?:class|func|meth|mod|attr|data):(?=`)", "", "\n\n".join(paragraphs))


def _fenced(paragraph: str) -> str:
    lines = paragraph.split("\n")
    first = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>>")), None)
    if first is None or any(line.strip("- ") == "" and line.strip() for line in lines[:first]):
        return paragraph  # nothing to fence, or a headed section, which the parser knows
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    return "\n".join([*lines[:first], f"{indent}```pycon", *lines[first:], f"{indent}```"])


class Examples(griffe.Extension):
    """Rewrites every docstring as it is loaded."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
