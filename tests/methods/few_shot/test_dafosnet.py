"""DAFOS-Net: the objective against its parts, where gradients go, prediction, and the encoder as an estimator."""

import numpy as np
import pytest
import torch
from torch import nn

from contracts.cases import EstimatorCase, blobs, full_labels
from spaceform.errors import InputError, InterruptedRunError
from spaceform.losses.few_shot.balanced import balanced_cross_entropy
from spaceform.losses.few_shot.prototypes import (
    prototype_alignment_loss,
    prototype_triplet_loss,
    prototypical_loss,
)
from spaceform.methods.few_shot.dafosnet import WEIGHTS, DAFOSEncoder, DAFOSNet, Task, _learners
from spaceform.space import Space
from spaceform.training.loop import train
from spaceform.workflows import train as verb

QUICK = {"embedding_dim": 6, "n_way": 2, "shots": 2, "queries": 2, "steps": 3, "net": "mlp"}
CONTRACT_CASES = {
    "DAFOSEncoder": EstimatorCase(QUICK, full_labels),
    "OpenSetPrototypeClassifier": EstimatorCase({"threshold": "fit"}, full_labels),
}


def backbone(width=5, dim=6):
    return nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, dim), nn.BatchNorm1d(dim))


def make(**options):
    torch.manual_seed(0)
    return DAFOSNet(backbone(), **{"n_way": 3, "dim": 6, "gan": False, **options})


def task(seed, ways=3, each=4):
    rng = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(3):
        parts += [torch.randn(ways * each, 5, generator=rng), torch.arange(ways).repeat_interleave(each)]
    return Task(*parts)


BOTH = {0: task(0), 1: task(1)}


def test_the_terms_are_those_of_the_paper():
    """A second way to the same numbers: features first, then each term by its own function, domain by domain."""
    net = make(temperature=2.0, margin=3.0)
    terms = net.episode_loss(BOTH)
    features = {d: [net.backbone(torch.cat([t.support, t.query, t.unknown]), d)] for d, t in BOTH.items()}
    prototypes, queries, distances, known, domain = [], [], [], [], []
    classify, triplet = [], []
    for d, t in BOTH.items():
        support, query, unknown = features[d][0].split(12)
        P = torch.stack([support[t.support_targets == k].mean(0) for k in range(3)])
        asked = torch.cat([query, unknown])
        dist = ((asked[:, None] - P) ** 2).sum(2) / 2
        prototypes.append(P)
        queries.append(asked)
        distances.append(dist)
        known += [1] * 12 + [0] * 12
        domain += [d] * 24
        classify.append(prototypical_loss(dist[:12], t.query_targets))
        targets = torch.cat([t.query_targets, torch.full((12,), -1)])
        triplet.append(prototype_triplet_loss(P, asked, targets, margin=3.0, temperature=2.0))
    every = torch.cat(distances)
    last = net.backbone.net[4]
    expected = {
        "classify": (classify[0] + classify[1]) / 2,
        "triplet": triplet[0] + triplet[1],
        "align": prototype_alignment_loss(*prototypes, last.affine(0), last.affine(1)),
        "outlier": balanced_cross_entropy(net.outlier_head(every), torch.tensor(known)),
        "domain": balanced_cross_entropy(net.domain_head(every), torch.tensor(domain)),
    }
    assert {*terms} == {*expected, "total"}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), name
    total = sum(WEIGHTS[name] * value.item() for name, value in expected.items())
    assert terms["total"].item() == pytest.approx(total, rel=1e-4)


def test_alignment_reaches_backbone_scale_and_shift():
    net = make(weights={"triplet": 0.0, "outlier": 0.0, "domain": 0.0})
    net.episode_loss(BOTH)["align"].backward()
    last = net.backbone.net[4]
    for parameter in (*last.affine(0), *last.affine(1), net.backbone.net[0].weight):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_terms_without_weight_or_without_a_second_domain_are_absent():
    assert set(make(weights={"triplet": 0.0}).episode_loss(BOTH)) == {"classify", "align", "outlier", "domain", "total"}
    assert set(make().episode_loss({1: BOTH[1]})) == {"classify", "triplet", "outlier", "total"}


