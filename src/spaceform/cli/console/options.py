"""Options that commands of training share: ``-p name=value``, and that a broken-off command goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from spaceform.cli.console.output import print_error
from spaceform.errors import InputError


@contextmanager
def resumable(out: Path | None) -> Iterator[None]:
    """Say, when the work is interrupted, that it need not begin again."""
    try:
        yield
    except KeyboardInterrupt:
        if out is not None and (out / "checkpoint").is_dir():
            print_error("the same command goes on from the last checkpoint", prefix="")
        raise


def read_settings(given: list[str], named: Mapping[str, object]) -> dict[str, object]:
    """Return the options by name; those ``named`` have a flag of their own and may not be given twice."""
    options: dict[str, object] = dict(map(_setting, given))
    for name, value in named.items():
        if value is not None and name in options:
            raise InputError(name, got=f"--{name} and --set {name}=", expected="one of the two")
        options |= {} if value is None else {name: value}
    return options


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError("set", got=repr(text), expected="name=value")
    return name.strip(), value.strip()
