"""What holds for every loss over pairs: the definition, the loop, invariances, blocks, empty batches, precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.batches import assert_same, batch, closeness, unit, value_and_gradients
from oracles.pair_losses import CASES, by_loops
from spaceform.errors import InputError, NoPairsError
from spaceform.geometry import Euclidean, PoincareBall, Sphere
from spaceform.losses.fused import blocks

FREE = [name for name in CASES if name != "circle"]
"""Losses that take any closeness."""


def defined(case, data, kind, *, normalize, with_reference):
    """Return value and gradients by autograd through the definition on the whole matrix."""

    def loss(rows, others):
        rows = unit(rows) if normalize else rows
        if others is None:
            return case.expected(closeness(kind, rows, rows), data.labels)
        others = unit(others) if normalize else others
        return case.expected(closeness(kind, rows, others), data.labels, data.reference_labels)

    return value_and_gradients(loss, data.embeddings, data.reference if with_reference else None)


def fused(loss, data, *, with_reference):
    def run(rows, others):
        if others is None:
            return loss(rows, data.labels)
        return loss(rows, data.labels, reference=others, reference_labels=data.reference_labels)

    return value_and_gradients(run, data.embeddings, data.reference if with_reference else None)


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_the_definition(name, with_reference):
    case, data = CASES[name], batch()
    if name == "lifted-structure" and with_reference:
        pytest.skip("its definition is one of a set with itself")
    expected = defined(case, data, case.closeness, normalize=True, with_reference=with_reference)
    assert_same(fused(case.make(), data, with_reference=with_reference), expected)


@pytest.mark.parametrize("kind", ["dot", "distance", "squared"])
@pytest.mark.parametrize("name", FREE)
def test_every_closeness_of_raw_rows(name, kind):
    case, data = CASES[name], batch(1)
    data = data._replace(embeddings=data.embeddings / 3)
    margins = {}
    if "contrastive" in name or "lifted" in name:
        # with dot products the margins are levels of closeness: these are the same levels
        margins = {"positive_margin": 0.0, "negative_margin": -1.0 if kind == "dot" else 1.0}
    loss = case.make(closeness=kind, normalize=False, **margins)
    assert_same(
        fused(loss, data, with_reference=False), defined(case, data, kind, normalize=False, with_reference=False)
    )


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.loop])
def test_values_are_those_of_a_loop_over_pairs(name, with_reference):
    case, data = CASES[name], batch(2)
    rows, others = unit(data.embeddings), unit(data.reference)
    if with_reference:
        expected = by_loops(case, closeness(case.closeness, rows, others), data.labels, data.reference_labels)
    else:
        expected = by_loops(case, closeness(case.closeness, rows, rows), data.labels)
    value = fused(case.make(), data, with_reference=with_reference)[0]
    assert float(value) == pytest.approx(expected, rel=1e-9)


@given(labels=st.lists(st.integers(-1, 4), min_size=3, max_size=14), seed=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_any_pattern_of_labels(labels, seed):
    labels = torch.tensor(labels)
    counts = torch.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        return
    rows = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    data = batch(counts=(2, 2))._replace(embeddings=rows, labels=labels)
    for case in CASES.values():
        expected = defined(case, data, case.closeness, normalize=True, with_reference=False)
        assert_same(fused(case.make(), data, with_reference=False), expected, tolerance=1e-8)


@pytest.mark.parametrize("height", [1, 5, 1000])
@pytest.mark.parametrize("name", CASES)
def test_the_height_of_blocks_does_not_matter(name, height, monkeypatch):
    data, loss = batch(3), CASES[name].make()
    whole = [fused(loss, data, with_reference=second) for second in (False, True)]
    monkeypatch.setattr(blocks, "MOST_ROWS", height)
    for second, expected in enumerate(whole):
        assert_same(fused(loss, data, with_reference=bool(second)), expected)


@pytest.mark.parametrize("name", CASES)
def test_rotations_and_lengths_do_not_matter(name):
    data, loss = batch(4), CASES[name].make()
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    value, gradient, _ = fused(loss, data, with_reference=False)
    lengths = torch.linspace(0.1, 9, len(data.labels), dtype=torch.float64)[:, None]
    moved = data._replace(embeddings=lengths * data.embeddings @ turn)
    assert_same(fused(loss, moved, with_reference=False), (value, gradient @ turn / lengths, None))
    along = (gradient * data.embeddings).sum(1)
    torch.testing.assert_close(along, torch.zeros_like(along), rtol=0, atol=1e-9 * float(gradient.abs().max()))


@pytest.mark.parametrize("name", CASES)
def test_a_batch_compared_with_itself_as_reference_counts_itself(name):
    data, loss = batch(5), CASES[name].make()
    alone = loss(data.embeddings, data.labels)
    doubled = loss(data.embeddings, data.labels, reference=data.embeddings, reference_labels=data.labels)
    assert float(alone) != pytest.approx(float(doubled), rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_is_near_double(name):
    data, loss = batch(6), CASES[name].make()
    expected = fused(loss, data, with_reference=True)
    single = fused(
        loss,
        data._replace(embeddings=data.embeddings.float(), reference=data.reference.float()),
        with_reference=True,
    )
    for one, other in zip(single, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_widened_and_autocast_is_kept_out(name, dtype):
    data, loss = batch(7), CASES[name].make()
    rows = data.embeddings.to(dtype).requires_grad_()
    value = loss(rows, data.labels)
    value.backward()
    assert value.dtype == torch.float32
    assert rows.grad.dtype == dtype
    wide = data.embeddings.to(dtype).float()
    assert float(value.detach()) == float(loss(wide, data.labels))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(loss(wide, data.labels)) == float(value.detach())


@pytest.mark.parametrize("name", CASES)
def test_only_what_wants_a_gradient_gets_one(name):
    data, loss = batch(8), CASES[name].make()
    both = fused(loss, data, with_reference=True)
    others = data.reference.clone().requires_grad_()
    value = loss(data.embeddings, data.labels, reference=others, reference_labels=data.reference_labels)
    value.backward()
    torch.testing.assert_close(others.grad, both[2])
    with torch.no_grad():
        quiet = loss(data.embeddings.clone().requires_grad_(), data.labels)
    assert not quiet.requires_grad
    assert float(quiet) == pytest.approx(float(fused(loss, data, with_reference=False)[0]))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [5, 5, 5, 5]])
@pytest.mark.parametrize("name", CASES)
def test_a_batch_without_pairs_is_refused_or_zero(name, labels):
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with pytest.raises(NoPairsError):
        CASES[name].make()(rows, torch.tensor(labels))
    value = CASES[name].make(empty="zero")(rows, torch.tensor(labels))
    value.backward()
    assert float(value.detach()) == 0
    assert rows.grad.abs().sum() == 0


@pytest.mark.parametrize("name", CASES)
def test_equal_and_opposite_rows_give_finite_numbers(name):
    labels = torch.tensor([0, 0, 1, 1])
    for rows in ([[1.0, 0], [1, 0], [1, 0], [1, 0]], [[1.0, 0], [-1, 0], [1, 0], [-1, 0]]):
        embeddings = torch.tensor(rows).requires_grad_()
        value = CASES[name].make()(embeddings, labels)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("name", FREE)
def test_flat_space_and_the_sphere_are_closed_forms(name):
    data, case = batch(9), CASES[name]
    sphere = fused(case.make(closeness=Sphere()), data, with_reference=True)
    assert_same(sphere, fused(case.make(closeness="dot"), data, with_reference=True))
    flat = fused(case.make(closeness=Euclidean(), normalize=False), data, with_reference=True)
    assert_same(flat, fused(case.make(closeness="squared", normalize=False), data, with_reference=True))


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("name", FREE)
def test_curved_space_goes_through_autograd(name, with_reference):
    case, ball = CASES[name], PoincareBall()
    data = batch(10)
    data = data._replace(embeddings=0.2 * data.embeddings, reference=0.2 * data.reference)
    data = data._replace(embeddings=ball.project(data.embeddings), reference=ball.project(data.reference))
    if name == "lifted-structure" and with_reference:
        return

    def loss(rows, others):
        columns = rows if others is None else others
        labels = None if others is None else data.reference_labels
        return case.expected(ball.pairwise_closeness(rows, columns), data.labels, labels)

    expected = value_and_gradients(loss, data.embeddings, data.reference if with_reference else None)
    made = case.make(closeness=ball, normalize=False)
    assert_same(fused(made, data, with_reference=with_reference), expected, tolerance=1e-7)


@pytest.mark.parametrize("name", FREE)
def test_an_unknown_closeness_is_refused(name):
    for wrong in ("cosine", 3):
        with pytest.raises(InputError, match="closeness"):
            CASES[name].make(closeness=wrong)


@pytest.mark.parametrize("name", CASES)
def test_settings_show_in_the_representation(name):
    assert len(repr(CASES[name].make())) > len("Loss()") + 5