def test_one_domain_trains_its_own_batch_norm_alone():
    net = make()
    before = [value.clone() for value in net.backbone.net[1].norms[0].state_dict().values()]
    net.episode_loss({1: BOTH[1]})["total"].backward()
    for old, new in zip(before, net.backbone.net[1].norms[0].state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_made_up_features_enter_the_prototypes_and_are_constants():
    net = make(gan=True)
    rng = torch.Generator().manual_seed(0)
    plain = net.episode_loss(BOTH, invent=False)["classify"]
    made = net.episode_loss(BOTH, generator=rng)
    assert made["classify"].item() != plain.item()
    made["total"].backward()
    assert all(p.grad is None for p in net.gans.parameters())
    before = net.gans.low.generator[0].weight.clone()
    net.episode_loss(BOTH, learners=_learners(net.gans), generator=rng)
    assert not torch.equal(before, net.gans.low.generator[0].weight)


def test_renumbered_classes_are_rejected_alike():
    net = make().eval()
    t = BOTH[1]
    first, score = net.predict(t.support, t.support_targets, t.query)
    renamed = torch.tensor([20, 0, 7])[t.support_targets]
    second, same = net.predict(t.support, renamed, t.query)
    torch.testing.assert_close(score, same)
    known = first != -1
    assert torch.equal(known, second != -1)
    assert torch.equal(torch.tensor([20, 0, 7])[first[known]], second[known])
    unsorted = make(sort=False).eval()
    assert not torch.allclose(
        unsorted.predict(t.support, t.support_targets, t.query)[1], unsorted.predict(t.support, renamed, t.query)[1]
    )


def test_prediction_leaves_mode_and_statistics_as_they_were():
    net, t = make(), BOTH[1]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.predict(t.support, t.support_targets, t.query)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_does_not_fit_is_refused():
    net, t = make(), BOTH[1]
    hole = t.query.clone()
    hole[0, 0] = torch.nan
    two = t.support_targets < 2
    for call, name in (
        (lambda: net.predict(t.support, t.support_targets, hole), "finite"),
        (lambda: net.predict(t.support, t.support_targets - 1, t.query), "-1"),
        (lambda: net.predict(t.support, t.support_targets, t.query, domain=2), "domain"),
        (lambda: net.predict(t.support[two], t.support_targets[two], t.query), "2 classes"),
        (lambda: net.episode_loss({}), "tasks"),
        (lambda: net.episode_loss({2: t}), "tasks"),
        (lambda: make(dim=5).episode_loss(BOTH), "backbone"),
        (lambda: make(n_way=1), "n_way"),
        (lambda: make(n_way=4).episode_loss(BOTH), "class 3"),
        (lambda: make(weights={"align": -1.0}), "weights"),
        (lambda: make(weights={"gan": 1.0}), "weights"),
        (lambda: make(weights=dict.fromkeys(WEIGHTS, 0.0)), "weights"),
        (lambda: make(condition="label"), "condition"),
    ):
        with pytest.raises(InputError, match=name):
            call()
    nearest = make(nearest=2)
    assert nearest.predict(t.support[two], t.support_targets[two], t.query)[1].shape == (12,)


def world(seed=0, classes=24, each=8):
    """Vectors of classes in two domains, the target scaled and shifted; the first half of the classes are source."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    X = rng.normal(size=(classes, 5))[y] + 0.4 * rng.normal(size=(len(y), 5))
    domains = (y >= classes // 2).astype(int)
    return np.where(domains[:, None] == 1, X * rng.uniform(0.3, 3, 5) + 8, X), y, domains


def test_the_encoder_learns_both_domains_and_repeats_itself():
    X, y, domains = world()
    settings = {**QUICK, "steps": 60, "learning_rate": 1e-2}
    encoder = DAFOSEncoder(**settings).fit(X, y, domains=domains)
    again = DAFOSEncoder(**settings).fit(X, y, domains=domains)
    assert encoder.fingerprint == again.fingerprint
    losses = encoder.history_.figures["loss"]
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:10])
    assert set(encoder.history_.figures) == {"loss", *WEIGHTS}
    assert (encoder.transform(X) >= 0).all()
    statistics = encoder.net_.backbone.net[1].norms
    assert not torch.allclose(statistics[0].running_mean, statistics[1].running_mean)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    X, y, domains = world()
    settings = {**QUICK, "steps": 6, "gan": "class_mean"}
    whole = DAFOSEncoder(**settings).fit(X, y, domains=domains)

    def killed(*args, **options):
        return train(*args, **{**options, "steps": 4})

    with monkeypatch.context() as patch:
        patch.setattr("spaceform.encoders.plan.train", killed)
        DAFOSEncoder(**settings).fit(X, y, domains=domains, checkpoint=tmp_path, every=2)
    resumed = DAFOSEncoder(**settings).fit(X, y, domains=domains, checkpoint=tmp_path, every=2)
    assert resumed.fingerprint == whole.fingerprint
    with pytest.raises(InterruptedRunError, match="data"):
        DAFOSEncoder(**settings).fit(X, y, domains=1 - domains, checkpoint=tmp_path, every=2)


def test_it_is_saved_and_read(tmp_path):
    X, y, domains = world()
    encoder = DAFOSEncoder(**{**QUICK, "gan": "slot"}).fit(X, y, domains=domains)
    encoder.save(tmp_path)
    assert np.array_equal(DAFOSEncoder.load(tmp_path).transform(X), encoder.transform(X))


def test_pictures_go_in_too():
    X = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    y = np.arange(16) % 4
    encoder = DAFOSEncoder(**{**QUICK, "net": "conv:0.25"}).fit(X, y)
    assert encoder.transform(X).shape == (16, 6)


@pytest.mark.parametrize(
    ("settings", "domains", "name"),
    [
        ({"n_way": 7}, True, "labels"),
        ({"shots": (2, 1)}, False, "shots"),
        ({"gan": "one_hot"}, True, "gan"),
        ({"steps": -1}, True, "steps"),
    ],
)
def test_settings_are_checked(settings, domains, name):
    X, y, which = world()
    with pytest.raises(InputError, match=name):
        DAFOSEncoder(**{**QUICK, **settings}).fit(X, y, domains=which if domains else None)


def test_rows_of_a_space_are_named_or_turned_away():
    X, y = blobs(8, rows=20)
    X[::10] += 60
    names = [None if row % 10 == 0 else f"class {label}" for row, label in enumerate(y)]
    space = Space.create(X.astype(np.float32), attributes={"kind": names}, label="kind")
    result = verb.train(
        "dafosnet:OpenSetPrototypeClassifier", space, options={"threshold": "fit", "unknown_label": "none"}
    )
    found = result.space.column("dafosnet_class")
    assert (found[::10] == "none").all()
    known = np.arange(len(y)) % 10 != 0
    assert (found[known] == np.array(names, dtype=object)[known]).mean() >= 0.9
    assert "dafosnet_confidence" in result.columns
