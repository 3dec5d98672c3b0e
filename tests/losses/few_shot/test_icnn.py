"""ICNN as a loss: worked values, a slow loop, what has a gradient, ties and small batches, equality with the metric."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError, NoPairsError
from spaceform.losses.few_shot.icnn import ICNNLoss, icnn_parts
from spaceform.metrics.icnn import icnn_score


def line(*values):
    half = len(values) // 2
    return torch.tensor(values, dtype=torch.float64)[:, None], torch.arange(2).repeat_interleave(half)


WORKED = [
    ((0, 1, 2, 10, 11, 12), 2, (0.850463, 1.0, 1.0), 0.962616),
    ((0, 1, 2, 10, 11, 12), 4, (0.865657, 0.863636, 1.0), 0.932323),
    ((0, 1, 2, 3, 20, 21, 22, 23), 4, (0.909526, 0.925, 0.75), 0.833631),
    ((0, 2, 4, 1, 3, 5), 2, (0.0, 1.0, 1 / 6), 1 / 3),
]


@pytest.mark.parametrize(("values", "k", "parts", "score"), WORKED)
def test_worked_values(values, k, parts, score):
    X, y = line(*values)
    found = icnn_parts(X, y, k=k)
    assert [float(part) for part in found] == pytest.approx(parts, abs=1e-6)
    assert float(ICNNLoss(k=k)(X, y)) == pytest.approx(-math.log(score), abs=1e-5)


def slow(X, y, R, z, k, window, within):
    """The rule row by row, from the sentences of the paper's code; every mean counts only rows that have any."""
    m = len(R)
    few, k = k + 2 >= m, min(k, m - 2)
    intra, foreign_rows, share = [], [], []
    for i in range(len(X)):
        others = [(math.sqrt(float(((X[i] - R[j]) ** 2).sum()) + 1e-6), j) for j in range(m) if not (within and i == j)]
        near = [(d, int(z[j]) == int(y[i])) for d, j in sorted(others)[:window]]
        f = min((d for d, own in near if not own), default=math.inf)
        q = [d / (f + 1e-7) for d, _ in near[:k]]
        q = [value / max(1, *q) for value in q]
        mine = [value for value, (_, own) in zip(q, near, strict=False) if own]
        if mine:
            intra.append(sum(mine) / len(mine))
        foreign_rows.append([d for d, own in near[:k] if not own])
        share.append(len(mine) / k)
    most = max((d for row in foreign_rows for d in row), default=1.0)
    inter = [sum(row) / len(row) / most for row in foreign_rows if row]
    return (
        1 - (sum(intra) / len(intra) if intra else 0),
        sum(inter) / len(inter) if inter else 1,
        1.0 if few else sum(share) / len(share),
    )


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4).filter(lambda sizes: sum(sizes) >= 4))
    seed, k = draw(st.integers(0, 999)), draw(st.integers(1, 5))
    y = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(len(y), 2, generator=generator, dtype=torch.float64) + y[:, None]
    return X, y, k, draw(st.booleans())


@settings(max_examples=50, deadline=None)
@given(problems())
def test_the_slow_rule_the_tensors_and_the_arrays_agree(problem):
    X, y, k, wide = problem
    cut = min(k, len(y) - 2)
    window = len(y) - 1 if wide else cut + 1
    expected = slow(X, y, X, y, k, window, within=True)
    assert [float(part) for part in icnn_parts(X, y, k=k, window=window)] == pytest.approx(expected, abs=1e-9)
    score = icnn_score(X.numpy(), y.numpy(), k=k, window=max(window, cut))
    assert (score.intra, score.inter, score.gamma) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("window", [None, 6])
def test_queries_among_supports_lose_no_neighbour(window):
    generator = torch.Generator().manual_seed(0)
    X, R = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (7, 9))
    y, z = torch.arange(7) % 3, torch.arange(9) % 3
    expected = slow(X, y, R, z, 4, 5 if window is None else window, within=False)
    found = icnn_parts(X, y, reference=R, reference_labels=z, window=window)
    assert [float(part) for part in found] == pytest.approx(expected, abs=1e-9)
    score = icnn_score(X.numpy(), y.numpy(), reference=R.numpy(), reference_labels=z.numpy(), window=window)
    assert score.intra == pytest.approx(expected[0], abs=1e-6)
    legacy = icnn_parts(X, y, reference=R, reference_labels=z, window=window, drop_first="legacy")
    assert float(legacy.intra) != pytest.approx(expected[0], abs=1e-3)


