"""Metrix as an estimator and its measures: levels of mixing, the plain loss at weight 0, positivity."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.generic_pair import contrastive_form, multi_similarity_form
from spaceform.losses.mixing.form_loss import FormLoss
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.supcon import SupConLoss
from spaceform.methods.metric_learning.metrix import Metrix, acts_as_positive, positivity, positivity_threshold

QUICK = {"embedding_dim": 6, "classes_per_batch": 4, "samples_per_class": 3, "steps": 3}


def _form():
    return {"form": contrastive_form(0.5)}


def _mixed():
    return {"loss": MultiSimilarityLoss(alpha=2.0, beta=10.0)}


CONTRACT_CASES = {
    "Metrix": EstimatorCase(QUICK, full_labels),
    "FormLoss": LossCase(make=_form),
    "MetrixLoss": LossCase({"pairs": "pos-neg", "lam": 0.5}, make=_mixed),
}


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_methods_subset_invariance": "products in float32 differ in the last bit with the size of the batch",
    }


@parametrize_with_checks([Metrix(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def stripes(n=48, size=16):
    """Eight classes: the column of a bright stripe."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 8
    X = random.integers(0, 120, size=(n, size, size, 1))
    for row, code in zip(X, y, strict=True):
        row[:, code + 3] += 110
    return X.astype(np.uint8), y


@pytest.mark.parametrize("level", ["embedding", "feature", "input"])
@pytest.mark.parametrize("loss", ["multi_similarity", "contrastive", "proxy_anchor"])
def test_every_level_trains_and_is_saved(level, loss, tmp_path):
    X, y = stripes()
    encoder = Metrix(**QUICK, level=level, loss=loss, net="conv:0.25").fit(X, y)
    assert len(encoder.history_.figures["mixed"]) == 3
    assert encoder.history_.last("mixed") > 0
    encoder.save(tmp_path)
    assert np.array_equal(Metrix.load(tmp_path).transform(X), encoder.transform(X))


def test_weight_zero_trains_exactly_as_without():
    X, y = stripes()
    plain = MetricLearner(**QUICK, loss="contrastive", net="conv:0.25").fit(X, y)
    for level in ("embedding", "feature", "input"):
        settings = {**QUICK, "loss": "contrastive", "loss_options": {}, "net": "conv:0.25"}
        encoder = Metrix(**settings, level=level, weight=0.0).fit(X, y)
        np.testing.assert_allclose(encoder.transform(X), plain.transform(X), atol=2e-4)
        assert encoder.history_.figures["loss"] == pytest.approx(plain.history_.figures["loss"], rel=1e-4)
    assert np.abs(Metrix(**settings).fit(X, y).transform(X) - plain.transform(X)).max() > 1e-3


def test_a_killed_run_goes_on_with_the_same_draws(tmp_path):
    X, y = stripes()
    settings = {**QUICK, "steps": 6, "net": "conv:0.25"}

    def stop(step, figures):
        if step == 4:
            raise KeyboardInterrupt
        return

    with pytest.raises(KeyboardInterrupt):
        Metrix(**settings).fit(X, y, checkpoint=tmp_path, every=2, callbacks=[stop])
    resumed = Metrix(**settings).fit(X, y, checkpoint=tmp_path, every=2)
    assert resumed.fingerprint == Metrix(**settings).fit(X, y).fingerprint


def test_a_learner_of_any_loss_takes_the_mixing():
    X, y = stripes()
    loss = MetrixLoss(loss=SupConLoss() + 0.1 * ContrastiveLoss())
    first, second = (MetricLearner(**QUICK, loss=loss, net="conv:0.25").fit(X, y).fingerprint for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"level": "output"}, "level"),
        ({"weight": -1.0}, "weight"),
        ({"alpha": 0.0}, "alpha"),
        ({"loss": "triplet"}, "loss"),
        ({"loss": "arc_face"}, "features"),
        ({"net": lambda shape, dim: torch.nn.Linear(5, dim)}, "net"),
    ],
)
def test_settings_are_checked(settings, name):
    random = np.random.default_rng(0)
    with pytest.raises(InputError, match=name):
        Metrix(**{**QUICK, **settings}).fit(random.normal(size=(24, 5)), np.arange(24) % 4)


