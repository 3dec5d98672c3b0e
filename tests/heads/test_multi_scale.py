import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.heads.multi_scale import MultiScalePrototypeHead

WIDTHS = (3, 5, 2)


def task(seed=0, *, ways=3, shots=2, queries=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    support = [torch.randn(ways * shots, w, generator=generator, dtype=dtype) for w in WIDTHS]
    query = [torch.randn(queries, w, generator=generator, dtype=dtype) for w in WIDTHS]
    return support, torch.arange(ways).repeat_interleave(shots), query


def slow(support, y, query, alpha):
    """Plain loops over queries, classes and spaces."""
    classes = sorted(set(y.tolist()))
    logits = np.zeros((len(query[0]), len(classes)))
    for q in range(len(query[0])):
        for c, label in enumerate(classes):
            for s, weight in enumerate(alpha):
                rows = [support[s][i].numpy() for i in range(len(y)) if int(y[i]) == label]
                logits[q, c] -= weight * np.sqrt(((query[s][q].numpy() - sum(rows) / len(rows)) ** 2).sum())
    return logits


@given(seed=st.integers(0, 10**6), ways=st.integers(2, 4), shots=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_logits_are_those_of_plain_loops(seed, ways, shots):
    support, y, query = task(seed, ways=ways, shots=shots)
    head = MultiScalePrototypeHead(3, init=[1.0, 0.3, 2.0])
    expected = slow(support, y, query, [1.0, 0.3, 2.0])
    np.testing.assert_allclose(head(support, y, query).detach().numpy(), expected, atol=1e-6)


def test_distances_are_not_squared():
    head = MultiScalePrototypeHead(1, init=0.5)
    support, query = torch.tensor([[3.0, 4.0], [6.0, 8.0]]), torch.zeros(1, 2)
    assert head.distances([support], torch.tensor([0, 1]), [query]).tolist() == [[[5.0, 10.0]]]
    assert head([support], torch.tensor([0, 1]), [query]).tolist() == [[-2.5, -5.0]]
    squared = MultiScalePrototypeHead(1, metric="squared")
    assert squared([support], torch.tensor([0, 1]), [query]).tolist() == [[-25.0, -100.0]]


def test_the_last_space_alone_is_a_prototypical_network():
    support, y, query = task()
    means = torch.stack([support[2][y == c].mean(0) for c in range(3)])
    head = MultiScalePrototypeHead(3, init=[0, 0, 1])
    assert torch.equal(head(support, y, query), -(query[2][:, None] - means[None]).norm(dim=2))


@given(scale=st.floats(0.01, 100))
def test_scaling_all_weights_keeps_the_answer(scale):
    support, y, query = task(3, queries=20)
    plain, scaled = (MultiScalePrototypeHead(3, init=init)(support, y, query) for init in (1.0, scale))
    assert torch.equal(plain.argmax(1), scaled.argmax(1))


def test_labels_may_be_any_numbers_and_their_order_is_that_of_the_columns():
    support, y, query = task(1)
    head = MultiScalePrototypeHead(3)
    names = torch.tensor([7, 3, 42])
    expected = head(support, y, query)
    torch.testing.assert_close(head(support, names[y], query), expected[:, [1, 0, 2]])


def test_the_order_of_supports_does_not_matter():
    support, y, query = task(2, shots=4)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    head = MultiScalePrototypeHead(3)
    shuffled = head([rows[order] for rows in support], y[order], query)
    torch.testing.assert_close(shuffled, head(support, y, query), atol=1e-12, rtol=0)


def test_negative_weights_are_possible_or_not():
    support, y, query = task()
    free = MultiScalePrototypeHead(3, init=[-1.0, 1.0, 1.0])
    assert free.weights[0] == -1
    for nonneg in ("relu", "softplus"):
        head = MultiScalePrototypeHead(3, init=[0.7, 1.0, 2.5], nonneg=nonneg)
        torch.testing.assert_close(head.weights.detach(), torch.tensor([0.7, 1.0, 2.5]))
        with torch.no_grad():
            head.alpha.copy_(torch.tensor([-3.0, -100.0, 2.0]))
        assert (head.weights >= 0).all()
        assert torch.isfinite(head(support, y, query)).all()


def test_weights_are_learned_or_fixed():
    support, y, query = task()
    head = MultiScalePrototypeHead(3)
    torch.nn.functional.cross_entropy(head(support, y, query), torch.tensor([0, 1, 2, 0])).backward()
    assert (head.alpha.grad != 0).all()
    fixed = MultiScalePrototypeHead(3, learnable=False)
    assert not fixed.alpha.requires_grad
    assert "alpha" in fixed.state_dict()


def test_the_gradient_is_the_derivative():
    support, y, query = task(5, queries=2)
    head = MultiScalePrototypeHead(3, init=[0.5, 1.0, 1.5]).double()

    def loss(*tensors):
        return head(list(tensors[:3]), y, list(tensors[3:])).square().sum()

    assert torch.autograd.gradcheck(loss, [t.requires_grad_() for t in [*support, *query]])


def test_a_query_that_is_the_support_has_a_finite_gradient():
    rows = [torch.randn(2, w, generator=torch.Generator().manual_seed(w)).requires_grad_() for w in WIDTHS]
    head = MultiScalePrototypeHead(3)
    logits = head(rows, torch.tensor([0, 1]), rows)
    assert torch.equal(logits.diagonal(), torch.zeros(2))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert all(torch.isfinite(part.grad).all() for part in [*rows, head.alpha])


def test_near_vectors_far_from_the_origin_are_told_apart():
    support = torch.tensor([[1000.0, 0.0], [1000.1, 0.0]])
    near = MultiScalePrototypeHead(1).distances([support], torch.tensor([0, 1]), [support[:1].repeat(40, 1)])
    torch.testing.assert_close(near[0, :, 1], torch.full((40,), 0.1), atol=1e-4, rtol=0)


def bad(**changes):
    support, y, query = task()
    return {"support": support, "support_y": y, "query": query} | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, y, q: {"support": s[:2]}, "support: got 2 spaces"),
        (lambda s, y, q: {"query": [*q, q[0]]}, "query: got 4 spaces"),
        (lambda s, y, q: {"query": [q[1], q[0], q[2]]}, "query: got 5 columns in space 0, expected 3"),
        (lambda s, y, q: {"support_y": y * 0}, "support_y: got 1 class"),
        (lambda s, y, q: {"support_y": y[:-1]}, "support_y"),
        (lambda s, y, q: {"support_y": y.double()}, "support_y"),
        (lambda s, y, q: {"query": [part[:0] for part in q]}, "query: got torch.float64 of shape"),
        (lambda s, y, q: {"support": [s[0], s[1][:-1], s[2]]}, "support"),
        (lambda s, y, q: {"query": [q[0], q[1], q[2] / 0]}, "query: got NaN"),
        (lambda s, y, q: {"support": [s[0] * float("nan"), s[1], s[2]]}, "support: got NaN"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    parts = bad()
    with pytest.raises(InputError, match=message):
        MultiScalePrototypeHead(3)(**parts | change(*parts.values()))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_scales": 0}, "n_scales"),
        ({"init": [1.0]}, "init"),
        ({"init": float("nan")}, "init"),
        ({"init": -1.0, "nonneg": "relu"}, "init"),
        ({"init": 0.0, "nonneg": "softplus"}, "init"),
        ({"nonneg": "abs"}, "nonneg"),
        ({"metric": "cosine"}, "metric"),
    ],
)
def test_settings_are_checked(options, name):
    with pytest.raises(InputError, match=name):
        MultiScalePrototypeHead(**{"n_scales": 2, **options})
