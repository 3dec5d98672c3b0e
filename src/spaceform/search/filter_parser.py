"""From the text of ``--where`` to an expression: SQL's grammar for conditions, without its functions and queries.

::

    condition  = term {OR term} ;   term = factor {AND factor} ;   factor = {NOT} (predicate | "(" condition ")")
    predicate  = TRUE | FALSE | column [ comparison value | IS [NOT] NULL | [NOT] IN "(" value {"," value} ")"
                 | [NOT] BETWEEN value AND value | [NOT] (LIKE | ILIKE) text
                 | [NOT] CONTAINS (text | (ANY | ALL) "(" text {"," text} ")") ]
    value      = number | text | TRUE | FALSE | DATE text | TIMESTAMP text
    column     = word | '"' any '"'

A column alone means that it is true. Keywords are case-insensitive, column names are not. Parentheses are kept on
a list of our own, not on Python's stack.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from spaceform.search.filter_literals import Literal, problem, read_moment
from spaceform.search.filter_logic import And, Constant, Expr, Not, Or
from spaceform.search.filter_predicates import RESERVED, Between, Comparison, Contains, In, IsNull, Like, check_pattern
from spaceform.search.filter_tokens import Token, tokenize

Item = TypeVar("Item")

MAX_PARENTHESES = 1_000
"""Parentheses open at once; more are surely an accident."""

_WHOLE = re.compile(r"[+-]?[0-9]+")
_ENDS = frozenset({"AND", "OR", ")"})


@dataclass
class _Group:
    """What has been read since an opening parenthesis."""

    opening: Token | None = None
    terms: list[Expr] = field(default_factory=list)
    factors: list[Expr] = field(default_factory=list)
    negations: int = 0

    def take(self, expression: Expr) -> None:
        """Add a factor, with the NOTs that stood before it."""
        for _ in range(self.negations):
            expression = Not(expression)
        self.negations = 0
        self.factors.append(expression)

    def end_term(self) -> None:
        """An OR or the end: the factors so far are one term."""
        self.terms.append(self.factors[0] if len(self.factors) == 1 else And(tuple(self.factors)))
        self.factors = []

    def whole(self) -> Expr:
        """The condition between the parentheses."""
        self.end_term()
        return self.terms[0] if len(self.terms) == 1 else Or(tuple(self.terms))


class Parser:
    """Reads one expression."""

    def __init__(self, text: str) -> None:
        """Split the text into words."""
        self._tokens = tokenize(text)
        self._next = 0

    def parse(self) -> Expr:
        """Return the expression, or raise a ``FilterError`` that points at the word where it goes wrong."""
        groups = [_Group()]
        while True:
            self._operand(groups)
            while self._peek().upper == ")" and len(groups) > 1:
                self._take()
                closed = groups.pop().whole()
                groups[-1].take(closed)
            token = self._take()
            if token.upper == "OR":
                groups[-1].end_term()
            elif token.kind == "end" and len(groups) == 1:
                return groups[0].whole()
            elif token.kind == "end":
                opening = groups[-1].opening
                raise problem("a ( that is never closed", "a )", place=opening.place if opening else None)
            elif token.upper != "AND":
                raise self._unexpected(token, "AND, OR or the end" if len(groups) == 1 else "AND, OR or )")

    def _operand(self, groups: list[_Group]) -> None:
        """Read NOTs and opening parentheses, and the predicate after them."""
        while self._peek().upper in ("NOT", "("):
            token = self._take()
            if token.upper == "NOT":
                groups[-1].negations += 1
            elif len(groups) > MAX_PARENTHESES:
                raise problem(f"{len(groups)} open parentheses", f"at most {MAX_PARENTHESES}", place=token.place)
            else:
                groups.append(_Group(token))
        groups[-1].take(self._predicate())

    def _predicate(self) -> Expr:
        token = self._take()
        if token.upper in ("TRUE", "FALSE"):
            return Constant(token.upper == "TRUE")
        if token.kind in ("text", "number"):
            raise problem(f"{token}", "a column first", "write the column on the left: price > 0", place=token.place)
        if token.kind not in ("word", "column") or token.upper in RESERVED:
            raise self._unexpected(token, "a condition such as price < 3")
        column, place = token.text, token.place
        if self._peek().kind == "operator":
            operator = self._take().text
            return Comparison(column, operator, self._value(), place=place)
        if self._peek().upper == "IS":
            self._take()
            negated = self._accept("NOT")
            self._expect("NULL", "NULL or NOT NULL")
            return _negated(IsNull(column, place=place), negated=negated)
        if self._peek().kind == "end" or self._peek().upper in _ENDS:
            return Comparison(column, "=", Literal.of(value=True, place=place), place=place)
        negated = self._accept("NOT")
        return _negated(self._tail(token), negated=negated)

    def _tail(self, column: Token) -> Expr:
        """Read what may follow ``column NOT``."""
        keyword, name, place = self._take(), column.text, column.place
        match keyword.upper:
            case "IN":
                return In(name, tuple(self._list(self._value)), place=place)
            case "BETWEEN":
                low = self._value()
                self._expect("AND", "AND and the upper end")
                return Between(name, low, self._value(), place=place)
            case "LIKE" | "ILIKE":
                pattern = self._text("a pattern in single quotes")
                check_pattern(pattern.text, pattern.place)  # here, where the place of the pattern is known
                return Like(name, pattern.text, ignore_case=keyword.upper == "ILIKE", place=place)
            case "CONTAINS":
                if self._peek().upper not in ("ANY", "ALL"):
                    return Contains(name, (self._text("ANY, ALL or text in single quotes").text,), place=place)
                every = self._take().upper == "ALL"
                texts = self._list(lambda: self._text("text in single quotes").text)
                return Contains(name, tuple(texts), every=every, place=place)
            case "(":
                raise problem(f"{column}(", "a column", "there are no functions", place=place)
        raise self._unexpected(keyword, f"an operator after {column}: = != < <= > >= IN BETWEEN LIKE CONTAINS IS")

    def _list(self, item: Callable[[], Item]) -> list[Item]:
        self._expect("(", "( and a list")
        items = [item()]
        while self._accept(","):
            items.append(item())
        self._expect(")", ", or )")
        return items

    def _value(self) -> Literal:
        token = self._take()
        if token.kind == "number":
            whole = _WHOLE.fullmatch(token.text)
            return Literal.of(int(token.text) if whole else float(token.text), token.place)
        if token.kind == "text":
            return Literal.of(token.text, token.place)
        if token.upper in ("TRUE", "FALSE"):
            return Literal.of(token.upper == "TRUE", token.place)
        if token.upper == "NULL":
            return Literal.of(None, token.place)  # which refuses it, and says what to write
        if token.upper in ("DATE", "TIMESTAMP") and self._peek().kind == "text":
            return self._moment(token.upper, self._take())
        if token.kind in ("word", "column") and token.upper not in RESERVED:
            remedy = "text goes in single quotes: '" + token.text.replace("'", "''")[:40] + "'"
            raise problem(f"{token}", "a value", remedy, place=token.place)
        raise self._unexpected(token, "a value: a number, 'text', TRUE, FALSE or DATE '2024-02-29'")

    def _moment(self, keyword: str, token: Token) -> Literal:
        moment = read_moment(token.text)
        if keyword == "DATE" and type(moment) is not dt.date:
            raise problem(f"{token}", "a date such as '2024-02-29'", place=token.place)
        if moment is None:
            raise problem(f"{token}", "a timestamp such as '2024-02-29 13:45:00'", place=token.place)
        if keyword == "TIMESTAMP" and not isinstance(moment, dt.datetime):
            moment = dt.datetime.combine(moment, dt.time())
        return Literal.of(moment, token.place)

    def _text(self, expected: str) -> Token:
        token = self._take()
        if token.kind != "text":
            raise self._unexpected(token, expected)
        return token

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _accept(self, word: str) -> bool:
        if self._peek().upper != word:
            return False
        self._take()
        return True

    def _expect(self, word: str, expected: str) -> None:
        token = self._take()
        if token.upper != word:
            raise self._unexpected(token, expected)

    @staticmethod
    def _unexpected(token: Token, expected: str) -> Exception:
        return problem(f"{token}", expected, place=token.place)


def _negated(expression: Expr, *, negated: bool) -> Expr:
    return Not(expression) if negated else expression
