"""A process that changes an index and says what is done, to be killed; run as a script, it forks one per round.

Reads lines ``round`` from standard input and answers with the number of the child; each child writes the number of
every change to the file ``acknowledged``, in one byte-append per change, after the call has returned.
"""

import os
import sys
from pathlib import Path

import numpy as np

from spaceform.search.filtered.index import FilteredIndex

D = 6


def change(index, step):
    """Do change number ``step``, which depends on nothing but its number and the ids that are there."""
    generator = np.random.default_rng(step)
    what = step % 5
    ids = generator.choice(index.ids, 3, replace=False)
    if what in (0, 1):
        index.add(generator.normal(size=(4, D)), {"step": [step] * 4})
    elif what == 2:
        index.update(ids, generator.normal(size=(3, D)), {"step": [step] * 3})
    elif what == 3:
        index.delete(ids)
    elif step % 50 == 4:
        index.compact()
    else:
        index.update(ids[:1], attributes={"step": [step]})


def content(index):
    """Everything that an index holds."""
    rows, table = index._state.take(index.ids)
    return index.ids.tolist(), rows.tolist(), table["step"].to_pylist()


def start(folder):
    """Write the index that all rounds begin with, or go on with."""
    X = np.random.default_rng(0).normal(size=(60, D))
    index = FilteredIndex(random_state=0, recall=1.0, compiled=False, plans="S").fit(X, {"step": [-1] * 60})
    index.save(folder)
    return index


def work(folder, done):
    """Change the index until killed; number ``done`` is the first to do."""
    index = FilteredIndex.load(folder, writable=True)
    said = os.open(Path(folder).parent / "acknowledged", os.O_WRONLY | os.O_APPEND)
    parent = os.getppid()
    while os.getppid() == parent:  # nobody is left behind
        change(index, done)
        done += 1
        os.write(said, b".")


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(sys.argv[1], int(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("gone\n")
        sys.stdout.flush()
