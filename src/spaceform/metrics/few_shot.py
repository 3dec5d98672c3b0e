"""Accuracy over episodes, with its confidence interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_matrix
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize, squared_distances
from spaceform.types import FloatArray, IntArray

Z95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution: what few-shot papers report over hundreds of episodes."""


class Task(Protocol):
    """One episode: row numbers of ``support (n_way, n_shot)`` and ``query (n_way, n_query)``, row c for class c."""

    @property
    def support(self) -> IntArray:
        """Rows to learn from."""

    @property
    def query(self) -> IntArray:
        """Rows to ask about."""


@dataclass(frozen=True)
class FewShotAccuracy:
    """Mean accuracy over episodes in [0, 1], half the width of its 95% interval, and the accuracy of each ``(E,)``."""

    mean: float
    interval: float
    accuracies: FloatArray

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return {"mean": self.mean, "interval": self.interval, "episodes": float(len(self.accuracies))}

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} +- {100 * self.interval:.2f} %"


def mean_with_interval(values: ArrayLike) -> tuple[float, float]:
    """Return the mean of ``values (E,)`` and half the width of its 95% interval, ``1.96 s / sqrt(E)``.

    ``s`` is the sample standard deviation (divisor E - 1). Raises ``InputError`` for fewer than two values: one episode
    says nothing of the spread. O(E).
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < 2 or not np.isfinite(numbers).all():
        raise InputError("values", got=f"shape {numbers.shape}", expected="at least two finite numbers")
    return float(numbers.mean()), float(Z95 * numbers.std(ddof=1) / len(numbers) ** 0.5)


def evaluate_episodes(answer: Callable[[Task], ArrayLike], episodes: Iterable[Task]) -> FewShotAccuracy:
    """Return how often ``answer`` is right about the queries of ``episodes``.

    ``answer(episode)`` returns, for the rows of ``episode.query`` one after the other, the number of the class
    ``(n_way * n_query,)``: that of its row in ``episode.support``, from 0.

    Raises ``InputError`` for fewer than two episodes, supports that are also queries, and answers of another form.
    O(E n_way n_query) besides the answers.
    """
    accuracies = []
    for episode in episodes:
        ways, queries = episode.query.shape
        if np.intersect1d(episode.support, episode.query).size:
            raise InputError("episodes", got="a row in support and query", expected="no overlap")
        said = np.asarray(answer(episode))
        if said.shape != (ways * queries,) or said.dtype.kind not in "iu":
            got = f"{said.dtype} of shape {said.shape}"
            raise InputError("answer", got=got, expected=f"class numbers ({ways * queries},)")
        accuracies.append(float((said == np.repeat(np.arange(ways), queries)).mean()))
    return FewShotAccuracy(*mean_with_interval(accuracies), np.array(accuracies))


def few_shot_accuracy(X: ArrayLike, episodes: Iterable[Task], *, closeness: str = "squared") -> FewShotAccuracy:
    """Return how often the nearest class mean of the supports is that of the query, over ``episodes``.

    Parameters: ``X (n, d)`` embeddings; ``episodes``, each with the row numbers ``support`` and ``query`` (such as
    :class:`spaceform.samplers.episodes.Episode`); ``closeness`` ``"squared"`` (Prototypical networks) or ``"dot"``
    (cosine: rows and means at unit length). Ties go to the class that comes first. Only the rows of one episode are
    touched at a time, so ``X`` may be a memory map.

    Raises ``InputError`` for fewer than two episodes, NaN, and supports that are also queries. O(E n_way^2 n_query d).
    """
    check_choice(closeness, "closeness", ("squared", "dot"))
    rows = np.asarray(X)
    return evaluate_episodes(lambda episode: _nearest_mean(rows, episode, unit=closeness == "dot"), episodes)


def _nearest_mean(X: np.ndarray, episode: Task, *, unit: bool) -> IntArray:
    ways, shots = episode.support.shape
    support = check_matrix(X[episode.support.ravel()], "X", dtype=np.float64)
    asked = check_matrix(X[episode.query.ravel()], "X", dtype=np.float64)
    if unit:
        support, asked = l2_normalize(support), l2_normalize(asked)
    means = support.reshape(ways, shots, -1).mean(1)
    distances = -asked @ l2_normalize(means).T if unit else squared_distances(asked, means)
    nearest: IntArray = distances.argmin(1)
    return nearest