def test_a_batch_of_one_class_is_refused():
    with pytest.raises(NoPairsError):
        Metrix(**QUICK).fit(np.random.default_rng(0).normal(size=(9, 5)), np.zeros(9, dtype=int))


@pytest.mark.parametrize(("lam", "level"), [(0.1, 0.7464), (0.5, 0.77), (0.9, 0.7936)])
def test_a_mixture_turns_from_positive_to_negative_where_the_paper_says(lam, level):
    threshold = positivity_threshold(lam, alpha=18.0, beta=75.0, base=0.77)
    assert threshold == pytest.approx(level, abs=5e-5)
    loss = FormLoss(form=multi_similarity_form(18.0, 75.0, 0.77))
    closeness = torch.tensor([[threshold - 1e-3], [threshold + 1e-3]], dtype=torch.float64)
    mask = torch.ones_like(closeness, dtype=torch.bool)
    found = acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)
    assert found[:, 0].tolist() == [True, False]


def test_in_the_contrastive_form_a_half_or_the_margin_decides():
    loss = FormLoss(form=contrastive_form(0.5))
    closeness = torch.tensor([[0.3, 0.49, 0.51, 0.8]], dtype=torch.float64)
    mask = torch.ones_like(closeness, dtype=torch.bool)
    for lam, expected in ((0.49, [True, True, False, False]), (0.5, [True] * 4)):
        assert acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)[0].tolist() == expected
    assert not acts_as_positive(loss, closeness, torch.full_like(closeness, 1.0), ~mask).any()


def test_at_one_closeness_a_larger_share_never_turns_a_positive_into_a_negative():
    closeness = torch.linspace(-0.5, 1, 60, dtype=torch.float64)[:, None]
    mask = torch.ones_like(closeness, dtype=torch.bool)
    for loss in (ContrastiveLoss(closeness="dot"), MultiSimilarityLoss(), FormLoss(form=contrastive_form(0.5))):
        found = [acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask) for lam in (0.1, 0.4, 0.9)]
        counts = [int(one.sum()) for one in found]
        assert counts == sorted(counts)
        assert counts[0] < counts[2]
        assert not (found[0] & ~found[2]).any()


def test_positivity_of_a_batch_is_a_share_of_its_mixtures():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 6
    rows = torch.randn(24, 8, generator=generator) + 0.8 * torch.randn(6, 8, generator=generator)[labels]
    loss = ContrastiveLoss(closeness="dot", reduction="mean")
    assert positivity(loss, rows, labels, lam=0.5) == positivity(loss, rows, labels, lam=0.9) == 1
    unit = torch.nn.functional.normalize(rows, dim=1)
    near = [
        float(unit[a] @ torch.nn.functional.normalize(0.4 * unit[p] + 0.6 * unit[n], dim=0)) <= 0.5
        for a in range(24)
        for p in range(24)
        for n in range(24)
        if labels[p] == labels[a] != labels[n] and p != a
    ]
    assert positivity(loss, rows, labels, lam=0.4) == pytest.approx(np.mean(near))
    with pytest.raises(NoPairsError):
        positivity(loss, rows, torch.zeros_like(labels), lam=0.5)
    with pytest.raises(InputError, match="lam"):
        positivity(loss, rows, labels, lam=1.5)


def test_the_closed_form_is_the_share_of_mixtures_below_the_threshold():
    # one anchor with one mixture at a time: the sums are those of one pair, where the threshold is exact
    loss, lam = MultiSimilarityLoss(alpha=17.97, beta=75.66, base=0.77), 0.7
    closeness = torch.linspace(0.7, 0.85, 400, dtype=torch.float64)[:, None]
    mask = torch.ones_like(closeness, dtype=torch.bool)
    found = acts_as_positive(loss, closeness, torch.full_like(closeness, lam), mask)
    assert torch.equal(found, closeness <= positivity_threshold(lam))
    assert math.isclose(positivity_threshold(0.5), 0.77)
