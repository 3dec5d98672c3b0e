"""Formulas of the Poincare ball ``{x : c |x|^2 < 1}`` of sectional curvature ``-c``, on rows ``(..., d)``.

Ungar's gyrovector operations in the convention of Ganea, Becigneul and Hofmann 2018 (metric ``4 / (1 - c|x|^2)^2``),
so that distances become ``2 |a - b|`` as ``c`` goes to 0. Denominators are clamped at machine precision:
values and gradients stay finite for points on the boundary.
"""

from __future__ import annotations

from spaceform.geometry.arrays import Rows, arcsinh, namespace, norm, ratio, safe_sqrt, squares

MARGIN = {2: 1e-2, 4: 1e-3, 8: 1e-5}
"""Relative distance from the boundary that ``project`` keeps, by bytes per number.

1e-3 in single precision is the value of the hyperbolic discovery papers; nearer points have no digits left.
"""

TANH_LIMIT = 15.0
"""Beyond it tanh is 1 in double precision, and its gradient 0."""


def gap(x: Rows, c: float) -> Rows:
    """Return ``1 - c |x|^2`` as ``(..., 1)``, at least machine precision."""
    eps = float(namespace(x).finfo(x.dtype).eps)
    return (1 - c * squares(x)).clip(min=eps)


def conformal_factor(x: Rows, c: float) -> Rows:
    """Return ``2 / (1 - c |x|^2)`` as ``(..., 1)``: how much longer a tangent vector at ``x`` is than it looks."""
    return 2 / gap(x, c)


def mobius_add(a: Rows, b: Rows, c: float) -> Rows:
    """Return ``a (+) b``, the addition of which ``x -> a (+) x`` is an isometry moving 0 to ``a``."""
    ab, aa, bb = (a * b).sum(-1)[..., None], squares(a), squares(b)
    eps = float(namespace(a).finfo(a.dtype).eps)
    denominator = (1 + 2 * c * ab + c * c * aa * bb).clip(min=eps)
    return ((1 + 2 * c * ab + c * bb) * a + (1 - c * aa) * b) / denominator


def mobius_matvec(M: Rows, x: Rows, c: float) -> Rows:
    """Return ``M (x) x``: the linear map ``M (k, d)`` at the origin, ``exp0(M log0(x))``, for points ``(..., d)``."""
    return exp0(log0(x, c) @ M.T, c)


def distance(a: Rows, b: Rows, c: float) -> Rows:
    """Return ``(2 / sqrt c) artanh(sqrt c |(-a) (+) b|)`` of shape ``(..., 1)``.

    Computed as ``(2 / sqrt c) arsinh(sqrt(c |a - b|^2 / ((1 - c|a|^2)(1 - c|b|^2))))``, the same number without the
    loss of digits that artanh has near 1.
    """
    return _from_squares(squares(a - b), gap(a, c), gap(b, c), c)


def pairwise_distance(A: Rows, B: Rows, c: float) -> Rows:
    """Return distances ``(n, m)`` of the rows of ``A (n, d)`` and ``B (m, d)``: one matrix product, no (n, m, d)."""
    apart = squares(A) + squares(B).T - 2 * (A @ B.T)
    return _from_squares(apart, gap(A, c), gap(B, c).T, c)


def exp0(v: Rows, c: float) -> Rows:
    """Return ``tanh(sqrt c |v|) v / (sqrt c |v|)``: the point reached from the origin with tangent vector ``v``."""
    scaled = c**0.5 * norm(v)
    return _tanh_over(scaled.clip(max=TANH_LIMIT), scaled) * v


def log0(x: Rows, c: float) -> Rows:
    """Return ``artanh(sqrt c |x|) x / (sqrt c |x|)``: the inverse of ``exp0``."""
    scaled = c**0.5 * norm(x)
    eps = float(namespace(x).finfo(x.dtype).eps)
    return ratio(namespace(x).arctanh, scaled.clip(max=1 - eps)) * x


