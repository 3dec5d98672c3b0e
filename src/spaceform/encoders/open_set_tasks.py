"""Open-set episodes as tensors, of one domain or of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from spaceform.encoders.batches import device
from spaceform.errors import InputError
from spaceform.nets.inputs import as_tensor
from spaceform.samplers.domain_episodes import OpenSetEpisodeSampler
from spaceform.samplers.episodes import Episode, EpisodeSampler

SOURCE, TARGET = 0, 1


@dataclass(frozen=True)
class Task:
    """Inputs of one domain's part of an episode, with class numbers of the episode.

    ``support`` and ``query`` are of the known classes ``support_targets`` and ``query_targets``, 0 to n_way - 1;
    ``unknown`` of other classes, which ``unknown_targets`` tell apart (from 0).
    """

    support: torch.Tensor
    support_targets: torch.Tensor
    query: torch.Tensor
    query_targets: torch.Tensor
    unknown: torch.Tensor
    unknown_targets: torch.Tensor


class OpenSetTasks:
    """The tasks of a step, by domain: source (0) and target (1), or the target alone where ``domains`` is None.

    Parameters: ``inputs`` as :func:`spaceform.nets.inputs.check_inputs` returns them; ``codes (n,)`` int64, -1 is never
    drawn; ``domains (n,)`` 0 or 1; ``n_way`` known and as many unknown classes; ``shots`` and ``queries`` of a class
    (one number, or one for each domain); ``seed``. ``tasks(step)`` depends on seed and step alone.

    Raises ``InputError`` for two numbers of shots with one domain, and as the samplers do.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        codes: NDArray[np.int64],
        domains: ArrayLike | None,
        *,
        n_way: int,
        shots: int | Sequence[int],
        queries: int,
        seed: int,
    ) -> None:
        self.inputs = inputs
        self._two: OpenSetEpisodeSampler | None = None
        self._one: EpisodeSampler | None = None
        if domains is not None:
            self._two = OpenSetEpisodeSampler(
                codes, domains, n_way=n_way, n_unknown=n_way, shots=shots, queries=queries, seed=seed
            )
        elif not isinstance(shots, int | np.integer):
            raise InputError("shots", got=f"{shots} for one domain", expected="one number", remedy="pass domains")
        else:
            self._one = EpisodeSampler(
                codes, n_way=n_way, n_shot=int(shots), n_query=queries, n_unknown=n_way, seed=seed
            )

    def __call__(self, step: int) -> dict[int, Task]:
        """Return the tasks of ``step`` (0-based)."""
        if self._two is not None:
            return {domain: self._task(episode) for domain, episode in enumerate(self._two(step))}
        assert self._one is not None  # noqa: S101  # one of the two is made
        return {TARGET: self._task(self._one(step))}

    def _task(self, episode: Episode) -> Task:
        parts = []
        for rows in (episode.support, episode.query, episode.unknown):
            targets = torch.arange(rows.shape[0]).repeat_interleave(rows.shape[1])
            parts += [as_tensor(self.inputs[rows.ravel()]).to(device()), targets.to(device())]
        return Task(*parts)
