"""The encoder on the sphere: it learns, grows without training, is saved and found again, refuses what does not fit."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, full_labels
from spaceform.errors import InputError, SpaceFormatError
from spaceform.losses.margin_softmax import normalized_softmax_floor
from spaceform.methods.metric_learning.hyperspherical_novelty import HypersphericalEncoder, NovelClassClassifier
from spaceform.metrics.joint import joint_accuracy
from spaceform.space import Space
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.train import train

QUICK = {"embedding_dim": 8, "steps": 3}
CONTRACT_CASES = {
    "HypersphericalEncoder": EstimatorCase(QUICK, full_labels),
    "NovelClassClassifier": EstimatorCase({}, full_labels),
}


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_fit_score_takes_y": "gives partial_fit rows of classes that were trained",
        "check_methods_subset_invariance": "products in float32 differ in the last bit with the size of the batch",
    }


@parametrize_with_checks([HypersphericalEncoder(**QUICK)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    """Ten classes in a plane of twelve columns: (X, y), of which eight are trained."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 40)
    signal = 2 * rng.normal(size=(10, 6))[y] + 0.7 * rng.normal(size=(400, 6))
    return np.hstack([signal, rng.normal(size=(400, 6))]) @ rng.normal(size=(12, 12)), y


@pytest.fixture(scope="module")
def trained(table):
    X, y = table
    return HypersphericalEncoder(embedding_dim=16, steps=150).fit(X[y < 8], y[y < 8])


def grown(trained, table, supports=20):
    X, y = table
    rows = np.concatenate([np.flatnonzero(y == label)[:supports] for label in (8, 9)])
    return copy.deepcopy(trained).partial_fit(X[rows], y[rows])


def test_trained_and_added_classes_are_answered_together(table, trained):
    X, y = table
    model = grown(trained, table)
    judged = np.arange(400) % 40 >= 20
    found = joint_accuracy(y[judged], model.predict(X[judged]), np.arange(8))
    assert found.base > 0.8
    assert found.novel > 0.6


def test_loss_falls_to_the_neighbourhood_of_its_floor_and_lengths_are_recorded(trained):
    losses = trained.history_.figures["loss"]
    assert losses[0] > 1
    assert normalized_softmax_floor(8, temperature=0.1) - 1e-6 <= np.mean(losses[-10:]) < 0.2
    assert trained.history_.figures["mean_length"][-1] > 0


def test_adding_touches_nothing_else(table, trained):
    X, _ = table
    model = grown(trained, table)
    assert model.fingerprint == trained.fingerprint
    np.testing.assert_array_equal(model.transform(X), trained.transform(X))
    for name, value in trained.net_.state_dict().items():  # batch statistics among them
        assert torch.equal(model.net_.state_dict()[name], value)
    np.testing.assert_allclose(model._logits(X)[:, :8], trained._logits(X), atol=1e-6)
    assert not model.net_.training


def test_several_calls_in_any_order_equal_one(table, trained):
    X, y = table
    once, twice = grown(trained, table), copy.deepcopy(trained)
    for part in (slice(5, 20), slice(0, 5)):
        rows = np.concatenate([np.flatnonzero(y == label)[part] for label in (9, 8)])
        twice.partial_fit(X[rows], y[rows])
    np.testing.assert_array_equal(once.classes_, twice.classes_)
    torch.testing.assert_close(once.head_.weight, twice.head_.weight)
    assert twice.head_.counts.tolist() == [20, 20]


def test_learned_vectors_are_no_class_means(table):
    X, y = table
    short = HypersphericalEncoder(embedding_dim=16, steps=20).fit(X, y)
    Z = short.transform(X)
    means = NovelClassClassifier().fit(Z, y)
    learned = NovelClassClassifier(init_weights=short.head_.weight.detach().numpy()).fit(Z, y)
    assert (means.weights_ * learned.weights_).sum(1).max() < 0.99
    np.testing.assert_array_equal(learned.predict(X=Z), short.predict(X))
    np.testing.assert_allclose(learned.predict_proba(Z), short.predict_proba(X), atol=1e-5)


def test_an_added_class_is_that_of_the_classifier_of_embeddings(table, trained):
    X, y = table
    model, rows = grown(trained, table), np.flatnonzero(y == 9)[:20]
    mean = NovelClassClassifier().fit(trained.transform(X[rows]), y[rows])
    np.testing.assert_allclose(model.head_.weight[9].detach(), mean.weights_[0], atol=1e-6)
    assert model.head_.concentration[1].item() == pytest.approx(mean.concentration_[0])


@pytest.mark.parametrize(
    "options", [{"constraint": "project"}, {"constraint": "project", "decay": 0.9}, {"decay": 0.9}]
)
def test_the_vectors_end_on_the_sphere(table, options):
    X, y = table
    model = HypersphericalEncoder(embedding_dim=16, steps=60, **options).fit(X, y)
    assert (model.head_.vectors.norm(dim=1) - 1).abs().max() < 1e-6
    assert (model.predict(X) == y).mean() > 0.8


def test_training_needs_neither_pairs_nor_balance():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 4)), np.arange(9)  # every row its own class
    assert HypersphericalEncoder(**QUICK).fit(X, y).predict(X).shape == (9,)


def test_vectors_have_both_signs_and_a_relu_at_the_end_is_warned_of(table):
    X, y = table
    assert (HypersphericalEncoder(**QUICK).fit(X[y < 8], y[y < 8]).transform(X) < 0).any()

    def clipped(shape, dim):
        return torch.nn.Sequential(torch.nn.Linear(shape[0], dim), torch.nn.Softplus())

    with pytest.warns(UserWarning, match="negative coordinate"):
        HypersphericalEncoder(**QUICK, net=clipped).fit(X[y < 8], y[y < 8])