def test_a_row_is_left_out_by_its_place_not_by_its_rank():
    """Of two equal rows each is the other's neighbour; dropping the nearest by rank could drop the wrong one."""
    X = torch.tensor([[0.0], [0.0], [5.0], [6.0]], dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 1])
    found = icnn_parts(X, y, k=1)
    # both rows at 0 have a foreign neighbour at distance 0, and 5 and 6 one at distance 1
    assert float(found.gamma) == 0
    assert float(found.inter) == pytest.approx((0.001 + 0.001 + 1 + 1) / 4, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_scale_is_not_felt(seed):
    X = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = torch.arange(20) % 4
    for window in (None, 10):
        loss = ICNNLoss(window=window)
        assert float(loss(7 * X, y)) == pytest.approx(float(loss(X, y)), abs=1e-5)


def test_means_count_the_rows_that_have_any():
    X = torch.tensor([[0.0], [1.0], [2.0], [10.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 0, 1])  # the last class has no own-class neighbour
    found = icnn_parts(X, y, k=1)
    ratios = [1 / 10, 1 / 9, 1 / 8]  # of the first three rows: nearest own over nearest foreign, if it is in the window
    window = icnn_parts(X, y, k=1, window=3)
    assert float(window.intra) == pytest.approx(1 - sum(ratios) / 3, abs=1e-6)
    assert float(found.gamma) == pytest.approx(3 / 4)


def test_gradients_reach_the_distances_but_not_the_count():
    X = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    y = torch.arange(12) % 3
    found = icnn_parts(X, y)
    assert found.intra.requires_grad
    assert found.inter.requires_grad
    assert not found.gamma.requires_grad
    (whole,) = torch.autograd.grad(ICNNLoss()(X, y), X)
    (shape,) = torch.autograd.grad(-(found.intra + found.inter) / 2, X)
    size = (found.intra + found.inter).detach() / 2 + found.gamma
    torch.testing.assert_close(whole, shape / size)


def test_a_separated_batch_learns_only_where_the_window_reaches_foreign_rows():
    X, y = line(0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 104, 105)
    X.requires_grad_()
    (small,) = torch.autograd.grad(ICNNLoss(k=4)(X, y), X)
    assert float(small.abs().max()) == 0
    (full,) = torch.autograd.grad(ICNNLoss(k=4, window=6)(X, y), X)
    assert float(full.abs().max()) > 0
    assert torch.isfinite(full).all()


def test_equidistant_impostors_count_as_well_apart():
    """The known weakness of the inter term: classes that interleave evenly have inter 1."""
    X, y = line(0, 2, 4, 6, 1, 3, 5, 7)
    assert float(icnn_parts(X, y, k=1).inter) == pytest.approx(1)
    assert float(icnn_parts(X, y, k=1).gamma) == 0


def test_parts_can_be_left_out():
    X, y = line(0, 1, 2, 10, 11, 12)
    assert float(ICNNLoss(k=4, parts=("intra",))(X, y)) == pytest.approx(-math.log(0.865657), abs=1e-5)
    with_count = ICNNLoss(k=4, parts=("inter", "gamma"))
    assert float(with_count(X, y)) == pytest.approx(-math.log((0.863636 + 1) / 2), abs=1e-5)
    with pytest.raises(InputError, match="parts"):
        ICNNLoss(parts=("gamma",))
    with pytest.raises(InputError, match="parts"):
        ICNNLoss(parts=("intra", "omega"))


def test_single_rows_of_every_class():
    X, y = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    with pytest.raises(NoPairsError):
        ICNNLoss()(X, y)
    assert float(icnn_parts(X, y).intra) == 1
    assert torch.isfinite(ICNNLoss(empty="inter")(X.requires_grad_(), y))
    with pytest.raises(NoPairsError):
        ICNNLoss(empty="inter")(X, torch.zeros_like(y))


def test_a_score_of_zero_stays_finite():
    X, y = line(0, 2, 4, 1, 3, 5)
    value = ICNNLoss(k=1, parts=("intra", "gamma"))(X.requires_grad_(), y)
    assert float(value.detach()) == pytest.approx(-math.log(1e-7), rel=1e-3) or torch.isfinite(value)


@pytest.mark.parametrize(
    ("options", "name"), [({"k": 0}, "k"), ({"k": 4, "window": 3}, "window"), ({"drop_first": "rank"}, "drop_first")]
)
def test_wrong_settings_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        ICNNLoss(**options)


def test_what_can_not_be_looked_at_is_refused():
    X, y = line(0, 1, 2, 10, 11, 12)
    with pytest.raises(InputError, match="window"):
        ICNNLoss(k=2, window=6)(X, y)
    with pytest.raises(InputError, match="three"):
        ICNNLoss(k=1)(X, y, reference=X[[0, 3]], reference_labels=y[[0, 3]])
    with pytest.raises(InputError, match="NaN"):
        ICNNLoss()(X * torch.nan, y)
    assert np.isfinite(float(ICNNLoss(k=2, window=5)(X, y)))
