"""Free embeddings: the loss by hand and by differences, what counts as success, and the search for critical n."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.methods.vector_search import limit
from spaceform.methods.vector_search.limit import (
    FreeOptimiser,
    all_sets,
    capacity_curve,
    critical_n,
    free_embedding,
    free_loss,
    least_dimension,
)
from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.capacity.bounds import margin_dimension_bound
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.capacity.subsets import document_sets
from spaceform.ops.pairs import l2_normalize

QUICK = FreeOptimiser(max_steps=1500, patience=400)


def test_loss_by_hand_for_three_documents_in_two_dimensions():
    documents, query = np.array([[1.0, 0], [0, 1], [-1, 0]]), np.array([[0.6, 0.8]])
    table = np.array([[True, True, False]])
    logits = np.array([0.6, 0.8, -0.6]) / 0.1
    expected = np.log(np.exp(logits).sum()) - logits[:2].mean()
    assert free_loss(query, documents, table)[0] == pytest.approx(expected)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_gradient_is_the_derivative(seed):
    generator = np.random.default_rng(seed)
    table = generator.random((5, 4)) < 0.5
    table[:, 0], table[:, 3] = True, False
    rows = [generator.normal(size=(size, 3)) for size in (5, 4)]
    _, *gradients = free_loss(*rows, table, temperature=0.7)
    for which in (0, 1):
        direction = generator.normal(size=rows[which].shape)
        moved = [[r + sign * 1e-5 * direction if i == which else r for i, r in enumerate(rows)] for sign in (1, -1)]
        up, down = (free_loss(*pair, table, temperature=0.7)[0] for pair in moved)
        assert (up - down) / 2e-5 == pytest.approx((gradients[which] * direction).sum(), rel=1e-6, abs=1e-7)


def test_the_loss_is_that_of_torch_for_sets_of_any_size():
    import torch

    generator = np.random.default_rng(0)
    table = generator.random((9, 7)) < 0.4
    table[:, 0], table[:, 6] = True, False
    queries, documents = (torch.tensor(generator.normal(size=(n, 3)), requires_grad=True) for n in (9, 7))
    wanted = torch.tensor(table, dtype=torch.float64)
    loss = -(wanted * torch.log_softmax(queries @ documents.T / 0.1, 1)).sum() / wanted.sum()
    loss.backward()
    value, *gradients = free_loss(queries.detach().numpy(), documents.detach().numpy(), table)
    assert value == pytest.approx(loss.item())
    np.testing.assert_allclose(gradients[0], queries.grad, atol=1e-12)
    np.testing.assert_allclose(gradients[1], documents.grad, atol=1e-12)


def test_the_floor_of_the_loss_is_log_k():
    """Relevant documents stand in each other's denominator: at a perfect solution and T to 0 it tends to log k."""
    curve = moment_curve_embedding(5, 2)
    queries = curve.queries(document_sets(5, 2))
    losses = [free_loss(queries, curve.documents, all_sets(5, 2), temperature=t)[0] for t in (1.0, 0.1, 0.02)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(log(2), abs=1e-3)
    assert min(losses) >= log(2) - 1e-12


def test_large_logits_do_not_overflow():
    value, *gradients = free_loss(
        np.array([[1.0]]), np.array([[1.0], [-1.0]]), np.array([[False, True]]), temperature=1e-6
    )
    assert value == pytest.approx(2e6)
    assert np.isfinite(gradients[0]).all()


def test_blocks_change_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    table, rows = all_sets(7, 2), [generator.normal(size=(n, 3)) for n in (21, 7)]
    whole = free_loss(*rows, table)
    monkeypatch.setattr(limit, "row_blocks", lambda n, m: (slice(i, min(i + 4, n)) for i in range(0, n, 4)))
    parts = free_loss(*rows, table)
    assert parts[0] == pytest.approx(whole[0])
    for part, one in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_allclose(part, one)


def test_rows_stay_on_the_sphere_and_the_result_repeats():
    one, two = (free_embedding(all_sets(6, 2), 4, optimiser=QUICK, random_state=1) for _ in range(2))
    np.testing.assert_allclose(np.linalg.norm(one.queries, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(one.documents, axis=1), 1)
    np.testing.assert_array_equal(one.queries, two.queries)
    assert one.accuracy == 1
    assert one.stopped == "exact"
    assert one.margin > 0


@pytest.mark.parametrize(("n", "d"), [(4, 3), (6, 4), (7, 5)])
def test_no_margin_is_wider_than_the_bound_allows(n, d):
    found = free_embedding(all_sets(n, 2), d, optimiser=FreeOptimiser(max_steps=800, stop_when_exact=False))
    assert found.accuracy == 1
    assert margin_dimension_bound(n, 2, min(1.0, found.margin / 2)) <= d
    curve = moment_curve_embedding(n, 2)
    gap = set_margins(curve.queries(document_sets(n, 2)) @ curve.documents.T, all_sets(n, 2)).min()
    assert margin_dimension_bound(n, 2, gap / 2) <= 4


def test_steps_are_those_of_torch_with_rows_scaled_after_each():
    """Scaled after the step, not inside the loss; Adam's moments are of the free gradient and are not projected."""
    import torch

    generator, table = np.random.default_rng(0), all_sets(6, 2)
    start = [l2_normalize(generator.normal(size=(n, 3))) for n in (15, 6)]
    rows = [torch.tensor(one, requires_grad=True) for one in start]
    adam, wanted = torch.optim.Adam(rows, lr=0.01), torch.tensor(table, dtype=torch.float64)
    for _ in range(30):
        adam.zero_grad()
        loss = -(wanted * torch.log_softmax(rows[0] @ rows[1].T / 0.1, 1)).sum() / wanted.sum()
        loss.backward()
        adam.step()
        with torch.no_grad():
            for one in rows:
                one.div_(one.norm(dim=1, keepdim=True))
    found = free_embedding(table, 3, init=(start[0], start[1]), optimiser=FreeOptimiser(max_steps=30))
    assert found.loss == pytest.approx(loss.item(), rel=1e-9)


def test_equal_vectors_answer_nothing():
    """Constant embeddings must not score 100%: a tie is an error."""
    start = (np.ones((6, 2)), np.ones((4, 2)))
    found = free_embedding(all_sets(4, 2), 2, init=start, optimiser=FreeOptimiser(max_steps=1, check_every=1))
    assert found.accuracy == 0


def test_the_best_answers_count_not_the_last(monkeypatch):
    """Success is by accuracy at any check, stopping by loss: three different things."""
    shares = iter([0.2, 0.6, 0.4, 0.1])
    monkeypatch.setattr(limit, "_margins", lambda *_: np.where(np.arange(10) < 10 * next(shares), 1.0, -1.0))
    found = free_embedding(all_sets(5, 2), 2, optimiser=FreeOptimiser(max_steps=3, check_every=1))
    assert found.accuracy == 0.6
    assert found.stopped == "steps"
    assert found.steps == 3


def test_patience_stops_by_the_loss():
    found = free_embedding(all_sets(9, 2), 1, optimiser=FreeOptimiser(patience=20, tolerance=10.0))
    assert found.stopped == "patience"
    assert found.steps < 50
    assert found.accuracy < 1


def test_going_on_widens_the_margin():
    first = free_embedding(all_sets(5, 2), 4, optimiser=QUICK)
    wider = free_embedding(all_sets(5, 2), 4, optimiser=FreeOptimiser(max_steps=1500, stop_when_exact=False))
    assert wider.accuracy == first.accuracy == 1
    assert wider.margin > first.margin


def test_the_construction_as_a_start_is_exact_where_optimising_is_not():
    curve, table = moment_curve_embedding(30, 2), all_sets(30, 2)
    start = (curve.queries(document_sets(30, 2)), curve.documents)
    once = FreeOptimiser(max_steps=200, patience=200)
    assert free_embedding(table, 4, init=start, optimiser=once).stopped == "exact"
    assert free_embedding(table, 4, optimiser=once).accuracy < 1


def test_a_row_taken_to_zero_stays():
    rows = np.array([[1.0, 0], [0, 1]])
    np.testing.assert_array_equal(limit._on_sphere(rows, np.array([[1.0, 0], [0, -1]])), rows)


def test_single_documents_fit_on_a_circle():
    assert critical_n(2, 1, start=6, sweep=(0, 0), optimiser=QUICK).n >= 6


def test_critical_n_in_four_dimensions():
    found = critical_n(4, 2, sweep=(1, 1), optimiser=QUICK, random_state=0)
    assert 6 <= found.n <= 10
    assert found.accuracies[found.n] == 1
    assert max(found.accuracies) > found.n
    assert list(found.accuracies) == sorted(found.accuracies)


@pytest.mark.parametrize("truth", [3, 4, 5, 9, 40])
@pytest.mark.parametrize("start", [3, 6, 12])
def test_the_search_finds_the_end_of_a_run(truth, start):
    asked = []

    def holds(n):
        asked.append(n)
        return n <= truth

    assert limit._last_true(holds, start, 3) == truth
    assert min(asked) >= 3
    assert limit._last_true(lambda _: False, start, 3) == 2


def test_success_that_is_not_monotone_is_reported(monkeypatch):
    def fake(table, d, **_):
        return type("Found", (), {"accuracy": 1.0 if table.shape[1] in {3, 4, 5, 8} else 0.5})

    monkeypatch.setattr(limit, "free_embedding", fake)
    found = critical_n(3, 2, start=4)
    assert found.n == 8
    assert found.accuracies[6] == 0.5
    monkeypatch.setattr(limit, "free_embedding", lambda table, d, **_: type("Found", (), {"accuracy": 0.5}))
    assert critical_n(3, 2, start=4).n == 2


def test_restarts_are_tried_until_one_succeeds(monkeypatch):
    seeds = []

    def fake(table, d, random_state, **_):
        seeds.append(random_state)
        return type("Found", (), {"accuracy": 1.0 if table.shape[1] == 3 and len(seeds) == 2 else 0.3})

    monkeypatch.setattr(limit, "free_embedding", fake)
    assert critical_n(2, 2, start=3, sweep=(0, 0), restarts=3).accuracies[3] == 1
    assert len(set(seeds)) == len(seeds) == 5


def test_the_curve_grows():
    curve = capacity_curve([3, 5], sweep=(0, 1), optimiser=FreeOptimiser(max_steps=800, patience=300), random_state=0)
    assert [one.d for one in curve] == [3, 5]
    assert curve[0].n < curve[1].n


def test_least_dimension():
    least, tried = least_dimension(np.eye(8), high=8, optimiser=QUICK)
    assert least == 2
    assert set(tried) == {1, 2}
    none, tried = least_dimension(all_sets(8, 2), high=2, optimiser=FreeOptimiser(max_steps=100))
    assert none is None
    assert set(tried) == {1, 2}


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: FreeOptimiser(temperature=0), "temperature"),
        (lambda: FreeOptimiser(learning_rate=-1), "learning_rate"),
        (lambda: FreeOptimiser(max_steps=0), "max_steps"),
        (lambda: free_embedding(np.eye(3), 0), "d"),
        (lambda: free_embedding(np.zeros((2, 3)), 2), "no document relevant"),
        (lambda: free_embedding(np.eye(3), 2, init=(np.ones((3, 2)), np.ones((4, 2)))), "documents"),
        (lambda: free_embedding(np.eye(3), 2, init=(np.zeros((3, 2)), np.ones((3, 2)))), "zero vector"),
        (lambda: critical_n(0), "d"),
        (lambda: critical_n(3, 0), "k"),
        (lambda: critical_n(3, restarts=0), "restarts"),
        (lambda: critical_n(3, start=300, k=3), "sample"),
        (lambda: least_dimension(np.eye(3), high=0), "high"),
    ],
)
def test_bad_input_is_refused(call, part):
    with pytest.raises(InputError, match=part):
        call()
