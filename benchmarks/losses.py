"""Times the losses for batches given on the command line, as `python benchmarks/losses.py 1024 4096`."""

import sys

from spaceform.workflows.benches.losses import run


def main() -> None:
    """Time the batches of the arguments, or all."""
    for row in run(batches=[int(size) for size in sys.argv[1:]] or None):
        print(
            "  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{value}" for name, value in row.items())
        )


if __name__ == "__main__":
    main()
