"""The error tree: every message names the argument, what came, what was expected and what to do.

``SpaceformError``
├── ``InputError`` (also ``ValueError``): an argument or a file of the user's is wrong
│   ├── ``NoPairsError``: a batch holds no pair (or triplet) to learn from
│   └── ``FilterError``: a ``--where`` expression does not parse or does not fit the columns
├── ``SpaceFormatError`` (also ``ValueError``): a Space folder is half-written, truncated, changed or from the future
├── ``DataUnavailableError`` (also ``OSError``): a data set can't be fetched or its hash differs
├── ``StoreError`` (also ``OSError``): a vector store can't be reached, or does not answer as it should
├── ``MissingExtraError`` (also ``ImportError``): an optional dependency is not installed
└── ``InterruptedRunError``: a resumable run can't be continued from what is on disk
"""

from __future__ import annotations


class SpaceformError(Exception):
    """Base of every error this library raises on purpose; the command line prints it as one line, exit status 2."""


class InputError(SpaceformError, ValueError):
    """An argument is wrong.

    >>> str(InputError("k", got=5, expected="an integer from 1 to 3", remedy="ask for fewer neighbours"))
    'k: got 5, expected an integer from 1 to 3; ask for fewer neighbours'
    """

    def __init__(self, argument: str, *, got: object, expected: str, remedy: str = "") -> None:
        self.argument, self.got, self.expected, self.remedy = argument, got, expected, remedy
        super().__init__(f"{argument}: got {got}, expected {expected}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the parts, so that the error survives a process boundary."""
        return (_rebuild, (type(self), self.argument, self.got, self.expected, self.remedy))


def _rebuild(kind: type[InputError], argument: str, got: object, expected: str, remedy: str) -> InputError:
    return kind(argument, got=got, expected=expected, remedy=remedy)


class NoPairsError(InputError):
    """A batch holds no positive or no negative pair, so that a loss over pairs is not defined."""


class FilterError(InputError):
    """A filter expression does not parse, names an unknown column, or compares things of different types."""


class SpaceFormatError(SpaceformError, ValueError):
    """A Space folder can't be trusted: the message says which file and what is wrong with it."""


class DataUnavailableError(SpaceformError, OSError):
    """A data set or model can't be had here: the message says which package to put where by hand."""


class StoreError(SpaceformError, OSError):
    """A vector store can't be reached, refuses, or answers what it should not; the message says which store."""


class MissingExtraError(SpaceformError, ImportError):
    """An optional dependency is missing; the message names the pip line that installs it."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(f"{module} is not installed; run: pip install 'spaceform[{extra}]'")


class InterruptedRunError(SpaceformError):
    """A resumable run was started with other settings than the ones asked for now."""
