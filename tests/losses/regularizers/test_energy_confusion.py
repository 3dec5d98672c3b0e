"""Energy confusion: the slow double loop, the hand value, what the log does, what holds the scale, what is refused."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError, NoPairsError
from spaceform.losses.binomial_deviance import BinomialDevianceLoss
from spaceform.losses.combination import WeightedSum
from spaceform.losses.regularizers.energy_confusion import (
    EnergyConfusion,
    between_class_energies,
    row_norm_penalty,
)
from spaceform.losses.triplet import TripletLoss

BARE = {"scale_guard": 0.0}


def rows(seed, n=12, d=3, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_energy(X, y, R=None, z=None):
    """Half the mean squared distance over pairs of different classes, one pair at a time; no pair within a class."""
    total, count = 0.0, 0
    for i in range(len(X)):
        for j in range(len(X) if R is None else len(R)):
            other, label = (X[j], y[j]) if R is None else (R[j], z[j])
            if int(y[i]) != int(label):
                total, count = total + float(((X[i] - other) ** 2).sum()) / 2, count + 1
    return total / count


@st.composite
def batches(draw):
    members = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    labels = torch.repeat_interleave(torch.arange(len(members)), torch.tensor(members))
    seed = draw(st.integers(0, 1000))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return rows(seed, len(labels)), labels[order]


@settings(max_examples=40, deadline=None)
@given(batches())
def test_the_closed_form_is_the_double_loop_without_positives(batch):
    X, y = batch
    assert float(between_class_energies(X, y).sum()) == pytest.approx(slow_energy(X, y), rel=1e-6)


def test_a_second_set_gives_the_other_ends():
    X, R = rows(0), rows(1, 7)
    y, z = torch.arange(12) % 3, torch.arange(7) % 4
    found = between_class_energies(X, y, reference=R, reference_labels=z).sum()
    assert float(found) == pytest.approx(slow_energy(X, y, R, z), rel=1e-9)
    term = EnergyConfusion(**BARE)(X, y, reference=R, reference_labels=z)
    assert float(term) == pytest.approx(float(found.log()))


def test_one_pair_by_hand():
    pair = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert float(EnergyConfusion(**BARE)(pair, torch.tensor([0, 1]))) == pytest.approx(math.log(12.5), abs=1e-4)


def test_a_factor_changes_no_gradient_and_scaled_rows_only_its_length():
    X, y = rows(0).requires_grad_(), torch.arange(12) % 4
    (plain,) = torch.autograd.grad(EnergyConfusion(**BARE)(X, y), X)
    (scaled,) = torch.autograd.grad(EnergyConfusion(**BARE)(large := (3 * X.detach()).requires_grad_(), y), large)
    torch.testing.assert_close(scaled, plain / 3)
    (by_energy,) = torch.autograd.grad(7 * between_class_energies(X, y).sum(), X)
    ratio = by_energy / plain
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))


def test_it_is_minimised_so_a_small_step_draws_classes_together():
    X, y = rows(0).requires_grad_(), torch.arange(12) % 4
    (gradient,) = torch.autograd.grad(EnergyConfusion(**BARE)(X, y), X)
    start = X.detach()
    assert slow_energy(start - 1e-3 * gradient, y) < slow_energy(start, y)


def test_the_gradient_is_the_derivative():
    y, z = torch.arange(6) % 3, torch.tensor([0, 1, 5, 2])
    loss = EnergyConfusion()
    assert torch.autograd.gradcheck(lambda X: loss(X, y), rows(0, 6).requires_grad_())
    assert torch.autograd.gradcheck(
        lambda X, R: loss(X, y, reference=R, reference_labels=z),
        (rows(0, 6).requires_grad_(), rows(1, 4).requires_grad_()),
    )


def test_rows_are_not_normalised_and_the_value_is_not_bounded():
    X, y = rows(0), torch.arange(12) % 4
    term = EnergyConfusion(**BARE)
    assert float(term(10 * X, y) - term(X, y)) == pytest.approx(2 * math.log(10))


def test_large_means_in_single_precision():
    X, y = rows(0, 40, dtype=torch.float32), torch.arange(40) % 5
    moved = X + 1024.0  # a power of two, so that the sum itself rounds little
    exact = slow_energy((moved - 1024).double(), y)
    assert float(between_class_energies(moved, y).sum()) == pytest.approx(exact, rel=1e-3)


def test_drawn_pairs_are_of_different_classes_and_average_to_all():
    # rows of one class lie together, so a single drawn positive would show as a distance of 0
    y = torch.arange(12) % 4
    X = torch.eye(4, dtype=torch.float64)[y]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert float(EnergyConfusion(n_pairs=2, **BARE)(X, y, generator=generator)) == pytest.approx(0, abs=1e-9)
    X = rows(0)
    drawn = [float(EnergyConfusion(n_pairs=10, **BARE)(X, y, generator=generator).exp()) for _ in range(300)]
    assert sum(drawn) / 300 == pytest.approx(slow_energy(X, y), rel=0.03)


def test_draws_follow_their_generator_and_leave_the_global_one_alone():
    X, y = rows(0), torch.arange(12) % 4
    term, state = EnergyConfusion(n_pairs=3), torch.get_rng_state()
    first, second = (float(term(X, y, generator=torch.Generator().manual_seed(seed))) for seed in (5, 5))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_rows_warn_and_stay_finite():
    X = torch.ones(4, 2, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="merged"):
        term = EnergyConfusion(**BARE)(X, torch.tensor([0, 0, 1, 1]))
    term.backward()
    assert float(term.detach()) == pytest.approx(math.log(1e-12), rel=1e-3)
    assert torch.isfinite(X.grad).all()


@pytest.mark.parametrize("loss", [TripletLoss, BinomialDevianceLoss])
def test_it_composes_with_any_loss_and_keeps_the_scale_at_every_weight(loss):
    y = torch.arange(24) % 4
    X = (rows(0, 4, 8, torch.float32)[y] + rows(1, 24, 8, torch.float32)).requires_grad_()
    composed = loss() + 0.13 * EnergyConfusion()
    assert isinstance(composed, WeightedSum)
    total, figures = composed.with_figures(X, y)
    assert set(figures) == {loss.__name__, "EnergyConfusion"}
    assert float(total.detach()) == pytest.approx(figures[loss.__name__] + 0.13 * figures["EnergyConfusion"], rel=1e-4)


def shrunk(term, weight, steps=60):
    """The mean squared length of rows after training them with a loss that does not feel their scale."""
    y = torch.arange(24) % 4
    X = (0.3 * (rows(0, 4, 8, torch.float32)[y] + rows(1, 24, 8, torch.float32))).requires_grad_()
    optimizer = torch.optim.Adam([X], lr=0.05)
    composed = BinomialDevianceLoss() + weight * term
    for _ in range(steps):
        optimizer.zero_grad()
        composed(X, y).backward()
        optimizer.step()
    return float((X.detach() ** 2).sum(1).mean())


@pytest.mark.parametrize("weight", [0.13, 3.0])
def test_the_scale_is_held_at_every_weight_where_the_bare_term_shrinks(weight):
    assert shrunk(EnergyConfusion(), weight) == pytest.approx(math.exp(-0.5), abs=0.25)
    assert shrunk(EnergyConfusion(**BARE), weight) < 0.25


def test_above_the_critical_weight_classes_merge_and_a_warning_says_so():
    y = torch.arange(24) % 4
    start = rows(0, 4, 8, torch.float32)[y] + rows(1, 24, 8, torch.float32)

    def trained(weight):
        X = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([X], lr=0.1)
        for _ in range(150):
            optimizer.zero_grad()
            (TripletLoss() + weight * EnergyConfusion())(X, y).backward()
            optimizer.step()
        return float(between_class_energies(X.detach(), y).sum())

    assert trained(0.05) > 0.1
    with pytest.warns(RuntimeWarning, match="lower its weight"):
        assert trained(3.0) < 2e-3


def test_unit_rows_cost_nothing_and_shorter_ones_are_lengthened():
    weight = torch.nn.functional.normalize(rows(0, 5, 4), dim=1).requires_grad_()
    penalty = row_norm_penalty(weight)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert float(penalty.detach()) == pytest.approx(0, abs=1e-12)
    assert gradient.abs().max() < 1e-12
    short = (0.5 * weight.detach()).requires_grad_()
    assert float(row_norm_penalty(short.detach())) == pytest.approx(0.5 * 0.75**2)
    (gradient,) = torch.autograd.grad(row_norm_penalty(short), short)
    assert float((gradient * short.detach()).sum()) < 0


@pytest.mark.parametrize(("strength", "settles"), [(0.5, 0.920), (1.0, 0.965)])
def test_guard_and_confusion_settle_where_the_quadratic_says(strength, settles):
    features = rows(0, 200, 6, torch.float64)  # isotropic
    y = torch.arange(200) % 10
    weight = torch.nn.functional.normalize(rows(1, 6, 6), dim=1).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        term = 0.13 * EnergyConfusion(**BARE)(features @ weight.T, y) + row_norm_penalty(weight, strength=strength)
        term.backward()
        optimizer.step()
    norm = float(weight.detach().norm(dim=1).mean())
    assert norm == pytest.approx(settles, abs=0.02)
    assert norm**2 * (1 - norm**2) == pytest.approx(0.13 / (2 * strength), abs=0.02)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_pairs": 0}, "n_pairs"),
        ({"n_pairs": "some"}, "n_pairs"),
        ({"scale_guard": -1.0}, "scale_guard"),
        ({"eps": 0.0}, "eps"),
    ],
)
def test_wrong_settings_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        EnergyConfusion(**options)


def test_what_can_give_no_pair_is_refused():
    X, y = rows(0), torch.arange(12) % 4
    for term in (EnergyConfusion(), EnergyConfusion(n_pairs=3)):
        with pytest.raises(NoPairsError, match="labels"):
            term(X, torch.zeros_like(y))
        with pytest.raises(InputError, match="two rows"):
            term(X[:1], y[:1])
        with pytest.raises(InputError, match="labels"):
            term(X, y[:-1])
        with pytest.raises(InputError, match="NaN"):
            term(X * torch.nan, y)
    assert torch.isfinite(EnergyConfusion()(X, torch.arange(12)))  # classes of one row have pairs enough
