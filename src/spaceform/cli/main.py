"""The entry point: finds the verbs without importing them, runs one, and turns every failure into a clear line.

A verb is a file ``cli/<verb>.py`` (or one folder down) with a function of the same name. Its first docstring line is
the help text, read without importing the file, so that ``spaceform --help`` loads neither torch nor scikit-learn.
Exit status: 0 done, 1 a fault of ours, 2 a mistake or a limit of the surroundings, 130 interrupted.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import importlib
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import spaceform
from spaceform.cli.console.output import print_error, print_warning
from spaceform.errors import SpaceformError

ORDER = (
    "papers",
    "data",
    "build",
    "embed",
    "audit",
    "compare",
    "discover",
    "train",
    "distill",
    "extend",
    "push",
    "search",
    "serve",
    "report",
    "reproduce",
    "bench",
)
"""The order of the verbs in the help: as they are used."""

PARTS = frozenset({"__init__", "main"})
"""Files of this folder that are no verbs."""

FOLDERS = ("evidence", "serving")
"""Folders of this one that hold verbs, too."""

SUMMARY = (spaceform.__doc__ or "").partition("\n")[0].partition(": ")[2].capitalize()

FAULT, MISTAKE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
FULL = 1 << 20
"""A disk with less free space than this (bytes) is called full."""


def verbs() -> dict[str, str]:
    """Return each verb with its line of help, in the order of use. Reads the files, imports none of them."""
    files = _files()
    names = sorted(files, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return {name: _summary(files[name]) for name in names}


def load_verb(name: str) -> TyperCommand:
    """Import the file of a verb and return its function as a command."""
    place = _files()[name].relative_to(Path(__file__).parent).with_suffix("")
    module = importlib.import_module(".".join(["spaceform.cli", *place.parts]))
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name)(getattr(module, name))
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)  # noqa: S101  # a Typer app of one function is a command
    return command


class Verbs(TyperGroup):
    """The group of all verbs: knows their names and help, imports the one that runs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name=name, short_help=text, help=text, rich_markup_mode=None)
            for name, text in verbs().items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return name, command and remaining arguments; unknown names are refused with the nearest ones."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name is not None else command, rest


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True, help=SUMMARY)
def _globals(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error was raised.")] = False,
) -> None:
    if version:
        typer.echo(f"spaceform {spaceform.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments`` (default: the process's own) and return the exit status."""
    given, debug = _take_debug(list(sys.argv[1:] if arguments is None else arguments))
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            _run(given)
        sys.stdout.flush()
    except typer.Exit as stop:
        return _finish(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted", prefix="")
        return INTERRUPTED
    except BrokenPipeError:
        return _finish(BROKEN_PIPE)
    except typer.TyperException as error:
        _show_usage(error)
        return MISTAKE
    except Exception as error:
        if debug:
            traceback.print_exc()
        status, message = explain(error, given)
        print_error(message)
        return status
    return 0


def explain(error: Exception, arguments: Sequence[str]) -> tuple[int, str]:
    """Return exit status and one clear line for ``error``; ``arguments`` help to name a full disk."""
    if isinstance(error, SpaceformError):
        return MISTAKE, str(error)
    if isinstance(error, OSError):
        return MISTAKE, _explain_os(error, arguments)
    if isinstance(error, MemoryError):
        return MISTAKE, f"out of memory ({str(error) or 'no size given'}): use fewer rows or a smaller batch"
    return FAULT, f"{type(error).__name__}: {error} (a fault of spaceform's; --debug shows where)"


def _run(arguments: list[str]) -> None:
    group = typer.main.get_command(app)
    with group.make_context("spaceform", arguments) as context:
        group.invoke(context)


def _take_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Accept ``--debug`` before and after the verb."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return options + arguments[end:], len(options) < end


def _explain_os(error: OSError, arguments: Sequence[str]) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        full = [str(place) for place in _places(arguments) if shutil.disk_usage(place).free < FULL]
        where = " of " + ", ".join(full) if full else ""
        return f"no space left on the disk{where}; free some, or write elsewhere (-o, SPACEFORM_CACHE, TMPDIR)"
    return str(error)


def _places(arguments: Sequence[str]) -> list[Path]:
    """Return existing folders that a command may have written to."""
    named = [Path(argument) for argument in arguments if not argument.startswith("-")]
    candidates = [*named, *(path.parent for path in named), Path.cwd(), Path(tempfile.gettempdir()), Path.home()]
    return [path for path in dict.fromkeys(candidates) if path.is_dir()]


def _show_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    print_error(error.format_message())
    if context is not None:
        typer.echo(f"see: {context.command_path} --help", err=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print_warning(str(message))


def _finish(status: int) -> int:
    """Leave nothing that the interpreter would fail to flush when the reader of stdout is gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _files() -> dict[str, Path]:
    """Return the file of each verb: those of this folder, and of `FOLDERS` in it."""
    own = Path(__file__).parent
    paths = [path for folder in ("", *FOLDERS) for path in (own / folder).glob("*.py")]
    return {path.stem: path for path in paths if path.stem not in PARTS}


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
