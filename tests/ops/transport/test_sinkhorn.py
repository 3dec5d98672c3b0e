"""Equal shares: sums of rows and classes, the plain algorithm, extreme logits, and two processes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.ranks import on_ranks
from spaceform.errors import InputError
from spaceform.ops.transport import sinkhorn as sinkhorn_module
from spaceform.ops.transport.sinkhorn import sinkhorn


def plain(logits, epsilon, rounds):
    """Divide ``exp`` as the papers write it, class rows and sample columns, in float64."""
    Q = np.exp(logits / epsilon).T
    Q /= Q.sum()
    k, B = Q.shape
    for _ in range(rounds):
        Q /= Q.sum(1, keepdims=True) * k
        Q /= Q.sum(0, keepdims=True) * B
    return (Q * B).T


def cosines(seed=0, rows=40, k=5, dtype=torch.float64):
    return 2 * torch.rand(rows, k, generator=torch.Generator().manual_seed(seed), dtype=dtype) - 1


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 8), st.integers(1, 5))
def test_equals_the_plain_algorithm(seed, rows, k, rounds):
    logits = cosines(seed, rows, k)
    np.testing.assert_allclose(sinkhorn(logits, n_rounds=rounds), plain(logits.numpy(), 0.05, rounds), atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_rows_sum_to_one_and_classes_to_equal_shares(seed):
    logits = cosines(seed, 60, 6, torch.float32)
    torch.testing.assert_close(sinkhorn(logits).sum(1), torch.ones(60), atol=1e-5, rtol=0)
    masses = sinkhorn(logits.double(), n_rounds=200).sum(0)
    torch.testing.assert_close(masses, torch.full_like(masses, 10.0), rtol=1e-3, atol=0)


def test_a_constant_added_to_all_logits_changes_nothing():
    logits = cosines()
    torch.testing.assert_close(sinkhorn(logits + 7), sinkhorn(logits))


def test_extreme_logits_and_half_precision_stay_finite():
    logits = cosines(dtype=torch.float32)
    assert torch.isfinite(sinkhorn(1e4 * logits)).all()
    half = sinkhorn(logits.half())  # exp(1 / 0.05) is beyond float16
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, sinkhorn(logits), atol=0.02, rtol=0.05)


def test_leading_dimensions_are_batches_of_their_own():
    logits = torch.stack([cosines(0), cosines(1)])[None]
    torch.testing.assert_close(sinkhorn(logits)[0, 1], sinkhorn(cosines(1)))


def test_factors_and_logarithms_are_one_plan():
    logits = torch.randn(700, 90, generator=torch.Generator().manual_seed(0))  # several blocks of rows
    for rounds in (1, 3):
        expected = sinkhorn_module._by_logarithms(logits / 0.05, rounds, together=False)
        torch.testing.assert_close(sinkhorn(logits, n_rounds=rounds), expected, atol=1e-5, rtol=1e-4)
    apart = logits.clone()
    apart[0] -= 1e3
    assert sinkhorn_module._by_factors(apart, 0.05, 3, together=False) is None
    torch.testing.assert_close(
        sinkhorn(apart), sinkhorn_module._by_logarithms(apart / 0.05, 3, together=False), atol=1e-5, rtol=1e-4
    )


def test_there_is_no_gradient_and_nothing_to_do_without_rows():
    assert not sinkhorn(cosines().requires_grad_()).requires_grad
    assert sinkhorn(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("logits", "options", "name"),
    [
        (torch.zeros(3), {}, "logits"),
        (torch.zeros(3, 0), {}, "logits"),
        (torch.zeros(3, 2, dtype=torch.int64), {}, "logits"),
        (torch.full((3, 2), torch.nan), {}, "logits"),
        (torch.full((3, 2), torch.inf), {}, "logits"),
        (torch.zeros(3, 2), {"epsilon": 0.0}, "epsilon"),
        (torch.zeros(3, 2), {"n_rounds": 0}, "n_rounds"),
    ],
)
def test_bad_input_is_refused(logits, options, name):
    with pytest.raises(InputError, match=name):
        sinkhorn(logits, **options)


def parts():
    """Rank 0 has 30 rows and rank 1 has 10; then one rank has none."""
    rank = torch.distributed.get_rank()
    mine = sinkhorn(cosines()[slice(0, 30) if rank == 0 else slice(30, 40)], all_ranks=True)
    lonely = sinkhorn(cosines() if rank == 0 else torch.empty(0, 5, dtype=torch.float64), all_ranks=True)
    return mine.numpy(), lonely.numpy()


def test_rows_on_two_processes_are_one_batch(tmp_path):
    (first, all_rows), (second, none) = on_ranks(parts, tmp_path)
    np.testing.assert_allclose(np.concatenate([first, second]), sinkhorn(cosines()), atol=1e-12)
    np.testing.assert_allclose(all_rows, sinkhorn(cosines()), atol=1e-12)
    assert none.shape == (0, 5)