def stripes(n=60, size=16):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 6
    X = rng.integers(0, 120, size=(n, size, size, 3))
    for row, code in zip(X, y, strict=True):
        row[:, 2 * code + 2] += 110
    return X.astype(np.uint8), y


def test_pictures_are_learned_and_a_killed_fit_goes_on(tmp_path):
    X, y = stripes()
    settings = {"embedding_dim": 8, "steps": 6, "net": "conv:0.25", "batch_size": 16, "augment": True}
    whole = HypersphericalEncoder(**settings).fit(X[y < 4], y[y < 4])

    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HypersphericalEncoder(**settings).fit(X[y < 4], y[y < 4], checkpoint=tmp_path, every=1, progress=kill)
    resumed = HypersphericalEncoder(**settings).fit(X[y < 4], y[y < 4], checkpoint=tmp_path, every=1)
    assert resumed.fingerprint == whole.fingerprint
    assert torch.equal(resumed.head_.vectors, whole.head_.vectors)
    words = np.array([f"kind {code}" for code in y])
    assert whole.partial_fit(X[y == 5], y[y == 5]).classes_.tolist() == [0, 1, 2, 3, 5]
    assert HypersphericalEncoder(**settings).fit(X, words).predict(X[:2]).dtype == words.dtype


def test_a_saved_encoder_answers_and_goes_on_growing(table, trained, tmp_path):
    X, y = table
    model = grown(trained, table)
    model.save(tmp_path / "encoder")
    again = open_encoder(tmp_path)
    assert isinstance(again, HypersphericalEncoder)
    for one in (model, again):
        one.partial_fit(X[y == 8][20:], y[y == 8][20:])
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.classes_, model.classes_)
    assert not list(tmp_path.rglob("*.pkl"))
    trained.save(tmp_path / "plain")  # no class was added: empty sums
    assert HypersphericalEncoder.load(tmp_path / "plain").head_.n_classes == 8


def test_changed_files_are_refused(table, trained, tmp_path):
    trained.save(tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"half")
    with pytest.raises(SpaceFormatError, match="class vectors"):
        HypersphericalEncoder.load(tmp_path)
    grown(trained, table).save(tmp_path / "other")
    (tmp_path / "head.safetensors").write_bytes((tmp_path / "other" / "head.safetensors").read_bytes())
    with pytest.raises(SpaceFormatError, match="10 class vectors for 8"):
        HypersphericalEncoder.load(tmp_path)


def test_bad_updates_change_nothing(table, trained):
    X, y = table
    model, classes = copy.deepcopy(trained), trained.classes_
    for rows, labels, name in (
        (X[:2], y[:2], "y: got rows of class 0"),
        (X[[399, 0]], [9, 0], "y: got rows of class 0"),
        (X[:2, :5], [9, 9], "features"),
        (X[:2], [9], "y"),
        (np.full((1, 12), np.nan), [9], "X"),
    ):
        with pytest.raises(ValueError, match=name):
            model.partial_fit(rows, labels)
        assert model.classes_ is classes or np.array_equal(model.classes_, classes)
        assert model.head_.n_classes == 8


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"scale": 0.0}, "scale"),
        ({"constraint": "clip"}, "constraint"),
        ({"steps": -1}, "steps"),
        ({"batch_size": 1}, "batch_size"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_settings_are_checked(table, settings, name):
    X, y = table
    with pytest.raises(InputError, match=name):
        HypersphericalEncoder(**{**QUICK, **settings}).fit(X[y < 8], y[y < 8])


def test_one_class_is_refused_and_few_dimensions_are_warned_of(table):
    X, y = table
    with pytest.raises(InputError, match="two or more classes"):
        HypersphericalEncoder(**QUICK).fit(X[y == 0], y[y == 0])
    with pytest.warns(UserWarning, match="floor"):
        HypersphericalEncoder(embedding_dim=4, steps=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HypersphericalEncoder(embedding_dim=9, steps=0).fit(X, y)


def test_the_classifier_answers_on_a_space(table):
    X, y = table
    names = [f"kind {code}" if row % 4 else None for row, code in enumerate(y)]
    space = Space.create(X.astype(np.float32), attributes={"kind": names}, label="kind")
    answered = train("hyperspherical-novelty", space, options={"scale": "20"})
    assert answered.columns == ("hyperspherical_novelty_class", "hyperspherical_novelty_confidence")
    assert answered.figures["hyperspherical-novelty"]["accuracy"] > 0.6


def test_the_encoder_trains_on_a_folder_of_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for row, (picture, code) in enumerate(zip(*stripes(24), strict=True)):
        (tmp_path / "pictures" / f"kind {code}").mkdir(parents=True, exist_ok=True)
        image.fromarray(picture).save(tmp_path / "pictures" / f"kind {code}" / f"{row}.png")
    options = {"steps": "2", "embedding_dim": "8", "net": "conv:0.25"}
    method = "hyperspherical-novelty:HypersphericalEncoder"
    made = train(method, tmp_path / "pictures", out=tmp_path / "space", options=options, size=16)
    assert made.space.vectors.shape == (24, 8)
    np.testing.assert_allclose(np.linalg.norm(made.space.vectors, axis=1), 1, atol=1e-3)
    assert isinstance(open_encoder(tmp_path / "space"), HypersphericalEncoder)
