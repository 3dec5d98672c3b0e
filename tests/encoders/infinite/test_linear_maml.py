"""The short form of adaptation against autograd, and the limit against networks of finite width."""

import numpy as np
import pytest
import torch
from torch import nn

from spaceform.encoders.infinite.linear_maml import LinearNet, adapt, limit_net, outer_step, sample_net
from spaceform.errors import InputError

D, K = 12, 3
REAL = torch.float64
LIMIT = {"sigma_u": 1.0, "sigma_v": 0.25, "alpha": 0.7, "dtype": REAL}


def tasks(seed, count=4, shots=2):
    generator = torch.Generator().manual_seed(seed)
    Xs, Xq = (torch.randn(count, K * m, D, generator=generator, dtype=REAL) for m in (shots, 1))
    eye = torch.eye(K, dtype=REAL)
    return Xs, eye.repeat_interleave(shots, 0).expand(count, -1, -1), Xq, eye.expand(count, -1, -1)


def random_net(seed=0, n=9):
    generator = torch.Generator().manual_seed(seed)
    U, b, V = (torch.randn(*shape, generator=generator, dtype=REAL) / 3 for shape in ((n, D), (n,), (K, n)))
    return LinearNet(U, b, V, 0.7)


def by_autograd(net, Xs, Ys, rate, steps):
    """Adapt copies of all weights of one task; the bias is a parameter b with forward alpha b."""
    weights = [value.clone().requires_grad_() for value in (net.U, net.b, net.V)]
    for _ in range(steps):
        U, b, V = weights
        loss = nn.functional.cross_entropy((Xs @ U.T + net.alpha * b) @ V.T, Ys.argmax(1))
        slopes = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            weights = [(w - rate * g).requires_grad_() for w, g in zip(weights, slopes, strict=True)]
    return weights


def test_short_form_is_autograd_after_twenty_steps():
    net, (Xs, Ys, Xq, _) = random_net(), tasks(1)
    logits = adapt(net, Xs, Ys, Xq, rate=0.4, steps=20).logits
    for number in range(len(Xs)):
        U, b, V = by_autograd(net, Xs[number], Ys[number], 0.4, 20)
        slow = (Xq[number] @ U.T + net.alpha * b) @ V.T
        torch.testing.assert_close(logits[number], slow.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_outer_step_sums_over_tasks_and_then_clips(clip):
    net, (Xs, Ys, Xq, Yq) = random_net(), tasks(2)
    total = [torch.zeros_like(value) for value in (net.U, net.b, net.V)]
    for number in range(len(Xs)):
        weights = by_autograd(net, Xs[number], Ys[number], 0.4, 1)
        U, b, V = weights
        loss = nn.functional.cross_entropy((Xq[number] @ U.T + net.alpha * b) @ V.T, Yq[number].argmax(1))
        total = [t + g for t, g in zip(total, torch.autograd.grad(loss, weights), strict=True)]
    norm = torch.sqrt(sum(t.square().sum() for t in total))
    assert norm > 0.5
    factor = min(1.0, clip / norm.item())
    wanted = [w - 0.1 * factor * g for w, g in zip((net.U, net.b, net.V), total, strict=True)]
    outer_step(net, adapt(net, Xs, Ys, Xq, rate=0.4, steps=1), Xq, Yq, rate=0.1, clip=clip)
    for ours, slow in zip((net.U, net.b, net.V), wanted, strict=True):
        torch.testing.assert_close(ours, slow, rtol=0, atol=1e-12)


def train(net, steps=5):
    for step in range(steps):
        Xs, Ys, Xq, Yq = tasks(step)
        outer_step(net, adapt(net, Xs, Ys, Xq, rate=0.4, steps=1), Xq, Yq, rate=0.2, clip=0.5)
    Xs, Ys, Xq, _ = tasks(100)
    return adapt(net, Xs, Ys, Xq, rate=0.4, steps=20).logits


def test_a_finite_net_of_orthonormal_draws_is_the_limit():
    wide = 40
    draws = torch.randn(wide, D + K, dtype=REAL, generator=torch.Generator().manual_seed(0))
    omega = torch.linalg.qr(draws)[0] * wide**0.5
    torch.testing.assert_close(
        train(sample_net(limit_net(D, K, **LIMIT), omega)), train(limit_net(D, K, **LIMIT)), rtol=0, atol=1e-10
    )


def gaussian(n, seed):
    return torch.randn(n, D + K, dtype=REAL, generator=torch.Generator().manual_seed(seed))


def test_gaussian_draws_come_near_like_one_over_the_root_of_the_width():
    limit = train(limit_net(D, K, **LIMIT))
    widths = [64, 256, 1024, 4096]
    errors = [
        np.mean([(train(sample_net(limit_net(D, K, **LIMIT), gaussian(n, seed))) - limit).std() for seed in range(8)])
        for n in widths
    ]
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35, errors


def test_a_net_sampled_from_the_trained_limit_is_near_a_net_that_was_trained():
    limit = limit_net(D, K, **LIMIT)
    train(limit)
    Xs, Ys, Xq, _ = tasks(100)
    sampled = adapt(sample_net(limit, gaussian(4096, 3)), Xs, Ys, Xq, rate=0.4, steps=20).logits
    trained = train(sample_net(limit_net(D, K, **LIMIT), gaussian(4096, 3)))
    torch.testing.assert_close(sampled, trained, rtol=0, atol=0.02)
    assert trained.std() > 0.1


@pytest.mark.parametrize(("scaling", "power", "rate_power"), [("ntk", 0.0, 0.0), ("standard", 0.5, 1.0)])
def test_other_scalings_are_those_of_the_exponents(scaling, power, rate_power):
    """Train the net in its own weights, ``U = u``, ``V = n^-a v`` at rate ``eta n^-c``, by autograd."""
    n = 50
    omega = gaussian(n, 5)
    start = limit_net(D, K, **{**LIMIT, "alpha": 0.0})
    ours = sample_net(start, omega, scaling=scaling)
    forward = n ** -(0.5 - power)
    u = (omega[:, :D] * 1.0).requires_grad_()
    v = (0.25 * omega[:, D:].T * n**-power).requires_grad_()
    Xs, Ys, _, _ = tasks(7, count=1)
    for _ in range(3):
        loss = nn.functional.cross_entropy(forward * (Xs[0] @ u.T) @ v.T, Ys[0].argmax(1))
        slopes = torch.autograd.grad(loss, (u, v))
        u, v = ((w - 0.4 * n**-rate_power * g).detach().requires_grad_() for w, g in zip((u, v), slopes, strict=True))
    slow = (forward * (Xs[0] @ u.T) @ v.T).detach()
    torch.testing.assert_close(adapt(ours, Xs, Ys, Xs, rate=0.4, steps=3).logits[0], slow, rtol=0, atol=1e-10)


def test_frozen_nets_move_only_the_readout():
    net = sample_net(limit_net(D, K, **LIMIT), gaussian(20, 0), scaling="frozen")
    before = net.U.clone(), net.V.clone()
    train(net)
    assert torch.equal(net.U, before[0])
    assert not torch.equal(net.V, before[1])


def test_tasks_of_another_number_of_classes_are_refused():
    Xs, _, Xq, _ = tasks(0)
    with pytest.raises(InputError, match="4 classes"):
        adapt(random_net(), Xs, torch.zeros(4, 6, 4, dtype=REAL), Xq, rate=0.1, steps=1)
