"""PRD: its contrastive term against a peer and by hand, what each term moves, and what is refused."""

import pytest
import torch

from contracts.cases import EstimatorCase, full_labels
from spaceform.encoders.continual.classifier import vector_net
from spaceform.errors import InputError
from spaceform.methods.continual.prd import PRDLearner
from spaceform.rng import torch_generator

CONTRACT_CASES = {
    "PRDClassifier": EstimatorCase({"embedding_dim": 8, "epochs": (2, 2), "random_state": 0}, full_labels),
}


def task(number, rows=24):
    codes = torch.arange(rows) % 2 + 2 * number
    return torch.randn(rows, 4, generator=torch_generator(number)) + 2 * codes[:, None], codes


def learner(**options):
    return PRDLearner(vector_net(4, 8, seed=0), width=8, **{"noise": 0.1, **options})


def learned(model, number, steps=4):
    X, y = task(number)
    model.start_task(X, y, steps=steps)
    for _ in range(steps):
        model.observe(X, y)
    model.end_task(X, y)
    return model


def test_the_contrastive_term_is_supcon_times_the_ratio_of_temperatures():
    peer = pytest.importorskip("pytorch_metric_learning.losses")
    model = learner()
    features = torch.rand(12, 8, generator=torch_generator(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2]).repeat(2)
    z = torch.nn.functional.normalize(model.projector(features), dim=1)
    expected = peer.SupConLoss(temperature=0.1)(z, labels) * 0.1 / 0.07
    torch.testing.assert_close(model._contrast(features, labels), expected)


def test_two_views_of_one_row_alone_cost_nothing():
    features = torch.rand(2, 8, generator=torch_generator(0))
    assert learner()._contrast(features, torch.zeros(2, dtype=torch.int64)).abs() < 1e-6


def test_views_are_stacked_view_by_view_and_labels_are_not_written_to():
    model = learner()
    X, y = task(0)
    views = model.views(X, torch_generator(0))
    assert views.shape == (48, 4)
    assert ((views[:24] - X).abs().max() < 1) & ((views[24:] - X).abs().max() < 1)
    assert not torch.equal(views[:24], views[24:])
    kept = y.clone()
    learned(model, 0)
    assert torch.equal(task(0)[1], kept)


@pytest.mark.parametrize(
    ("options", "stays"), [({"distill_weight": 0.0}, True), ({"moves": "features"}, True), ({}, False)]
)
def test_old_prototypes_move_if_and_only_if_relations_move_them(options, stays):
    model = learned(learner(**options), 0)
    before = model.vectors.vectors.detach().clone()
    learned(model, 1)
    assert torch.equal(model.vectors.vectors[:2], before) == stays


def test_relations_of_prototypes_alone_give_the_network_no_gradient():
    model = learned(learner(moves="prototypes"), 0)
    X, y = task(1)
    model.start_task(X, y, steps=1)
    model.zero_grad()
    model.observe(X, y)
    features = model(X)
    value = model._relations(features, model._taught(X))
    model.zero_grad()
    value.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.net.parameters())
    assert model.vectors.vectors.grad[:2].abs().sum() > 0


def test_relations_are_0_right_after_the_copy():
    model = learned(learner(), 0)
    X, y = task(1)
    model.start_task(X, y, steps=1)
    model.eval()
    assert model._relations(model(X), model._taught(X)).abs() < 1e-6


def test_the_first_task_decays_and_later_ones_do_not():
    model = learner()
    X, y = task(0)
    rates = []
    model.start_task(X, y, steps=11)
    for _ in range(11):
        model.observe(X, y)
        rates.append(model.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01] * 6 + [0.001] * 2 + [0.0001] * 3)
    model.end_task(X, y)
    model.start_task(*task(1), steps=4)
    assert list(model._rates(0.9)) == [0.01, 0.01]


def test_what_is_refused():
    for bad in ({"temperature": 0.0}, {"distill_temperature": 0.0}, {"axis": "rows"}, {"moves": "rows"}, {"noise": -1}):
        with pytest.raises(InputError, match="temperature" if "distill" in next(iter(bad)) else next(iter(bad))):
            learner(**bad)
