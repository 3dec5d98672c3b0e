"""NAPA-VQ: its loss against the equations, what stays frozen, where mixtures lie, what is refused."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from contracts.cases import EstimatorCase, full_labels
from spaceform.encoders.continual.classifier import vector_net
from spaceform.errors import InputError
from spaceform.methods.continual.napa_vq import (
    NAPAVQClassifier,
    NAPAVQLearner,
    NAVQLoss,
    NeighborAwareAugmenter,
    NeighborGraph,
)
from spaceform.rng import torch_generator
from spaceform.training.augment import quarter_turns

CONTRACT_CASES = {
    "NAPAVQClassifier": EstimatorCase(
        {"embedding_dim": 8, "epochs": (2, 2), "learning_rates": (1e-3, 0.5), "random_state": 0}, full_labels
    ),
}


def task(number, rows=24, shift=3.0):
    codes = torch.arange(rows) % 2 + 2 * number
    return torch.randn(rows, 4, generator=torch_generator(number)) + shift * codes[:, None], codes


def learner(**options):
    settings = {"k": 3, "learning_rates": (1e-2, 0.5), **options}
    return NAPAVQLearner(vector_net(4, 8, seed=0), width=8, **settings)


def learned(model, number, steps=4):
    X, y = task(number)
    model.start_task(X, y, steps=steps)
    for _ in range(steps):
        model.observe(X, y)
    model.end_task(X, y)
    return model


def test_the_loss_of_a_later_task_is_the_sum_of_the_equations():
    model = learned(learner(), 0)
    X, y = task(1)
    model.start_task(X, y, steps=3)
    edges, generator = model.graph.edges.clone(), torch_generator(7)
    value, figures = model._loss(X, y, torch_generator(7))
    features, taught = model.net(X).relu(), model.teacher["net"](X).relu()
    vectors = model.vectors.vectors
    graph = NeighborGraph(k=3)
    graph.load_state_dict({"edges": edges})
    means = model.memory.means.float()
    drawn, c = NeighborAwareAugmenter(means, graph_after(graph, features, vectors)).sample(
        24, torch.arange(2), generator
    )
    graph.load_state_dict({"edges": edges})
    expected = 0.0
    for rows, targets, weight in ((features, y, 1.0), (drawn, c, 10.0)):
        distances = (rows[:, None] - vectors).square().sum(2).sqrt()
        graph.update(distances)
        expected += weight * cross_entropy(-distances / 0.1, targets) + NAVQLoss()(distances, targets, graph.edges)
        graph.symmetrize()
    expected += 10 * (features - taught).square().sum().sqrt()
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(model.graph.edges, graph.edges)
    assert figures.keys() == {"distance", "kept", "replayed"}


def graph_after(graph, features, vectors):
    """The graph once it has seen the batch: what mixtures are drawn by."""
    after = NeighborGraph(k=3)
    after.load_state_dict(graph.state_dict())
    after.update((features[:, None] - vectors).square().sum(2).sqrt().detach())
    after.symmetrize()
    return after


def test_old_vectors_are_bitwise_unchanged_by_a_later_task_unless_freed():
    for freeze in (True, False):
        model = learned(learner(freeze=freeze), 0)
        before = model.vectors.vectors.detach().clone()
        learned(model, 1)
        assert torch.equal(model.vectors.vectors[:2], before) == freeze


def test_replayed_rows_move_only_the_vectors_of_new_classes():
    model = learned(learner(kd_weight=0.0), 0)
    X, y = task(1)
    model.start_task(X, y, steps=1)
    drawn, classes = model._replayed(8, torch_generator(0))
    cross_entropy(model.vectors.distance_logits(drawn), classes).backward()
    assert not drawn.requires_grad, "no gradient reaches the network"
    assert torch.equal(model.vectors.vectors.grad[:2], torch.zeros(2, 8))
    assert model.vectors.vectors.grad[2:].abs().sum() > 0


def test_mixtures_lie_on_segments_to_neighbours_nearer_to_their_own_prototype():
    graph = NeighborGraph(k=2)
    graph.grow(4)
    graph.edges[0, 2] = graph.edges[2, 0] = 0.7
    prototypes = torch.eye(4)
    mixed, labels = NeighborAwareAugmenter(prototypes, graph).sample(300, torch.arange(2), torch_generator(0))
    assert set(labels.tolist()) == {0, 1}
    torch.testing.assert_close(mixed[labels == 1], prototypes[1].expand(int((labels == 1).sum()), 4))
    own = mixed[labels == 0]
    assert own[:, 0].min() >= 0.5
    assert own[:, [1, 3]].abs().max() == 0, "never to a class without an edge"
    torch.testing.assert_close(own[:, 0] + own[:, 2], torch.ones(len(own)))
    assert (own[:, 2] > 0).any()
    with pytest.raises(InputError, match="one per prototype"):
        NeighborAwareAugmenter(prototypes[:2], graph)


def test_prototypes_are_means_of_features_under_the_new_network():
    model = learned(learned(learner(), 0), 1)
    X, y = task(1)
    model.eval()
    for c in (2, 3):
        torch.testing.assert_close(model.memory.means[c].float(), model(X[y == c]).mean(0), rtol=1e-4, atol=1e-4)
    assert model.memory.counts.tolist() == [12] * 4


def test_prototypes_of_new_classes_are_there_when_a_task_begins():
    model = learned(learner(), 0)
    old = model.memory.means.clone()
    X, y = task(1)
    model.eval()
    expected = model(X[y == 2]).mean(0)
    model.start_task(X, y, steps=2)
    torch.testing.assert_close(model.memory.means[2].float(), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.memory.means[:2], old)


def test_turns_are_classes_of_their_own():
    pictures = torch.arange(8.0).view(2, 1, 2, 2)
    turned, labels = quarter_turns(pictures, torch.tensor([0, 5]))
    assert labels.tolist() == [0, 20, 1, 21, 2, 22, 3, 23]
    assert turned[2, 0].tolist() == [[1, 3], [0, 2]]
    assert torch.equal(turned[:2], pictures)
    with pytest.raises(InputError, match="square"):
        quarter_turns(torch.ones(1, 1, 2, 3), torch.tensor([0]))


def test_rates_fall_and_later_tasks_have_a_tenth():
    model = learner()
    X, y = task(0)
    model.start_task(X, y, steps=20)
    rates = []
    for _ in range(20):
        model.observe(X, y)
        rates.append([group["lr"] for group in model.optimizer.param_groups])
    np.testing.assert_allclose(np.array(rates)[[0, 8, 9, 18], 0], [1e-2, 1e-2, 1e-3, 1e-4])
    np.testing.assert_allclose(np.array(rates)[[0, 3, 4, 8, 16], 1], [0.5, 0.5, 0.05, 0.005, 0.00005])
    model.end_task(X, y)
    X, y = task(1)
    model.start_task(X, y, steps=1)
    model.observe(X, y)
    np.testing.assert_allclose([group["lr"] for group in model.optimizer.param_groups], [1e-3, 0.05])


def test_answers_are_cosines_whatever_the_length_of_features():
    model = learned(learner(), 0)
    features = torch.rand(5, 8, generator=torch_generator(0))
    torch.testing.assert_close(model._answers(features), model._answers(100 * features))
    assert torch.equal(model._answers(torch.zeros(1, 8)), torch.zeros(1, 2)), "dead units: no class, no NaN"


def test_what_is_refused():
    for bad in ({"temperature": 0.0}, {"na_weight": -1.0}, {"replay": "rows"}, {"turns": 5}, {"learning_rates": (1,)}):
        with pytest.raises(InputError, match=next(iter(bad))):
            learner(**bad)
    exploding = NAPAVQClassifier(embedding_dim=8, epochs=(40, 1), learning_rates=(1e-3, 1e6), random_state=0)
    X, y = task(0)
    with pytest.raises(InputError, match="finite"):
        exploding.fit(X.numpy(), y.numpy())
