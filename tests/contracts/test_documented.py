"""Public classes explain themselves, and every example in a docstring runs and says what it says."""

import doctest
import importlib.util
from pathlib import Path

import pytest

from contracts.discovery import estimators, losses, module_names
from contracts.documented import gaps

CLASSES = {kind.__name__: kind for kind in [*estimators(), *losses()]}


def has_example(name):
    """Return whether the source of a module shows itself at work; the module is not imported for that."""
    spec = importlib.util.find_spec(name)
    return ">>>" in Path(spec.origin).read_text(encoding="utf-8")


WITH_EXAMPLES = [name for name in module_names() if has_example(name)]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_classes_explain_themselves(name):
    assert list(gaps(CLASSES[name])) == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


class Silent:
    def __init__(self, *, margin=1):
        self.margin = margin


class Eloquent:
    """Keep a margin.

    Parameters: ``margin`` > 0. Raises InputError for others. O(n) time.

    >>> Eloquent(margin=2).margin
    2
    """

    def __init__(self, *, margin=1):
        self.margin = margin


def test_gaps_are_found():
    assert len(list(gaps(Silent))) == 5
    assert list(gaps(Eloquent)) == []
