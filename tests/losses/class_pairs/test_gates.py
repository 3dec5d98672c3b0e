"""Gates of class pairs against what they mean: symmetry, range, batch norm row by row, closeness by the naive sum."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaceform.errors import InputError
from spaceform.losses.class_pairs.gates import SIGMA, ClassifierGate, ClassPairGate, CountedBatchNorm, gated_closeness
from spaceform.rng import torch_generator


def small(**settings):
    return ClassPairGate(**{"n_classes": 6, "width": 5, "embed_dim": 7, "hidden": 9} | settings)


def pairs(n=40, classes=6, seed=0):
    generator = torch_generator(seed)
    return tuple(torch.randint(classes, (n,), generator=generator) for _ in range(2))


def naive(rows, keys, gate, form):
    """Row by row, as it is written down."""
    rows, keys = (nn.functional.normalize(x, dim=1) for x in (rows, keys))
    found = torch.empty(len(rows), len(keys), dtype=rows.dtype)
    for i in range(len(rows)):
        for j in range(len(keys)):
            one, other = gate[i] * rows[i], gate[i] * keys[j]
            lengths = one.norm() * other.norm() if form == "subspace" else 1.0
            found[i, j] = (one @ other) / lengths
    return found


@pytest.mark.parametrize("form", ["global", "subspace"])
def test_closeness_is_the_naive_sum_and_so_is_its_gradient(form):
    generator = torch_generator(0)
    rows, keys, gate = (torch.rand(n, 6, generator=generator).sub(0.4).requires_grad_() for n in (8, 11, 8))
    weights = torch.randn(8, 11, generator=generator)
    opened = gate.abs()
    fast, slow = gated_closeness(rows, keys, opened, form=form), naive(rows, keys, opened, form)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad((fast * weights).sum(), (rows, keys, gate), retain_graph=True),
        torch.autograd.grad((slow * weights).sum(), (rows, keys, gate)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=30)
def test_an_open_gate_gives_the_cosine_and_a_gate_of_one_height_only_scales(seed, scale):
    generator = torch_generator(seed)
    rows, keys = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    cosine = nn.functional.normalize(rows, dim=1) @ nn.functional.normalize(keys, dim=1).T
    whole = torch.ones_like(rows)
    for form in ("global", "subspace"):
        torch.testing.assert_close(gated_closeness(scale * rows, keys, whole, form=form), cosine)
    torch.testing.assert_close(gated_closeness(rows, keys, whole / 2, form="global"), cosine / 4)
    torch.testing.assert_close(gated_closeness(rows, keys, whole / 2, form="subspace"), cosine, atol=1e-9, rtol=1e-9)
    gate = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    assert gated_closeness(rows, keys, gate).abs().max() <= 1 + 1e-12
    assert gated_closeness(rows, keys, gate, form="subspace").abs().max() <= 1 + 1e-9


def test_a_row_with_nothing_left_in_the_subspace_is_at_0_and_has_a_finite_gradient():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    gate = torch.tensor([[0.0, 1.0], [0.0, 0.0]], requires_grad=True)
    closeness = gated_closeness(rows, rows, gate, form="subspace")
    closeness.sum().backward()
    assert closeness.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert torch.isfinite(rows.grad).all()
    assert torch.isfinite(gate.grad).all()


def test_shapes_that_do_not_fit_are_refused():
    rows = torch.ones(3, 4)
    for keys, gate in ((torch.ones(2, 5), rows), (rows, torch.ones(3, 5)), (rows, torch.ones(2, 4))):
        with pytest.raises(InputError, match="gate"):
            gated_closeness(rows, keys, gate)
    with pytest.raises(InputError, match="form"):
        gated_closeness(rows, rows, rows, form="local")


def test_no_array_of_rows_by_keys_by_dimensions():
    rows, keys = torch.randn(400, 256), torch.randn(20_000, 256)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        gated_closeness(rows, keys, torch.rand(400, 256), form="subspace")
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest <= 2 * 400 * 20_000 * 4  # the whole would be 8 GB


@pytest.mark.parametrize("kind", ["sigmoid", "gumbel", "stochastic", "open"])
@pytest.mark.parametrize("fuse", ["mean", "product"])
def test_gates_are_symmetric_in_range_and_alone_in_evaluation_mode(kind, fuse):
    gate, (first, second) = small(kind=kind, fuse=fuse), pairs()
    for _ in range(3):
        gate(first, second)  # running statistics
    gate.eval()
    opened = gate(first, second)
    torch.testing.assert_close(opened, gate(second, first), atol=1e-6, rtol=0)
    assert opened.shape == (40, 5)
    assert 0 <= opened.min() <= opened.max() <= 1
    if kind in {"sigmoid", "gumbel"}:
        assert 0 < opened.min() <= opened.max() < 1
    for row in (0, 7):
        torch.testing.assert_close(gate(first[row : row + 1], second[row : row + 1])[0], opened[row])


def test_the_gate_begins_half_open():
    gate = ClassPairGate(n_classes=10, width=64)
    assert float(gate(*pairs(200, 10)).mean().detach()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("fuse", ["mean", "product"])
def test_distinct_pairs_once_are_all_rows_one_by_one(fuse):
    """Oracle: torch's batch norm over every row of the batch, and its gradient in the table of classes."""
    gate, (first, second) = small(fuse=fuse), pairs()
    norms = [nn.BatchNorm1d(7), nn.BatchNorm1d(9)]

    def rows(middle):
        return torch.sigmoid(gate.outer(norms[1](gate.inner(norms[0](middle.relu())).relu())))

    opened = gate(first, second)
    if fuse == "mean":
        slow = rows((gate.table(first) + gate.table(second)) / 2)
    else:
        both = rows(gate.table(torch.cat([first, second])))
        slow = both[:40] * both[40:]
    torch.testing.assert_close(opened, slow)
    weights = torch.randn(40, 5, generator=torch_generator(1))
    ours, theirs = (
        torch.autograd.grad((x * weights).sum(), [gate.table.weight, gate.inner.weight]) for x in (opened, slow)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for norm, own in zip(norms, (gate.first_norm, gate.second_norm), strict=True):
        torch.testing.assert_close(own.running_mean, norm.running_mean)
        torch.testing.assert_close(own.running_var, norm.running_var)


@given(counts=st.lists(st.integers(1, 5), min_size=2, max_size=6), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_counted_batch_norm_is_batch_norm_of_repeated_rows(counts, seed):
    rows = torch.randn(len(counts), 3, generator=torch_generator(seed))
    ours, theirs = CountedBatchNorm(3), nn.BatchNorm1d(3)
    repeated = theirs(rows.repeat_interleave(torch.tensor(counts), 0))
    torch.testing.assert_close(
        ours(rows, torch.tensor(counts)).repeat_interleave(torch.tensor(counts), 0), repeated, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(rows, torch.tensor(counts)), theirs.eval()(rows))


def test_noise_comes_from_the_generator_and_only_in_training():
    first, second = pairs()
    for kind in ("gumbel", "stochastic"):
        gate = small(kind=kind)
        draws = [gate(first, second, generator=torch_generator(seed)) for seed in (0, 0, 1)]
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])
        gate.eval()
        assert torch.equal(gate(first, second), gate(first, second))


