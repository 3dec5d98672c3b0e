"""Open-set episodes over two domains whose classes never meet: few-shot learning under a change of domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.samplers.class_rows import rows_by_class
from spaceform.samplers.episodes import Episode
from spaceform.types import IntArray


@dataclass(frozen=True)
class _Pool:
    """The rows of each class that one domain may draw, and how many it draws of a class."""

    groups: dict[int, IntArray]
    shots: int
    queries: int

    @property
    def size(self) -> int:
        return self.shots + self.queries


@final
class OpenSetEpisodeSampler:
    """One open-set task per domain, the tasks of a step without a class in common.

    ``sampler(step)`` is a tuple of two :class:`spaceform.samplers.episodes.Episode`, of domain 0 (source) and 1
    (target): ``n_way`` classes with supports and queries, ``n_unknown`` further classes with queries only. All
    2 (n_way + n_unknown) classes of a step differ, also those that both domains hold. It depends on ``seed`` and
    ``step`` alone.

    Parameters: ``labels (n,)`` integers, -1 is never drawn; ``domains (n,)`` 0 or 1; ``n_way`` >= 2; ``n_unknown``
    >= 1; ``shots`` and ``queries``: one number, or one for each domain (the target has fewer rows). Classes with
    fewer than shots + queries rows in a domain are never drawn there.

    Raises ``InputError`` for domains other than 0 and 1, and when the classes with rows enough do not suffice for
    both domains. O(C + rows drawn) per step for C classes.

    >>> labels, domains = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 3 + [4] * 3 + [5] * 3, [0] * 12 + [1] * 9
    >>> sampler = OpenSetEpisodeSampler(labels, domains, n_way=2, n_unknown=1, shots=(2, 1), queries=2)
    >>> source, target = sampler(0)
    >>> source.support.shape, target.support.shape, target.unknown.shape, set(source.classes) & set(target.classes)
    ((2, 2), (2, 1), (1, 2), set())
    """

    def __init__(
        self,
        labels: ArrayLike,
        domains: ArrayLike,
        *,
        n_way: int = 5,
        n_unknown: int = 5,
        shots: int | Sequence[int] = 5,
        queries: int | Sequence[int] = 5,
        seed: int = 0,
    ) -> None:
        y = np.asarray(labels)
        y = check_partial_labels(y, len(y), "labels")
        places = check_partial_labels(domains, len(y), "domains")
        if not np.isin(places, (0, 1)).all():
            found = sorted(set(places.tolist()) - {0, 1})
            raise InputError("domains", got=f"numbers {found[:5]}", expected="0 (source) or 1 (target) for each row")
        self.n_way = check_integer(n_way, "n_way", low=2)
        self.n_unknown = check_integer(n_unknown, "n_unknown", low=1)
        self.seed = check_integer(seed, "seed", low=0)
        counts = zip(_both(shots, "shots"), _both(queries, "queries"), strict=True)
        self._pools = [_pool(y, places == domain, *count) for domain, count in enumerate(counts)]
        self._refuse_too_few()

    def __call__(self, step: int) -> tuple[Episode, Episode]:
        """Return the episodes of ``step`` (0-based) in the source and in the target."""
        generator = np.random.default_rng(derive_seed(self.seed, "open-set episode", step))
        source, target = self._pools
        each = self.n_way + self.n_unknown
        # Classes of both domains are left to the source as far as it needs them.
        spare = len(source.groups) - each
        taken: list[int] = []
        for label in generator.permutation(sorted(target.groups)).tolist():
            shared = label in source.groups
            if len(taken) < each and (not shared or spare > 0):
                taken.append(label)
                spare -= shared
        rest = generator.permutation(sorted(source.groups.keys() - set(taken)))[:each]
        return self._episode(source, rest, generator), self._episode(target, np.array(taken), generator)

    def _episode(self, pool: _Pool, chosen: np.ndarray, generator: np.random.Generator) -> Episode:
        chosen = generator.permutation(chosen)
        drawn = np.stack([generator.choice(pool.groups[int(c)], size=pool.size, replace=False) for c in chosen])
        known, unknown = drawn[: self.n_way], drawn[self.n_way :]
        return Episode(
            support=known[:, : pool.shots],
            query=known[:, pool.shots :],
            unknown=unknown[:, pool.shots :],
            classes=chosen[: self.n_way],
            unknown_classes=chosen[self.n_way :],
        )

    def _refuse_too_few(self) -> None:
        each = self.n_way + self.n_unknown
        source, target = (set(pool.groups) for pool in self._pools)
        if min(len(source), len(target)) < each or len(source | target) < 2 * each:
            raise InputError(
                "labels",
                got=f"{len(source)} source and {len(target)} target classes with rows enough ({len(source | target)})",
                expected=f"{each} in each domain ({self.n_way} known, {self.n_unknown} unknown), {2 * each} in all",
                remedy="ask for fewer classes, shots or queries",
            )


def _both(value: int | Sequence[int], name: str) -> tuple[int, int]:
    numbers = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(numbers) != 2:
        raise InputError(name, got=f"{len(numbers)} numbers", expected="one number, or one for each of two domains")
    first, second = (check_integer(number, name, low=1) for number in numbers)
    return first, second


def _pool(y: IntArray, inside: np.ndarray, shots: int, queries: int) -> _Pool:
    groups = {int(y[rows[0]]): rows for rows in rows_by_class(np.where(inside, y, -1))}
    return _Pool({label: rows for label, rows in groups.items() if len(rows) >= shots + queries}, shots, queries)