def exp(x: Rows, v: Rows, c: float) -> Rows:
    """Return ``x (+) (tanh(sqrt c lambda_x |v| / 2) v / (sqrt c |v|))``: the point reached from ``x`` with ``v``."""
    half = conformal_factor(x, c) / 2
    return mobius_add(x, exp0(half * v, c), c)


def log(x: Rows, y: Rows, c: float) -> Rows:
    """Return the tangent vector at ``x`` that leads to ``y``, of Riemannian length ``distance(x, y)``.

    ``(-x) (+) y`` is ``((1 - c|x|^2)(y - x) - c |y - x|^2 x) / D`` with the ``D`` of :func:`_toward`: written so, near
    points lose no digits.
    """
    difference = y - x
    apart = squares(difference)
    factor = _toward(apart, gap(x, c), gap(y, c), c)
    return factor * gap(x, c) * difference - c * factor * apart * x


def pull(x: Rows, points: Rows, weights: Rows, c: float) -> tuple[Rows, Rows]:
    """Return ``sum_i weights_i log_x(points_i)`` of shape ``(d,)`` and the distances ``(n,)``.

    For a point ``x (d,)``, ``points (n, d)`` and ``weights (n,)``: sums of scalars and one product with the
    differences, where the logarithms one by one would take four passes over the rows.
    """
    difference = points - x
    apart, gap_x, gap_y = squares(difference), gap(x, c), gap(points, c)
    factor = weights * _toward(apart, gap_x, gap_y, c)[..., 0]
    step = gap_x * (factor @ difference) - c * (factor @ apart[..., 0]) * x
    return step, _from_squares(apart, gap_x, gap_y, c)[..., 0]


def project(x: Rows, c: float, margin: float | None = None) -> Rows:
    """Return ``x`` with rows longer than ``(1 - margin) / sqrt c`` shortened to it (default by precision)."""
    inside = (1 - (MARGIN[_bytes(x)] if margin is None else margin)) / c**0.5
    return clip_norm(x, inside)


def clip_norm(x: Rows, longest: float) -> Rows:
    """Return ``min(1, longest / |x|) x``: rows longer than ``longest`` shortened to it (feature clipping)."""
    xp = namespace(x)
    length = norm(x)
    over = length > longest
    result: Rows = xp.where(over, longest / xp.where(over, length, xp.ones_like(length)), xp.ones_like(length)) * x
    return result


def _from_squares(apart: Rows, gap_a: Rows, gap_b: Rows, c: float) -> Rows:
    result: Rows = 2 / c**0.5 * arcsinh(c**0.5 * safe_sqrt(apart / (gap_a * gap_b)))
    return result


def _toward(apart: Rows, gap_x: Rows, gap_y: Rows, c: float) -> Rows:
    """Return the factor ``d / (lambda_x |u| D)`` of the logarithm, from squares ``|y - x|^2`` and the gaps of both.

    ``u = (-x) (+) y`` has denominator ``D = (1 - c|x|^2)(1 - c|y|^2) + c |y - x|^2`` and length ``|y - x| / sqrt D``;
    with ``z = sqrt(c |y - x|^2 / ((1 - c|x|^2)(1 - c|y|^2)))`` and ``d = 2 / sqrt c arsinh z`` nothing divides by 0.
    """
    xp = namespace(apart)
    both = gap_x * gap_y
    factor: Rows = gap_x * ratio(arcsinh, c**0.5 * safe_sqrt(apart / both)) / xp.sqrt(both * (both + c * apart))
    return factor


def _tanh_over(reach: Rows, scaled: Rows) -> Rows:
    """Return ``tanh(reach) / scaled``, where ``reach`` is ``scaled`` clamped; 1 at 0."""
    xp = namespace(reach)
    inner = xp.where(scaled > 0, scaled, xp.ones_like(scaled))
    result: Rows = xp.where(scaled > 0, xp.tanh(reach) / inner, xp.ones_like(scaled))
    return result


def _bytes(x: Rows) -> int:
    size = x.itemsize
    return int(size() if callable(size) else size)
