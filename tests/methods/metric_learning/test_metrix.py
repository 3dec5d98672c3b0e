"""Metrix as an estimator: levels of mixing, the plain loss at weight 0, runs that go on."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.contrastive import ContrastiveLoss
from spaceform.losses.generic_pair import contrastive_form
from spaceform.losses.mixing.metrix_loss import MetrixLoss
from spaceform.losses.multi_similarity import MultiSimilarityLoss
from spaceform.losses.supcon import SupConLoss
from spaceform.methods.metric_learning.metrix import Metrix
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.train import train

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
    options = {"negative_margin": 0.5}
    plain = MetricLearner(**QUICK, loss="contrastive", loss_options=options, net="conv:0.25").fit(X, y)
    for level in ("embedding", "feature", "input"):
        settings = {**QUICK, "loss": "contrastive", "net": "conv:0.25"}
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


def test_it_is_trained_on_a_folder_of_pictures_and_found_again(tmp_path):
    image = pytest.importorskip("PIL.Image")
    X, y = stripes(16)
    for number, (picture, code) in enumerate(zip(X[..., 0], y % 4, strict=True)):
        place = tmp_path / "pictures" / f"class {code}"
        place.mkdir(parents=True, exist_ok=True)
        image.fromarray(picture).save(place / f"{number}.png")
    options = {"steps": "1", "classes_per_batch": "2", "samples_per_class": "2", "embedding_dim": "6"}
    made = train("metrix", tmp_path / "pictures", out=tmp_path / "space", size=16, options=options).space
    assert made.vectors.shape == (16, 6)
    found = open_encoder(tmp_path / "space")
    assert isinstance(found, Metrix)
    assert found.fingerprint == made.encoder["fingerprint"]


def test_a_batch_of_one_class_is_refused():
    with pytest.raises(NoPairsError):
        Metrix(**QUICK).fit(np.random.default_rng(0).normal(size=(9, 5)), np.zeros(9, dtype=int))
