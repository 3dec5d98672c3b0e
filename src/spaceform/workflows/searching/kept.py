"""What is made once for a Space and kept beside it: the index of its rows and the places of its map.

Both lie in ``index/<fingerprint>`` inside the Space's folder or, where that can't be written, in the user's cache. Any
change of the Space changes the fingerprint, and what belonged to an older one is cleared away.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from spaceform.data.fetching.cache import cache_root
from spaceform.errors import InputError, SpaceFormatError
from spaceform.files import write_whole
from spaceform.search.filtered.index import FilteredIndex
from spaceform.space import Space
from spaceform.types import Progress, no_progress
from spaceform.workflows.projection import Projection, project
from spaceform.workflows.searching.finder import METRIC

FOLDER = "index"
_ROWS, _MAP = "rows", "map.npy"
_NAME = re.compile(r"[0-9a-f]{16}-[a-z]+")


class Kept:
    """Where the index and the map of one Space are kept."""

    def __init__(self, folder: Path, space: Space) -> None:
        """Name the places; nothing is read or made."""
        self._space = space
        self.name = f"{space.fingerprint}-{space.geometry}"
        self.places = [folder.resolve() / FOLDER / self.name, cache_root() / FOLDER / self.name]

    def index(self, *, progress: Progress = no_progress) -> FilteredIndex | None:
        """Return the index of the rows, by their positions: the one that is kept, or a new one, which is then kept.

        In the ball there is none. A damaged one is made anew. O(n d sqrt(n)) the first time, O(bytes) later.
        """
        space, metric = self._space, METRIC[self._space.geometry]
        if metric == "poincare":
            return None
        for place in self.places:
            try:
                return FilteredIndex.load(place / _ROWS)
            except SpaceFormatError:
                shutil.rmtree(place / _ROWS, ignore_errors=True)  # what can't be read can't be written to, either
            except (InputError, OSError):
                continue
        columns = space.table.select(space.columns)
        made = FilteredIndex(metric=metric).fit(space.vectors, columns, progress=progress)
        for place in self.places:
            with suppress(InputError, OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
                made.save(place / _ROWS).close()
                _clear(place)
                break
        return made

    def map(self, *, progress: Progress = no_progress) -> Projection:
        """Return the places of rows on a plane: those that are kept, or new ones, which are then kept."""
        for place in self.places:
            with suppress(ValueError, OSError):
                return _read(place / _MAP, len(self._space))
        made = project(self._space, progress=progress)
        table = np.column_stack([made.rows, made.xy])
        for place in self.places:
            with suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                write_whole(place / _MAP, lambda file: np.save(file, table, allow_pickle=False))
                break
        return made


def _read(path: Path, n: int) -> Projection:
    found = np.load(path, allow_pickle=False)
    rows = found[:, 0].astype(np.int64)
    if found.ndim != 2 or found.shape[1] != 3 or not np.isfinite(found).all() or rows.min() < 0 or rows.max() >= n:
        raise ValueError(path)
    return Projection(rows, found[:, 1:])


def _clear(place: Path) -> None:
    """Remove what was kept for the Space as it was before; in the cache, where other Spaces are, nothing."""
    if place.parent.parent == cache_root():
        return
    for old in place.parent.iterdir():
        if old.name != place.name and _NAME.fullmatch(old.name):
            shutil.rmtree(old, ignore_errors=True)
