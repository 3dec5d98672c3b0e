"""What one question may cost."""

from __future__ import annotations

from dataclasses import dataclass

from spaceform.checks import check_integer, check_real


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of requests; a request beyond one is refused with a message that names it.

    ``max_k`` rows of one answer; ``max_depth`` levels of a filter, of at most ``max_characters``, as a text query;
    ``max_body`` bytes sent, a picture included, of ``max_pixels``; ``seconds`` that a question may take, waiting
    included; ``workers`` questions answered at once, ``waiting`` more that may queue.
    """

    max_k: int = 200
    max_depth: int = 20
    max_characters: int = 4_000
    max_body: int = 8 * 2**20
    max_pixels: int = 16_000_000
    seconds: float = 10.0
    workers: int = 2
    waiting: int = 128

    def __post_init__(self) -> None:
        """Refuse limits under which nothing can be asked."""
        for name in ("max_k", "max_depth", "max_characters", "max_body", "max_pixels", "workers"):
            check_integer(getattr(self, name), name, low=1)
        check_integer(self.waiting, "waiting", low=0)
        check_real(self.seconds, "seconds", low=0.0, open_ends=False)
