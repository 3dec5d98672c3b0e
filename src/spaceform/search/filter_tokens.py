"""The words of a filter expression, with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spaceform.search.filter_literals import Place, check_text, problem

_PATTERNS = {
    "space": r"\s+",
    "word": r"[^\W\d]\w*",
    "column": r'"(?:[^"]|"")*"',
    "text": r"'(?:[^']|'')*'",
    "number": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!\w)",
    "operator": r"<=|>=|<>|!=|==|=|<|>",
    "mark": r"[(),]",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_SPELLINGS = {"==": "=", "<>": "!="}
_MAX_DIGITS = 400


@dataclass(frozen=True)
class Token:
    """A word: ``kind`` is a key of the patterns or ``end``; ``text`` is unquoted, ``upper`` is for keywords."""

    kind: str
    text: str
    place: Place

    @property
    def upper(self) -> str:
        """The text of a plain word or mark in capitals; nothing for quoted text, which is never a keyword."""
        return self.text.upper() if self.kind in ("word", "mark") else ""

    def __str__(self) -> str:
        """Return it as an error names it."""
        written = self.place.text[self.place.start : self.place.stop]
        return "the end" if self.kind == "end" else written if len(written) <= 40 else written[:39] + "…"


def tokenize(text: str) -> list[Token]:
    """Split an expression into its words, an ``end`` last. Linear time. Raises ``FilterError`` that points."""
    check_text(text)
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        kind, place = str(match.lastgroup), Place(text, position, match.end())
        position = match.end()
        if kind != "space":
            tokens.append(Token(kind, _content(kind, match.group(), place), place))
    tokens.append(Token("end", "", Place(text, len(text), len(text))))
    return tokens


def _content(kind: str, written: str, place: Place) -> str:
    if kind in ("text", "column"):
        content = written[1:-1].replace(written[0] * 2, written[0])
        if kind == "column" and not content:
            raise problem('""', "the name of a column", place=place)
        return content
    if kind == "number" and len(written) > _MAX_DIGITS:
        raise problem(f"a number of {len(written)} characters", f"at most {_MAX_DIGITS}", place=place)
    return _SPELLINGS.get(written, written)


def _unreadable(text: str, position: int) -> Exception:
    character = text[position]
    place = Place(text, position, position + 1)
    if character in "'\"":
        remedy = f"double it inside: {character * 2}" if text.count(character) > 1 else ""
        return problem(f"a {character} that is never closed", f"another {character}", remedy, place=place)
    if character.isdigit() or character in "+-.":
        end = re.compile(r"[\w.+-]*").match(text, position)
        return problem(
            text[position : end.end()][:40] if end else character, "a number such as 3, -0.5 or 1e6", place=place
        )
    return problem(
        repr(character),
        "columns, 'text', numbers, = != < <= > >=, AND OR NOT IN BETWEEN LIKE CONTAINS IS NULL and parentheses",
        place=place,
    )
