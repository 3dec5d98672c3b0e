"""yfcc-10M of big-ann-benchmarks: pictures as 192 bytes with bags of tags; a query asks for one tag or two."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from spaceform.data.layouts.benchmarks.search.files import read_bin, read_spmat
from spaceform.data.layouts.benchmarks.search.task import SearchTask
from spaceform.data.layouts.source import existing
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike, Progress, no_progress

_BASE, _QUERIES = "base.10M.u8bin", "query.public.100K.u8bin"
_TRUTH = "GT.public.ibin"


def load_yfcc(root: PathLike, *, progress: Progress = no_progress) -> SearchTask:
    """Read the folder of the filter track of NeurIPS'23: base and public queries, their tags and true neighbours.

    Files: ``base.10M.u8bin``, ``base.metadata.10M.spmat``, ``query.public.100K.u8bin``,
    ``query.metadata.public.100K.spmat`` and ``GT.public.ibin`` (number of queries and k, then ids, then distances).
    The column ``tags`` holds tuples of texts such as "t17". Distances are Euclidean, on bytes.
    Vectors stay in their files; O(tags) memory. Raises ``InputError`` that names a file that is missing or no good.
    """
    folder = existing(root)
    X, queries = read_bin(folder / _BASE), read_bin(folder / _QUERIES)
    progress("read tags", 0, 1)
    tags = _tags(read_spmat(folder / "base.metadata.10M.spmat"))
    asked = [
        [("tags", "contains", tag) for tag in some]
        for some in _tags(read_spmat(folder / "query.metadata.public.100K.spmat"))
    ]
    progress("read tags", 1, 1)
    return SearchTask("yfcc-10M", X, {"tags": tags}, queries, asked, _truth(folder / _TRUTH))


def _tags(matrix: csr_array) -> list[tuple[str, ...]]:
    starts, numbers = matrix.indptr.tolist(), matrix.indices
    pairs = itertools.pairwise(starts)
    return [tuple(f"t{tag}" for tag in numbers[start:stop].tolist()) for start, stop in pairs]


def _truth(path: Path) -> IntArray:
    place = existing(path)
    head = np.fromfile(place, "<u4", count=2)
    q, k = (int(head[0]), int(head[1])) if len(head) == 2 else (0, 0)
    if not q * k or place.stat().st_size < 8 + 4 * q * k:
        raise InputError(_TRUTH, got=f"{place.stat().st_size} bytes for {q} queries", expected="ids of k neighbours")
    return np.fromfile(place, "<i4", count=q * k, offset=8).reshape(q, k).astype(np.int64)
