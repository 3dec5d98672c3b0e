"""The Poincare ball beside geoopt and HypLL: distances, their matrix, the two maps, and means.

The limit is one reading of the points and one writing of the result at this core's rate of copying, and for the
matrix of distances the product besides. The Frechet mean takes as many readings as it takes steps; its limit is one.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import torch

from spaceform.geometry.ball import PoincareBall
from spaceform.types import Progress, no_progress
from spaceform.workflows.benching.turns import OURS, Work, compare, copying_rate, multiplying_rate

ROWS, PAIRS, DIM = 100_000, 1_000, 64
QUICK = 500
"""Rows, and at most so many pairs on a side."""

PEERS = {"geoopt": "geoopt", "HypLL": "hypll"}
OPERATIONS = ("distance", "matrix of distances", "exp", "log", "Frechet mean")


def run(*, quick: bool = False, repeats: int = 3, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per operation and method on float32 tensors; ``note``: the greatest difference from ours.

    geoopt has no Frechet mean: its weighted midpoint is another point, and named so.
    """
    n, m = (QUICK, QUICK // 5) if quick else (ROWS, PAIRS)
    generator = torch.Generator().manual_seed(0)
    x, y, A, B = (_points(count, generator) for count in (n, n, m, m))
    v = 0.01 * torch.randn(n, DIM, generator=generator)
    ball = PoincareBall()
    ours: dict[str, Callable[[], torch.Tensor]] = {
        "distance": lambda: ball.distance(x, y),
        "matrix of distances": lambda: ball.pairwise_distance(A, B),
        "exp": lambda: ball.exp(x, v),
        "log": lambda: ball.log(x, y),
        "Frechet mean": lambda: ball.mean(x),
    }
    theirs = {
        name: MAKERS[name](x, y, v, A, B) if importlib.util.find_spec(package) is not None else {}
        for name, package in PEERS.items()
    }
    rate, row = copying_rate(), 4 * n * DIM
    limits = {
        "distance": 2 * row / rate,
        "matrix of distances": m * m * DIM / multiplying_rate(m, m, DIM) + 4 * m * m / rate,
        "exp": 3 * row / rate,
        "log": 3 * row / rate,
        "Frechet mean": row / rate,
    }
    rows: list[dict[str, Any]] = []
    for done, name in enumerate(OPERATIONS):
        progress("hyperbolic", done, len(OPERATIONS))
        works: dict[str, Work | None] = {OURS: ours[name], **{peer: made.get(name) for peer, made in theirs.items()}}
        notes = {peer: _difference(ours[name], made[name]) for peer, made in theirs.items() if made}
        if name == "Frechet mean" and "geoopt" in notes:
            notes["geoopt"] = "its weighted midpoint, another point"
        facts = {"operation": name, "rows": m if name.startswith("matrix") else n, "dimensions": DIM}
        rows += compare(works, limit=limits[name], facts=facts, repeats=1 if quick else repeats, notes=notes)
    progress("hyperbolic", 1, 1)
    return rows


def _of_geoopt(x: torch.Tensor, y: torch.Tensor, v: torch.Tensor, A: torch.Tensor, B: torch.Tensor) -> dict[str, Work]:
    ball = importlib.import_module("geoopt").PoincareBall(c=1.0)
    return {
        "distance": lambda: ball.dist(x, y),
        "matrix of distances": lambda: ball.dist(A[:, None], B[None]),
        "exp": lambda: ball.expmap(x, v),
        "log": lambda: ball.logmap(x, y),
        "Frechet mean": lambda: ball.weighted_midpoint(x),
    }


def _of_hypll(x: torch.Tensor, y: torch.Tensor, v: torch.Tensor, A: torch.Tensor, B: torch.Tensor) -> dict[str, Work]:
    manifolds = importlib.import_module("hypll.manifolds.poincare_ball")
    tensors = importlib.import_module("hypll.tensors")
    curvature = manifolds.Curvature(1.0, constraining_strategy=lambda value: value, requires_grad=False)
    ball = manifolds.PoincareBall(curvature)
    at, to, left, right = (tensors.ManifoldTensor(points, ball, -1) for points in (x, y, A[None], B[None]))
    tangent = tensors.TangentTensor(v, at, ball, -1)
    return {
        "distance": lambda: ball.dist(at, to),
        "matrix of distances": lambda: ball.cdist(left, right)[0],
        "exp": lambda: ball.expmap(tangent).tensor,
        "log": lambda: ball.logmap(at, to).tensor,
        "Frechet mean": lambda: ball.frechet_mean(at).tensor,
    }


MAKERS: Mapping[str, Callable[..., dict[str, Work]]] = {"geoopt": _of_geoopt, "HypLL": _of_hypll}


def _points(count: int, generator: torch.Generator) -> torch.Tensor:
    """Points all over the ball, to 0.95 of its radius."""
    directions = torch.nn.functional.normalize(torch.randn(count, DIM, generator=generator), dim=1)
    return directions * 0.95 * torch.rand(count, 1, generator=generator)


def _difference(ours: Callable[[], torch.Tensor], theirs: Work) -> str:
    found = theirs()
    other = found if isinstance(found, torch.Tensor) else getattr(found, "tensor", torch.tensor(float("nan")))
    return f"differs by {float((ours() - other).abs().max()):.0e}"
