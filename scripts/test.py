"""Run the tests: set up .venv where needed, then pytest (style and types are tests too).

    python3 scripts/test.py                    everything, on two processes
    python3 scripts/test.py tests/ops -k mst   what pytest would do with these arguments

The exit status is pytest's, or 2 when the environment can't be made.
"""

import subprocess
import sys

import bootstrap

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""One thread per process: two processes share the cores already."""


def main() -> int:
    """Return pytest's exit status, or 2 when the environment can't be made."""
    try:
        python = bootstrap.ensure()
    except bootstrap.SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    variables = {**dict.fromkeys(THREADS, "1"), **bootstrap.environment()}
    arguments = sys.argv[1:] or ["-n", "2"]
    command = [str(python), "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=bootstrap.ROOT, env=variables, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
