"""The head on the sphere: its loss, its gradients, its constraints, and classes that come and go without training."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from oracles.batches import assert_same, unit, value_and_gradients
from spaceform.errors import InputError
from spaceform.heads.normalized_linear import NormalizedLinear
from spaceform.losses.margin_softmax import NormalizedSoftmaxLoss, normalized_softmax_floor
from spaceform.training.averaging import WeightAverage


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def head_of(width=6, n_classes=4, **options):
    return NormalizedLinear(width=width, n_classes=n_classes, **options)


def at(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_logits_are_scaled_cosines():
    head, rows = head_of(scale=7.0).double(), draw(5, 6)
    logits = head(rows)
    for b in range(5):
        for c in range(4):
            vector = head.vectors[c].detach()
            expected = 7 * float(rows[b] @ vector / (rows[b].norm() * vector.norm()))
            assert logits[b, c].item() == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1.0, 10.0, 20.0])
def test_its_cross_entropy_is_the_normalized_softmax_loss(scale):
    rows, labels = draw(12, 6), torch.arange(12) % 4
    loss = NormalizedSoftmaxLoss(n_classes=4, width=6, temperature=1 / scale, seed=3)
    head = NormalizedLinear.from_vectors(loss.vectors, scale=scale)
    assert torch.equal(head_of(seed=3).vectors, loss.vectors)
    vectors = loss.vectors.detach().double() * 3
    loss.vectors.data, head.vectors.data = vectors.clone(), vectors.clone()
    assert_same(
        value_and_gradients(lambda x, _: loss(x, labels), rows),
        value_and_gradients(lambda x, _: cross_entropy(head(x), labels), rows),
    )
    torch.testing.assert_close(head.vectors.grad, loss.vectors.grad)


def test_the_gradient_is_the_published_one_and_never_radial():
    head, rows, labels = head_of(scale=10.0).double(), draw(9, 6).requires_grad_(), torch.arange(9) % 4
    (gradient,) = torch.autograd.grad(cross_entropy(head(rows), labels, reduction="sum"), rows)
    weight, z = head.weight.detach(), unit(rows.detach())
    p = (10 * z @ weight.T).softmax(1)
    by_z = 10 * (p @ weight - weight[labels])
    by_h = (by_z - (by_z * z).sum(1, keepdim=True) * z) / rows.detach().norm(dim=1, keepdim=True)
    torch.testing.assert_close(gradient, by_h)
    assert (gradient * rows).sum(1).abs().max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_lengths_change_nothing(factor, seed):
    head, rows = head_of().double(), draw(3, 6, seed=seed)
    torch.testing.assert_close(head(factor * rows), head(rows))


def test_training_reaches_the_floor():
    head, rows, labels = head_of(5, 6, scale=5.0), draw(6, 5, dtype=torch.float32).requires_grad_(), torch.arange(6)
    optimizer = torch.optim.Adam([rows, *head.parameters()], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = cross_entropy(head(rows), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(normalized_softmax_floor(6, temperature=1 / 5), rel=0.02)


def test_rows_in_one_orthant_cannot():
    """What a ReLU before the head does: the floor of the full sphere is out of reach."""
    head, free, labels = head_of(5, 6, scale=5.0), draw(6, 5, dtype=torch.float32).requires_grad_(), torch.arange(6)
    optimizer = torch.optim.Adam([free, *head.parameters()], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = cross_entropy(head(free.relu() + 1e-6), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() > 3 * normalized_softmax_floor(6, temperature=1 / 5)


def test_without_a_scale_training_stalls_at_a_soft_optimum():
    corners = unit(torch.eye(10, dtype=torch.float64) - 0.1)
    head = NormalizedLinear.from_vectors(corners, scale=1.0).double()
    assert cross_entropy(head(corners), torch.arange(10)).item() == pytest.approx(1.3769, abs=1e-4)


# the constraint by projection


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.3, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_ends_on_the_sphere(name):
    head, rows, labels = head_of(constraint="project"), draw(8, 6, dtype=torch.float32), torch.arange(8) % 4
    optimizer = OPTIMIZERS[name](head.parameters())
    handle = head.project_after(optimizer)
    for step in range(6):
        if step == 5:
            handle.remove()
        optimizer.zero_grad()
        cross_entropy(head(rows), labels).backward()
        optimizer.step()
        off = float((head.vectors.detach().norm(dim=1) - 1).abs().max())
        assert (off < 1e-6) == (step < 5)
    assert (head.project_().vectors.norm(dim=1) - 1).abs().max() < 1e-6


def test_projected_gradients_have_a_radial_part_and_reparametrised_ones_have_not():
    rows, labels = draw(8, 6), torch.arange(8) % 4
    radial = {}
    for constraint in ("reparam", "project"):
        head = head_of(constraint=constraint).double()
        cross_entropy(head(rows), labels).backward()
        radial[constraint] = float((head.vectors.grad * head.vectors.detach()).sum(1).abs().max())
    assert radial["reparam"] < 1e-9
    assert radial["project"] > 1e-2


def test_an_average_of_weights_is_inside_the_sphere_until_projected():
    head = head_of(constraint="project")
    average = WeightAverage(head, decay=0.5, warmup=False)
    with torch.no_grad():
        head.vectors.copy_(unit(draw(4, 6, seed=9, dtype=torch.float32)))
    average.update(head)
    average.copy_to(head)
    assert head.vectors.norm(dim=1).max() < 0.99
    rows = draw(3, 6, dtype=torch.float32)
    answered = head.eval()(rows)  # at unit length
    torch.testing.assert_close(head.project_().train()(rows), answered)


# classes that are added


def test_by_hand():
    head = NormalizedLinear.from_vectors(at(0, 120), scale=10.0).eval()
    assert head.add_class(at(0, 90)) == 2
    torch.testing.assert_close(head.weight, torch.cat([at(0, 120), at(45)]))
    logits = head(at(60))[0] / 10
    assert [round(c, 4) for c in logits.tolist()] == [0.5, 0.5, 0.9659]
    assert head(at(60)).softmax(1)[0, 2].item() == pytest.approx(0.98141, abs=1e-5)
    assert head.concentration.tolist() == pytest.approx([math.cos(math.pi / 4)])


def test_supports_count_by_direction_not_by_length():
    head = head_of(2, 0).double()
    head.add_class(torch.tensor([[1.0, 0.0], [0.0, 1000.0]], dtype=torch.float64))
    torch.testing.assert_close(head.weight, at(45))


def test_an_added_class_leaves_the_others_alone():
    head, rows = head_of(16, 10).eval(), draw(50, 16, dtype=torch.float32)
    before, vectors = head(rows).detach(), head.vectors.detach().clone()
    for seed in range(5):
        head.add_class(draw(7, 16, seed=seed, dtype=torch.float32))
    torch.testing.assert_close(head(rows)[:, :10], before, rtol=0, atol=1e-5)  # logits up to 10
    assert torch.equal(head.vectors, vectors)
    assert (head.weight.norm(dim=1) - 1).abs().max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 11))
def test_two_calls_are_one_and_order_does_not_matter(seed, cut):
    support = draw(12, 6, seed=seed)
    once, twice = head_of().double(), head_of().double()
    once.add_class(support)
    shuffled = support[torch.randperm(12, generator=torch.Generator().manual_seed(seed))]
    twice.update_class(twice.add_class(shuffled[:cut]), shuffled[cut:])
    torch.testing.assert_close(once.weight, twice.weight)
    torch.testing.assert_close(once.concentration, twice.concentration)
    assert twice.counts.tolist() == [12]


def test_balanced_supports_are_refused_and_change_nothing():
    head = head_of(2, 2)
    head.add_class(at(0).float())
    before = copy.deepcopy(head.state_dict())
    for refused in (lambda: head.add_class(at(30, 210)), lambda: head.update_class(2, at(180))):
        with pytest.raises(InputError, match=r"support: .*balance out"):
            refused()
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_classes_are_removed_and_later_ones_move_up():
    head = NormalizedLinear.from_vectors(at(0, 90)).eval()
    head.add_class(at(180))
    head.add_class(at(270))
    head.remove_class(2)
    torch.testing.assert_close(head.weight, at(0, 90, 270))
    head.remove_class(0)
    torch.testing.assert_close(head.weight, at(90, 270))
    head.remove_class(1)
    with pytest.raises(InputError, match="last class"):
        head.remove_class(0)
    assert head(at(90)).shape == (1, 1)


def test_the_disjoint_scenario_has_added_classes_only():
    head = head_of(2, 0).eval()
    with pytest.raises(InputError, match="add a class first"):
        head(at(0).float())
    head.add_class(at(10).float())
    head.add_class(at(100).float())
    assert head(at(20, 80).float()).argmax(1).tolist() == [0, 1]


def test_a_saved_head_goes_on_growing_as_an_unsaved_one(tmp_path):
    from safetensors.torch import load_file, save_file

    head = head_of(scale=12.5)
    head.add_class(draw(3, 6, seed=1))
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    again = head_of(6, 0)
    again.load_state_dict(load_file(tmp_path / "head.safetensors"))
    for one in (head, again):
        one.eval().update_class(4, draw(2, 6, seed=2))
        one.add_class(draw(2, 6, seed=3))
    rows = draw(4, 6, dtype=torch.float32)
    assert torch.equal(head(rows), again(rows))
    assert float(again.scale) == 12.5


def test_a_state_of_another_width_is_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        head_of(5, 4).load_state_dict(head_of(6, 4).state_dict())


def test_half_precision_and_large_scales_stay_finite():
    head = head_of(6, 4, scale=200.0).eval()
    head.add_class(draw(3, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(draw(5, 6).to(torch.bfloat16))
    assert logits.dtype == torch.float32
    assert torch.isfinite(cross_entropy(logits, torch.arange(5))).item()
    head.half()
    assert (head.sums.dtype, head.scale.dtype, head.vectors.dtype) == (torch.float64, torch.float64, torch.float16)
    assert torch.isfinite(head(draw(5, 6, dtype=torch.float16))).all()


def test_equal_rows_do_not_leave_the_range_of_cosines():
    rows = draw(2000, 33, dtype=torch.float32)
    head = NormalizedLinear.from_vectors(rows[:1] * 7, scale=1.0).eval()
    assert head(rows[:1] * 3).abs().max() <= 1 + 1e-6


def test_nothing_learns_from_added_classes():
    head = head_of().double()
    head.add_class(draw(3, 6))
    cross_entropy(head(draw(5, 6, seed=1)), torch.tensor([0, 1, 2, 3, 4])).backward()
    assert head.vectors.grad.abs().sum() > 0
    assert [name for name, _ in head.named_parameters()] == ["vectors"]
    assert copy.deepcopy(head).n_classes == 5


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda: head_of(0), "width"),
        (lambda: head_of(scale=0.0), "scale"),
        (lambda: head_of(scale=-1.0), "scale"),
        (lambda: head_of(constraint="clip"), "constraint"),
        (lambda: head_of(n_classes=-1), "n_classes"),
        (lambda: head_of(6, 1)(draw(2, 6)), "n_classes"),
        (lambda: head_of()(draw(2, 5)), "embeddings"),
        (lambda: head_of()(torch.zeros(2, 6)), "embeddings: got a zero vector"),
        (lambda: head_of()(torch.full((2, 6), torch.nan)), "embeddings: got NaN"),
        (lambda: head_of().add_class(draw(0, 6)), "support: got no rows"),
        (lambda: head_of().add_class(draw(2, 7)), "support"),
        (lambda: head_of().add_class(torch.full((1, 6), torch.inf)), "support"),
        (lambda: head_of().add_class(torch.zeros(1, 6)), "support"),
        (lambda: head_of().update_class(0, draw(1, 6)), "k"),
        (lambda: head_of().remove_class(4), "k"),
        (lambda: NormalizedLinear.from_vectors(torch.zeros(2, 3)), "vectors"),
    ],
)
def test_what_does_not_fit_is_refused(work, name):
    with pytest.raises(InputError, match=name):
        work()


def test_few_dimensions_warn_that_the_floor_is_out_of_reach():
    with pytest.warns(UserWarning, match="floor"):
        head_of(3, 5)
    assert head_of(4, 5).n_classes == 5


def test_neither_rows_nor_world_are_written_to():
    state, rows = torch.get_rng_state(), draw(3, 6)
    kept = rows.clone()
    head_of().double().add_class(rows)
    assert torch.equal(rows, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert "learned=4, added=0, scale=10" in repr(head_of())
    assert np.isfinite(head_of().weight.detach().numpy()).all()
