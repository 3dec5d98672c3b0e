"""First-order MAML of a linear network with one hidden layer, at any width and exactly at infinite width.

``f(x) = V (U x + alpha b)``. The weights that are trained may be scaled ones: ``U = sqrt(k_u) u`` moves ``k_u`` times
as fast under SGD on u, and so stand all scalings of one hidden layer in one program (Yang and Hu, 2021, section 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spaceform.errors import InputError

SCALINGS = ("mup", "ntk", "standard", "frozen")


@dataclass
class LinearNet:
    """``U (n, d)``, ``b (n,)``, ``V (K, n)``, the factor ``alpha`` of the bias, and the speeds of U (with b) and V."""

    U: torch.Tensor
    b: torch.Tensor
    V: torch.Tensor
    alpha: float
    speed_u: float = 1.0
    speed_v: float = 1.0

    def hidden(self, X: torch.Tensor) -> torch.Tensor:
        """Return ``U x + alpha b`` for rows ``(..., d)``."""
        return X @ self.U.T + self.alpha * self.b


@dataclass(frozen=True)
class Adapted:
    """Readouts ``V (T, K, n)`` and hidden rows of supports ``(T, S, n)`` and queries ``(T, Q, n)`` after adaptation."""

    V: torch.Tensor
    support: torch.Tensor
    query: torch.Tensor

    @property
    def logits(self) -> torch.Tensor:
        """Answers to the queries ``(T, Q, K)``."""
        return self.query @ self.V.transpose(1, 2)


def limit_net(
    d: int, n_way: int, *, sigma_u: float, sigma_v: float, alpha: float, dtype: torch.dtype = torch.float32
) -> LinearNet:
    """Return the start of infinite width: ``d + K`` coordinates, ``U = [sigma_u I; 0]``, ``V = [0, sigma_v I]``."""
    n = d + n_way
    U, V = torch.zeros(n, d, dtype=dtype), torch.zeros(n_way, n, dtype=dtype)
    U[:d] = sigma_u * torch.eye(d, dtype=dtype)
    V[:, d:] = sigma_v * torch.eye(n_way, dtype=dtype)
    return LinearNet(U, torch.zeros(n, dtype=dtype), V, alpha)


def sample_net(limit: LinearNet, omega: torch.Tensor, *, scaling: str = "mup") -> LinearNet:
    """Return a net of finite width n, ``omega (n, d + K)`` standard normal, from one of infinite width.

    muP: ``U = n^-1/2 omega U_inf``, ``V = n^-1/2 V_inf omega^T``. In the coordinates of muP, NTK scaling has readouts
    of ``n^1/2`` times that size and hidden weights that move ``1/n`` as fast; standard scaling at the stable rate
    ``eta / n`` has the same readouts and moves them ``1/n^2`` as fast. A trained limit gives the trained net (muP).
    """
    n = len(omega)
    root = n**-0.5
    U, b, V = root * omega @ limit.U, root * omega @ limit.b, root * limit.V @ omega.T
    if scaling == "mup":
        return LinearNet(U, b, V, limit.alpha)
    if scaling == "frozen":
        return LinearNet(U, b, V, limit.alpha, speed_u=0.0)
    return LinearNet(U, b, V / root, limit.alpha, speed_u=1 / n if scaling == "ntk" else 1 / n**2)


def adapt(net: LinearNet, Xs: torch.Tensor, Ys: torch.Tensor, Xq: torch.Tensor, *, rate: float, steps: int) -> Adapted:
    """Adapt to T tasks at once by ``steps`` of SGD on the mean cross entropy of the supports.

    Supports ``Xs (T, S, d)`` with one-hot ``Ys (T, S, K)``, queries ``Xq (T, Q, d)``. No task copies U: a step
    changes U by outer products with the supports, so hidden rows move by Gram matrices: ``H -= rate (X Xs^T +
    alpha^2) (chi V)``. O(T (S + Q) d n) once and O(T (S + Q) (K + S) n) a step. Raises ``InputError`` when K is not
    the net's.
    """
    if Ys.shape[-1] != len(net.V):
        raise InputError("y", got=f"{Ys.shape[-1]} classes", expected=f"{len(net.V)}, as the net was trained for")
    return _adapted(net, (net.hidden(Xs), net.hidden(Xq)), (Xs, Ys, Xq), rate, steps)


def _adapted(
    net: LinearNet,
    hidden: tuple[torch.Tensor, torch.Tensor],
    task: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    rate: float,
    steps: int,
) -> Adapted:
    (Hs, Hq), (Xs, Ys, Xq) = hidden, task
    V = net.V.expand(len(Xs), -1, -1)
    moving = net.speed_u > 0
    if moving:
        fast = rate * net.speed_u
        Gs, Gq = (fast * (X @ Xs.transpose(1, 2) + net.alpha**2) for X in (Xs, Xq))
    for _ in range(steps):
        chi = (torch.softmax(Hs @ V.transpose(1, 2), dim=2) - Ys) / Xs.shape[1]
        pull = chi @ V
        V = V - rate * net.speed_v * chi.transpose(1, 2) @ Hs
        if moving:
            Hs, Hq = Hs - Gs @ pull, Hq - Gq @ pull
    return Adapted(V, Hs, Hq)


def outer_step(
    net: LinearNet,
    adapted: Adapted,
    Xq: torch.Tensor,
    Yq: torch.Tensor,
    *,
    rate: float,
    clip: float,
) -> float:
    """Make one step of first-order MAML in place; return the mean loss of the queries.

    The gradient at the adapted weights, mean over the Q queries of a task and *summed* over tasks, is clipped to the
    global norm ``clip`` (of the weights that are trained, before their scaling).
    """
    logits = adapted.logits
    logs = torch.log_softmax(logits, dim=2)
    chi = (logs.exp() - Yq) / Xq.shape[1]
    grad_v = torch.einsum("tqk,tqn->kn", chi, adapted.query)
    squares = net.speed_v * grad_v.square().sum()
    if net.speed_u > 0:
        pull = (chi @ adapted.V).flatten(0, 1)
        grad_u, grad_b = pull.T @ Xq.flatten(0, 1), net.alpha * pull.sum(0)
        squares = squares + net.speed_u * (grad_u.square().sum() + grad_b.square().sum())
    step = rate * min(1.0, clip / max(squares.sqrt().item(), 1e-12))
    net.V -= step * net.speed_v * grad_v
    if net.speed_u > 0:
        net.U -= step * net.speed_u * grad_u
        net.b -= step * net.speed_u * grad_b
    return float(-(logs * Yq).sum(2).mean())
