"""Public classes explain themselves, and every example in a docstring runs and says what it says."""

import doctest
import inspect

import pytest

from contracts.discovery import all_modules, estimators, losses
from contracts.documented import gaps

CLASSES = {kind.__name__: kind for kind in [*estimators(), *losses()]}
WITH_EXAMPLES = [module for module in all_modules() if ">>>" in inspect.getsource(module)]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_classes_explain_themselves(name):
    assert list(gaps(CLASSES[name])) == []


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: module.__name__)
def test_examples_run(module):
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
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
