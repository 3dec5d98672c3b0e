"""Pictures of a Space, read by many threads, with those last asked for kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from spaceform.space import Space

CACHE_BYTES = 32 * 2**20
"""Pictures kept in memory."""

_HEADS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}


class Shelf:
    """The pictures of one Space; one thread reads at a time."""

    def __init__(self, space: Space) -> None:
        """Read nothing yet."""
        self._space = space
        self._kept: OrderedDict[int, bytes | None] = OrderedDict()
        self._size, self._lock = 0, Lock()

    def picture(self, row: int) -> bytes | None:
        """Return the encoded picture of a row, or None; from disk, its row group is read if it was not the last."""
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
            found = self._kept[row] = self._space.picture(row)
            self._size += len(found or b"")
            while self._size > CACHE_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1] or b"")
        return found


def media_type(encoded: bytes) -> str | None:
    """Return the type of a picture by its first bytes; None for what a browser should not be sent as one."""
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for head, kind in _HEADS.items() if encoded.startswith(head)), None)
