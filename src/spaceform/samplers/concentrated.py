"""Classes drawn around the centre of their label space: the model of which classes happen to be observed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_real
from spaceform.geometry.finite import LabelMetric
from spaceform.ops.frechet import check_candidates
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState


def class_probabilities(
    metric: LabelMetric, *, theta: float, power: int = 1, candidates: ArrayLike | None = None
) -> FloatArray:
    """Return ``P(y)`` proportional to ``exp(-theta d(y, c)^power)``, for ``c`` the Frechet mean of all candidates.

    Parameters: ``theta >= 0`` the concentration (0: uniform); ``power`` 1 (Loki, theory) or 2 (Loki's exponential
    sampler for ImageNet, theta 0.5); ``candidates`` ids (M,) that may be drawn (None: all). Returns ``(M,)`` with sum
    1, in ascending order of the ids. O(M N) on a dense metric, O(N) on a tree.
    """
    ids = check_candidates(candidates, len(metric))
    unnormalized = np.exp(_log_weights(metric, ids, theta, power))
    probabilities: FloatArray = unnormalized / unnormalized.sum()
    return probabilities


def draw_classes(
    metric: LabelMetric,
    count: int,
    *,
    theta: float = 0.0,
    power: int = 1,
    candidates: ArrayLike | None = None,
    random_state: RandomState = None,
) -> IntArray:
    """Return ``count`` distinct label ids, ascending, drawn without replacement from :func:`class_probabilities`.

    The keys ``log P + Gumbel noise`` are ranked (Gumbel top-k), in logarithms, so that nothing underflows.
    Raises ``InputError`` when ``count`` exceeds the candidates. Cost as of the probabilities.
    """
    ids = check_candidates(candidates, len(metric))
    check_integer(count, "count", low=1, high=len(ids))
    keys = _log_weights(metric, ids, theta, power) + as_generator(random_state).gumbel(size=len(ids))
    ranked = np.argsort(-keys, kind="stable")
    return np.sort(ids[ranked[:count]])


def _log_weights(metric: LabelMetric, ids: IntArray, theta: float, power: int) -> FloatArray:
    check_real(theta, "theta", low=0)
    check_integer(power, "power", low=1, high=2)
    centre = metric.means(np.ones((1, len(ids))), ids, candidates=ids)[0]
    exponent: FloatArray = -theta * metric.distances(centre, ids)[0] ** power
    return exponent - exponent.max()