def test_the_stochastic_gate_is_clamped_noise_and_pays_for_what_it_opens():
    gate, (first, second) = small(kind="stochastic"), pairs()
    opened, penalty = gate.eval().with_penalty(first, second)
    middle = (gate.table(first) + gate.table(second)) / 2
    inner = gate.inner(gate.first_norm(middle.relu(), torch.ones(40)))
    logits = gate.outer(gate.second_norm(inner.relu(), torch.ones(40)))
    torch.testing.assert_close(opened, (logits + 0.5).clamp(0, 1))
    expected = 0.5 * (1 + torch.erf((logits + 0.5) / SIGMA / math.sqrt(2)))
    torch.testing.assert_close(penalty, 1e-6 * expected.sum(1).mean())
    assert small().with_penalty(first, second)[1] is None


def test_gumbel_draws_open_more_than_half_on_average():
    """E sigmoid(G) for standard Gumbel G: its median lies above 0, so the released gate is biased to open."""
    gate = small(kind="gumbel", width=4000)
    with torch.no_grad():
        gate.outer.weight.zero_()
        opened = gate(*pairs(), generator=torch_generator(0))
    draws = torch.sigmoid(-(-torch.rand(10**6, generator=torch_generator(1)).log()).log())
    assert float(opened.mean()) == pytest.approx(float(draws.mean()), abs=5e-3)


def test_the_matrix_holds_the_mean_opening_of_every_pair(monkeypatch):
    monkeypatch.setattr("spaceform.losses.class_pairs.gates.BLOCK", 5)
    gate = small()
    gate(*pairs())
    matrix = gate.matrix()
    assert gate.training
    gate.eval()
    for a in range(6):
        for b in range(6):
            expected = gate(torch.tensor([a]), torch.tensor([b])).mean()
            assert float(matrix[a, b]) == pytest.approx(float(expected.detach()), abs=1e-6)


def test_classes_with_one_table_row_overlap_wholly():
    gate = small()
    with torch.no_grad():
        gate.table.weight[3] = gate.table.weight[1]
    overlap = gate.overlap()
    torch.testing.assert_close(overlap, overlap.T)
    assert float(overlap[1, 3]) == pytest.approx(1, abs=1e-5)
    assert overlap[1, :3].min() < 0.9
    assert torch.equal(small(kind="open").overlap(), torch.eye(6))


def test_seeds_and_state():
    first, second = pairs()
    assert torch.equal(small(seed=3)(first, second), small(seed=3)(first, second))
    assert not torch.equal(small(seed=3)(first, second), small(seed=4)(first, second))
    taught, fresh = small(seed=3), small(seed=4)
    taught(first, second)
    fresh.load_state_dict(taught.state_dict())
    assert torch.equal(fresh.eval()(first, second), taught.eval()(first, second))
    assert not list(small(kind="open").parameters())


def test_the_gate_of_a_classifier_is_where_both_weights_agree():
    linear = nn.Linear(8, 5)
    first, second = pairs(classes=5)
    gate = ClassifierGate(linear)
    expected = (torch.sign(linear.weight[first]) == torch.sign(linear.weight[second])).float()
    assert torch.equal(gate(first, second), expected)
    assert not list(gate.parameters())
    assert (gate.n_classes, gate.width) == (5, 8)


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (torch.tensor([0, 6]), torch.tensor([0, 1]), "first"),
        (torch.tensor([0, 1]), torch.tensor([-1, 1]), "second"),
        (torch.tensor([0.0, 1.0]), torch.tensor([0, 1]), "first"),
        (torch.tensor([0, 1]), torch.tensor([0, 1, 2]), "second"),
        (torch.tensor([0]), torch.tensor([1]), "first"),
    ],
)
def test_labels_that_do_not_fit_and_one_row_in_training_are_refused(first, second, named):
    with pytest.raises(InputError) as refused:
        small()(first, second)
    assert refused.value.argument == named


@pytest.mark.parametrize(
    "settings", [{"n_classes": 1}, {"width": 0}, {"kind": "closed"}, {"fuse": "sum"}, {"seed": -1}]
)
def test_settings_are_checked(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        small(**settings)
