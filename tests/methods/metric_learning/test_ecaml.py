"""ECAML: the contract, its baseline bit for bit, what only the layer feels, warnings, pictures and files."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from contracts.cases import EstimatorCase, full_labels
from spaceform.errors import InputError, NoPairsError
from spaceform.heads.confused import ConfusedHead
from spaceform.losses.binomial_deviance import BinomialDevianceLoss
from spaceform.losses.regularizers.energy_confusion import (
    EnergyConfusion,
    between_class_energies,
    row_norm_penalty,
)
from spaceform.losses.triplet import TripletLoss
from spaceform.methods.metric_learning.ecaml import ECAMLLoss, ECAMLTransformer

QUICK = {"embedding_dim": 6, "classes_per_batch": 4, "samples_per_class": 4, "steps": 3}
CONTRACT_CASES = {"ECAMLTransformer": EstimatorCase(QUICK, full_labels)}


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_methods_subset_invariance": "products in float32 differ in the last bit with the size of the batch",
    }


@parametrize_with_checks([ECAMLTransformer(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def features(n=120, d=10, classes=6, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (rng.normal(size=(classes, d))[y] + 0.5 * rng.normal(size=(n, d))).astype(np.float32), y


def layers(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(10, 8), nn.ReLU()), ConfusedHead(linear=nn.Linear(8, 5))


def test_the_trunk_feels_the_metric_loss_alone():
    X, y = map(torch.from_numpy, features())
    trunk, head = layers()
    ECAMLLoss(weight=0.13)(head, trunk(X), y)[0].backward()
    felt = [value.grad.clone() for value in trunk.parameters()]
    layer = head.linear.weight.grad.clone()
    trunk, head = layers()
    BinomialDevianceLoss()(head.linear(trunk(X)), y).backward()
    for found, alone in zip(felt, [value.grad for value in trunk.parameters()], strict=True):
        torch.testing.assert_close(found, alone)
    assert not torch.allclose(layer, head.linear.weight.grad, atol=1e-3)


def test_the_total_is_the_sum_of_its_parts():
    X, y = map(torch.from_numpy, features())
    trunk, head = layers()
    with torch.no_grad():
        head.linear.weight.mul_(0.8)
        total, parts = ECAMLLoss(metric_loss=TripletLoss(), weight=0.2)(head, trunk(X), y, generator=None)
        energy = between_class_energies(head.linear(trunk(X)), y).sum().log()
        penalty = row_norm_penalty(head.linear.weight, strength=0.5)
    assert parts["energy"] == pytest.approx(float(energy), rel=1e-5)
    assert parts["guard"] == pytest.approx(float(penalty), rel=1e-5)
    assert float(total) == pytest.approx(parts["metric_loss"] + 0.2 * parts["energy"] + parts["guard"], rel=1e-5)


@pytest.mark.parametrize("n_pairs", ["all", 3])
def test_without_weight_it_is_the_guarded_baseline_bit_for_bit(n_pairs):
    X, y = map(torch.from_numpy, features())

    def trained(step):
        trunk, head = layers()
        optimizer = torch.optim.Adam([*trunk.parameters(), *head.parameters()], lr=1e-2)
        generator = torch.Generator().manual_seed(0)
        for _ in range(5):
            optimizer.zero_grad()
            step(trunk, head, generator).backward()
            optimizer.step()
        return head.linear.weight.detach(), torch.rand(1, generator=generator)

    criterion, deviance = ECAMLLoss(confusion=EnergyConfusion(n_pairs=n_pairs), weight=0.0), BinomialDevianceLoss()
    found, next_draw = trained(lambda trunk, head, generator: criterion(head, trunk(X), y, generator=generator)[0])
    alone, untouched = trained(
        lambda trunk, head, _: deviance(head.linear(trunk(X)), y) + row_norm_penalty(head.linear.weight)
    )
    assert torch.equal(found, alone)
    assert torch.equal(next_draw, untouched)


def test_confusion_draws_seen_classes_together_and_damps_their_strongest_rows():
    X, y = features()
    plain, confused = (
        ECAMLTransformer(**QUICK | {"steps": 150}, learning_rate=3e-3, confusion_weight=weight).fit(X, y)
        for weight in (0.0, 0.2)
    )

    def seen(model):
        linear = model.net_.head.linear
        norms = linear.weight.detach().norm(dim=1)
        unit_rows = torch.from_numpy(X) @ (linear.weight.detach() / norms[:, None]).T
        strength = between_class_energies(unit_rows, torch.from_numpy(y))
        between = between_class_energies(torch.from_numpy(model.transform(X)), torch.from_numpy(y)).sum()
        return float(between), float(np.corrcoef(strength, norms)[0, 1]), float(norms.mean())

    (apart, _, long), (near, damped, short) = seen(plain), seen(confused)
    assert near < apart
    assert damped < -0.5
    assert 0.7 < short < long


def test_warnings_say_when_the_layer_has_no_equilibrium_and_when_it_vanishes():
    with pytest.warns(UserWarning, match="no equilibrium"):
        ECAMLLoss(weight=0.3, guard=0.5)
    X, y = map(torch.from_numpy, features())
    trunk, head = layers()
    with torch.no_grad():
        head.linear.weight[2] *= 0.2
    with pytest.warns(RuntimeWarning, match="norm 0.20"):
        ECAMLLoss()(head, trunk(X), y)


def test_below_the_critical_weight_rows_stay_and_above_it_they_vanish():
    """Confusion and guard alone: 0.13 with 0.5 settles, 0.3 with 0.5 shrinks until the warning comes."""
    X, y = map(torch.from_numpy, features())

    def shortest(weight):
        torch.manual_seed(0)
        head = ConfusedHead(linear=nn.Linear(10, 5))
        optimizer = torch.optim.Adam([head.linear.weight], lr=0.02)
        for _ in range(120):
            optimizer.zero_grad()
            output = head(X)[1]
            term = weight * EnergyConfusion(scale_guard=0.0)(output, y) + row_norm_penalty(head.linear.weight)
            term.backward()
            optimizer.step()
        return float(head.linear.weight.detach().norm(dim=1).min())

    assert shortest(0.13) > 0.6
    assert shortest(0.6) < 0.3


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"confusion_weight": -0.1}, "confusion_weight"),
        ({"guard": -1.0}, "guard"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"loss": "no_such_loss"}, "loss"),
        ({"loss": "proxy_anchor"}, "loss"),
        ({"steps": -1}, "steps"),
    ],
)
def test_wrong_settings_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        ECAMLTransformer(**QUICK | options).fit(*features())


def test_one_class_is_refused():
    X, y = features()
    with pytest.raises(NoPairsError):
        ECAMLTransformer(**QUICK).fit(X, np.zeros_like(y))


def test_unlabelled_rows_train_nothing():
    X, y = features()
    y = np.where(y == 5, -1, y)
    moved = np.where((y == -1)[:, None], 100 * X, X)
    first, second = (ECAMLTransformer(**QUICK).fit(rows, y) for rows in (X, moved))
    assert first.fingerprint == second.fingerprint
    assert first.classes_.tolist() == [0, 1, 2, 3, 4]


def test_pictures_train_a_network_and_files_bring_it_back(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(24) % 4
    X = rng.integers(0, 120, (24, 16, 16), dtype=np.uint8)
    for row, code in zip(X, y, strict=True):
        row[:, 3 * code + 1] += 120
    encoder = ECAMLTransformer(**QUICK, net="conv:0.25", augment=False).fit(X, y)
    encoder.save(tmp_path)
    loaded = ECAMLTransformer.load(tmp_path)
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))
    np.testing.assert_allclose(np.linalg.norm(encoder.transform(X), axis=1), 1, rtol=1e-5)
    with pytest.raises(InputError, match="net"):
        ECAMLTransformer(**QUICK, net=lambda shape, dim: nn.Sequential(nn.Flatten(), nn.ReLU())).fit(X, y)
    flat = ECAMLTransformer(**QUICK, net="mlp").fit(X.reshape(24, -1) / 255.0, y)
    assert flat.net_.head.linear.out_features == 6


def test_a_killed_run_goes_on_where_it_stood(tmp_path):
    X, y = features()
    whole = ECAMLTransformer(**QUICK | {"steps": 6}).fit(X, y)

    class KilledError(Exception):
        pass

    def kill(task, done, total, figures=None):
        if done >= 4:
            raise KilledError

    import spaceform.training.loop as loop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SHOW_EVERY", 0.0)
        with pytest.raises(KilledError):
            ECAMLTransformer(**QUICK | {"steps": 6}).fit(X, y, checkpoint=tmp_path, every=2, progress=kill)
    resumed = ECAMLTransformer(**QUICK | {"steps": 6}).fit(X, y, checkpoint=tmp_path, every=2)
    assert resumed.fingerprint == whole.fingerprint


def test_any_loss_by_name_or_module():
    X, y = features()
    by_name = ECAMLTransformer(**QUICK, loss="contrastive").fit(X, y)
    assert {"metric_loss", "energy", "guard"} <= set(by_name.history_.figures)
    module = ECAMLTransformer(**QUICK, loss=TripletLoss(margin=0.3)).fit(X, y)
    assert module.fingerprint != by_name.fingerprint
