"""The main job on real data: build a space of emoji, audit it, find classes in it, search it, report.

    python3 scripts/demo.py                    into ./space
    python3 scripts/demo.py elsewhere/space

Sets up .venv where needed, then calls the command line as you would.
"""

import shlex
import subprocess
import sys
import time

import bootstrap

VERBS = (
    ("build", "emoji", "-o", "{space}"),
    ("audit", "{space}"),
    ("discover", "{space}", "--label", "subcategory", "--hide", "0.1", "--repeats", "1"),
    ("search", "{space}", "cat face", "--where", "category = 'Animals & Nature'"),
    ("report", "{space}"),
)


def quoted(argument: str) -> str:
    """Return how a person would type an argument: double quotes around a text that holds single ones."""
    plain = not set(argument) & set('"$`\\!')
    return f'"{argument}"' if "'" in argument and plain else shlex.quote(argument)


def main() -> int:
    """Run the verbs one after the other; stop at the first that fails and return its exit status."""
    space = sys.argv[1] if len(sys.argv) > 1 else "space"
    begun = time.monotonic()
    try:
        python = bootstrap.ensure()
    except bootstrap.SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for verb in VERBS:
        arguments = [part.replace("{space}", space) for part in verb]
        print(f"\n$ spaceform {' '.join(map(quoted, arguments))}", flush=True)
        command = [str(python), "-m", "spaceform", *arguments]
        status = subprocess.run(command, env=bootstrap.environment(), check=False).returncode
        if status:
            return status
    print(f"\n{time.monotonic() - begun:.0f} s in all", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
