"""Free embeddings: what counts as success, the same numbers by two backends, and the search for critical n."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.methods.vector_search import limit
from spaceform.methods.vector_search.limit import (
    all_sets,
    capacity_curve,
    critical_n,
    free_embedding,
    free_embeddings,
    grown,
    least_dimension,
)
from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.capacity.bounds import margin_dimension_bound
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.capacity.subsets import document_sets
from spaceform.ops.pairs import l2_normalize
from spaceform.training.free_vectors.losses import LOSSES
from spaceform.training.free_vectors.optimiser import BACKENDS, FreeOptimiser

QUICK = FreeOptimiser(max_steps=1500, patience=400)


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


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_vectors_answer_nothing(backend):
    """Constant embeddings must not score 100%: a tie is an error."""
    start = (np.ones((6, 2)), np.ones((4, 2)))
    once = FreeOptimiser(max_steps=1, check_every=1, backend=backend)
    assert free_embedding(all_sets(4, 2), 2, init=start, optimiser=once).accuracy == 0


@pytest.mark.parametrize("loss", LOSSES)
@given(n=st.integers(4, 7), d=st.integers(2, 4), seed=st.integers(0, 100))
@settings(max_examples=6, deadline=None)
def test_both_backends_give_the_same_numbers(loss, n, d, seed):
    one, two = (
        free_embedding(
            all_sets(n, 2), d, random_state=seed, optimiser=FreeOptimiser(max_steps=120, loss=loss, backend=backend)
        )
        for backend in BACKENDS
    )
    assert (one.accuracy, one.steps, one.stopped) == (two.accuracy, two.steps, two.stopped)
    assert two.loss == pytest.approx(one.loss, rel=1e-7)
    np.testing.assert_allclose(two.documents, one.documents, atol=1e-7)


def test_several_tables_in_one_tensor_are_those_one_by_one():
    tables, seeds = [all_sets(5, 2), all_sets(9, 2), np.eye(6)], [3, 1, 2]
    torch, numpy = (
        free_embeddings(
            tables, 3, random_states=seeds, optimiser=FreeOptimiser(max_steps=600, patience=100, backend=backend)
        )
        for backend in reversed(BACKENDS)
    )
    for ours, theirs, table in zip(torch, numpy, tables, strict=True):
        assert (ours.accuracy, ours.steps, ours.stopped) == (theirs.accuracy, theirs.steps, theirs.stopped)
        assert ours.documents.shape == (len(table[0]), 3)
    assert len({one.steps for one in torch}) > 1


def test_the_sigmoid_succeeds_with_one_threshold_for_all_queries():
    found = free_embedding(all_sets(6, 2), 4, optimiser=FreeOptimiser(loss="sigmoid", max_steps=2000))
    assert found.accuracy == 1
    scores = found.queries @ found.documents.T
    assert np.where(all_sets(6, 2), scores, 1).min() > np.median(scores)


def test_accuracy_is_decided_in_float64():
    """The construction for 300 documents is exact in float64 alone: its gap is 2e-8."""
    curve, sets = moment_curve_embedding(300, 2), document_sets(300, 2, sample=400, random_state=0)
    table = np.zeros((400, 300))
    np.put_along_axis(table, sets, 1, axis=1)
    start, once = (curve.queries(sets), curve.documents), FreeOptimiser(max_steps=1)
    for backend in BACKENDS:
        exact = FreeOptimiser(max_steps=1, backend=backend)
        assert free_embedding(table, 4, init=start, optimiser=exact).accuracy == 1
    narrow = tuple(one.astype(np.float32) for one in start)
    assert free_embedding(table, 4, init=narrow, optimiser=once).accuracy < 1


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


def test_single_documents_fit_on_a_circle():
    assert critical_n(2, 1, start=6, sweep=(0, 0), optimiser=QUICK).n >= 6


def test_critical_n_in_four_dimensions():
    found = critical_n(4, 2, sweep=(1, 1), optimiser=QUICK, random_state=0)
    assert 6 <= found.n <= 10
    assert found.accuracies[found.n] == 1
    assert max(found.accuracies) > found.n
    assert list(found.accuracies) == sorted(found.accuracies)


@given(seed=st.integers(0, 100), more=st.integers(1, 3), k=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_a_warm_start_keeps_what_was_found(seed, more, k):
    old, own = 5, document_sets(5, k)
    found = free_embedding(all_sets(old, k), 3, random_state=seed, optimiser=FreeOptimiser(max_steps=20))
    sets = document_sets(old + more, k)
    queries, documents = grown(found, own, sets, n=old + more, random_state=seed)
    np.testing.assert_array_equal(documents[:old], found.documents)
    np.testing.assert_allclose(queries[(sets < old).all(1)], found.queries, atol=1e-12)
    for rows in (queries, documents):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    new = (sets >= old).any(1)
    np.testing.assert_allclose(queries[new], l2_normalize(documents[sets[new]].sum(1)), atol=1e-9)


def test_documents_that_cancel_out_do_not_stop_a_warm_start():
    found = free_embedding(np.eye(2), 2, init=([[1, 0], [0, 1]], [[1.0, 0], [-1, 0]]), optimiser=QUICK)
    queries, _ = grown(found, document_sets(2, 1), np.array([[0, 1]]), n=3, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_warm_starts_find_as_many_documents(backend):
    optimiser = FreeOptimiser(max_steps=1000, patience=300, backend=backend)
    cold, warm = (
        critical_n(4, 2, start=6, sweep=(0, 2), warm=warm, optimiser=optimiser, random_state=0)
        for warm in (False, True)
    )
    assert abs(warm.n - cold.n) <= 1
    assert warm.steps > 0 < cold.steps


@pytest.mark.parametrize("warm", [False, True])
def test_of_many_sets_a_sample_is_drawn(warm):
    found = critical_n(3, 2, start=5, sweep=(0, 0), sample=9, warm=warm, optimiser=QUICK, random_state=0)
    assert found.sampled == 9
    assert found.n >= critical_n(3, 2, start=4, sweep=(0, 0), optimiser=QUICK, random_state=0).n
    assert critical_n(2, 2, start=3, sweep=(0, 0), sample=1000, optimiser=QUICK).sampled is None
    assert all_sets(3000, 2, sample=7).shape == (7, 3000)


def test_the_sweep_is_reported():
    """From four documents fewer than were found to five more: success is not monotone."""
    found = critical_n(3, 2, optimiser=FreeOptimiser(max_steps=100), random_state=0)
    assert {*range(max(3, found.n - 4), found.n + 6)} <= found.accuracies.keys()


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
        (lambda: free_embeddings([], 2), "relevances"),
        (lambda: free_embeddings([np.eye(3)], 2, random_states=[1, 2]), "random_states"),
        (lambda: free_embeddings([np.eye(3)], 2, inits=[]), "inits"),
        (lambda: free_embedding(np.ones((2, 3)), 2), "every document relevant"),
        (lambda: critical_n(3, sample=0), "sample"),
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


@pytest.mark.parametrize("batched", [False, True])
def test_success_that_is_not_monotone_is_reported(batched, monkeypatch):
    optimiser = FreeOptimiser(backend="torch" if batched else "numpy")
    play(monkeypatch, lambda n, _: n in {3, 4, 5, 8})
    found = critical_n(3, 2, start=4, optimiser=optimiser)
    assert found.n == 8
    assert found.accuracies[6] == 0.5
    assert found.steps == 7 * len(found.accuracies)
    play(monkeypatch, lambda *_: False)
    assert critical_n(3, 2, start=4, optimiser=optimiser).n == 2


def test_restarts_are_tried_until_one_succeeds(monkeypatch):
    seeds = play(monkeypatch, lambda n, number: n == 3 and number == 2)
    assert critical_n(2, 2, start=3, sweep=(0, 0), restarts=3).accuracies[3] == 1
    assert len(set(seeds)) == len(seeds) == 5


def test_all_restarts_of_a_sweep_are_one_tensor(monkeypatch):
    calls = []
    monkeypatch.setattr(
        limit, "free_embeddings", lambda tables, *_, **__: calls.append(len(tables)) or [HALF] * len(tables)
    )
    critical_n(2, 2, start=3, sweep=(0, 3), restarts=4, optimiser=FreeOptimiser(backend="torch"))
    assert calls == [4, 8]


HALF = limit.FreeEmbeddingResult(
    queries=np.eye(1), documents=np.eye(1), accuracy=0.5, margin=-1.0, steps=7, stopped="patience", loss=1.0
)


def play(monkeypatch, succeeds):
    """Let a table of n documents succeed where ``succeeds(n, number of the try)``; return the seeds that were asked."""
    seeds = []

    def fake(tables, d, *, random_states, **_):
        found = []
        for table, seed in zip(tables, random_states, strict=True):
            seeds.append(seed)
            accuracy = 1.0 if succeeds(table.shape[1], len(seeds)) else 0.5
            found.append(type(HALF)(**(vars(HALF) | {"accuracy": accuracy})))
        return found

    monkeypatch.setattr(limit, "free_embeddings", fake)
    return seeds
