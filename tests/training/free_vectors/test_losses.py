"""Losses of free vectors: values by hand, gradients by differences, and torch's own."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.capacity.subsets import document_sets, relevance_table
from spaceform.training.free_vectors import losses
from spaceform.training.free_vectors.losses import LOSSES, Objective, slope

PAIRS_OF_FIVE = relevance_table(document_sets(5, 2), 5)


def drawn(seed, m, n, d=3):
    generator = np.random.default_rng(seed)
    table = generator.random((m, n)) < 0.4
    table[:, 0], table[:, -1] = True, False
    return generator.normal(size=(m, d)), generator.normal(size=(n, d)), table


def test_infonce_by_hand_for_three_documents_in_two_dimensions():
    documents, query = np.array([[1.0, 0], [0, 1], [-1, 0]]), np.array([[0.6, 0.8]])
    logits = np.array([0.6, 0.8, -0.6]) / 0.1
    expected = np.log(np.exp(logits).sum()) - logits[:2].mean()
    assert slope(query, documents, np.array([[True, True, False]]), objective=Objective()).value == pytest.approx(
        expected
    )


def test_sigmoid_by_hand():
    documents, query = np.array([[1.0, 0], [0, 1], [-1, 0]]), np.array([[0.6, 0.8]])
    objective = Objective(loss="sigmoid", temperature=0.5)
    found = slope(query, documents, np.array([[True, True, False]]), objective=objective, threshold=0.2)
    logits = (np.array([0.6, 0.8, -0.6]) - 0.2) / 0.5
    assert found.value == pytest.approx((np.log1p(np.exp(-logits[:2])).sum() + np.log1p(np.exp(logits[2]))) / 2)


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_gradients_are_derivatives(loss, seed):
    *rows, table = drawn(seed, 5, 4)
    rows.append(np.array(0.1))
    objective = Objective(loss=loss, temperature=0.7)

    def value(*moved):
        return slope(moved[0], moved[1], table, objective=objective, threshold=float(moved[2])).value

    found = slope(rows[0], rows[1], table, objective=objective, threshold=0.1)
    generator = np.random.default_rng(seed + 1)
    for which, gradient in enumerate((found.queries, found.documents, np.array(found.threshold))):
        direction = generator.normal(size=rows[which].shape)
        up, down = (
            value(*[row + sign * 1e-5 * direction if i == which else row for i, row in enumerate(rows)])
            for sign in (1, -1)
        )
        assert (up - down) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_values_are_those_of_torch_for_sets_of_any_size(loss):
    *rows, table = drawn(0, 9, 7)
    queries, documents = (torch.tensor(one, requires_grad=True) for one in rows)
    wanted, scores = torch.tensor(table, dtype=torch.float64), queries @ documents.T / 0.1
    if loss == "infonce":
        expected = -(wanted * torch.log_softmax(scores, 1)).sum() / wanted.sum()
    else:
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")
        expected = entropy / wanted.sum()
    expected.backward()
    found = slope(*rows, table, objective=Objective(loss=loss))
    assert found.value == pytest.approx(expected.item())
    np.testing.assert_allclose(found.queries, queries.grad, atol=1e-12)
    np.testing.assert_allclose(found.documents, documents.grad, atol=1e-12)


def test_the_floor_of_infonce_is_log_k():
    """Relevant documents stand in each other's denominator: at a perfect solution and T to 0 it tends to log k."""
    curve = moment_curve_embedding(5, 2)
    queries = curve.queries(document_sets(5, 2))
    found = [
        slope(queries, curve.documents, PAIRS_OF_FIVE, objective=Objective(temperature=t)).value
        for t in (1.0, 0.1, 0.02)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(log(2), abs=1e-3)
    assert min(found) >= log(2) - 1e-12


@pytest.mark.parametrize("loss", LOSSES)
def test_large_logits_do_not_overflow(loss):
    table, documents = np.array([[False, True]]), np.array([[1.0], [-1.0]])
    with np.errstate(all="raise", under="ignore"):
        found = slope(np.array([[1.0]]), documents, table, objective=Objective(loss=loss, temperature=1e-6))
    assert found.value == pytest.approx(2e6)
    assert np.isfinite(found.queries).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_blocks_change_nothing(loss, monkeypatch):
    *rows, table = drawn(0, 21, 7)
    whole = slope(*rows, table, objective=Objective(loss=loss))
    monkeypatch.setattr(losses, "row_blocks", lambda n, m: (slice(i, min(i + 4, n)) for i in range(0, n, 4)))
    parts = slope(*rows, table, objective=Objective(loss=loss))
    for part, one in zip(parts, whole, strict=True):
        np.testing.assert_allclose(part, one)


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_the_order_of_documents_does_not_matter(loss, seed):
    queries, documents, table = drawn(seed, 6, 5)
    order = np.random.default_rng(seed).permutation(5)
    one = slope(queries, documents, table, objective=Objective(loss=loss))
    other = slope(queries, documents[order], table[:, order], objective=Objective(loss=loss))
    assert other.value == pytest.approx(one.value)
    np.testing.assert_allclose(other.documents, one.documents[order], atol=1e-12)
