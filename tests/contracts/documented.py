"""What the docstring of a public class must say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

COST = re.compile(r"O\([^)]")
REFUSALS = re.compile(r"Raises|[Rr]efuse|InputError|NoPairsError")


def gaps(kind: type, *, example: bool = True) -> Iterator[str]:
    """Yield what the docstrings of a class (its own and its public methods') leave out.

    It must say what it is in one sentence, name every parameter of the constructor, what is refused, what it costs
    as O(...), and show itself at work (unless ``example`` is False).
    """
    own = inspect.cleandoc(kind.__doc__ or "")
    methods = [m.__doc__ or "" for n, m in vars(kind).items() if inspect.isfunction(m) and not n.startswith("_")]
    text = "\n".join([own, *methods])
    if not own or not re.search(r"[.:]", own):
        yield "no sentence that says what it is"
    for name in list(inspect.signature(kind.__init__).parameters)[1:]:
        if not re.search(rf"\b{re.escape(name)}\b", own):
            yield f"parameter {name} is not explained"
    if not COST.search(text):
        yield "the cost O(...) is not stated"
    if not REFUSALS.search(text):
        yield "what is refused is not stated"
    if example and ">>>" not in text:
        yield "no runnable example"
