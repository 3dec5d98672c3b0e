"""Dynamic subspaces as an estimator on vectors: learns, grows, counts its learners, refuses what does not fit."""

import numpy as np
import pytest
import torch

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.data.pictures import encode_png
from spaceform.errors import InputError, NoPairsError
from spaceform.methods.metric_learning.dynamic_subspaces import DynamicSubspaceEncoder, DynamicSubspaceMetric
from spaceform.metrics.retrieval import recall_at_k
from spaceform.space import Space
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.train import train

CONTRACT_CASES = {
    "DynamicSubspaceMetric": EstimatorCase(
        {"n_components": 12, "epochs": 3, "patience": 1, "random_state": 0}, full_labels
    ),
    "DynamicSubspaceEncoder": EstimatorCase({"embedding_dim": 12, "epochs": 2, "patience": 1}, full_labels),
    "MarginLoss": LossCase(),
}

QUICK = {"n_components": 16, "epochs": 12, "patience": 1, "learning_rate": 1e-2, "random_state": 0}


def looks(n=160, seed=0):
    """Four classes of two looks each in 3 of 12 dimensions; the others are louder noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    X = 3 * rng.normal(size=(n, 12))
    places = np.random.default_rng(7).normal(size=(8, 3)) * 2
    X[:, :3] = places[y + 4 * rng.integers(0, 2, n)] + 0.4 * rng.normal(size=(n, 3))
    return X, y


@pytest.fixture(scope="module")
def fitted():
    return DynamicSubspaceMetric(**QUICK).fit(*looks())


def test_it_grows_and_finds_what_the_given_space_hides(fitted):
    X, y = looks(seed=1)
    vectors = fitted.transform(X)
    assert fitted.n_learners_ == len(fitted.slices_) > 1
    assert [j for part in fitted.slices_ for j in part] == list(range(16))
    assert vectors.shape == (160, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose((vectors**2).sum(1), fitted.n_learners_, atol=1e-4)
    assert recall_at_k(vectors, y, ks=(1,))[1] > recall_at_k(X, y, ks=(1,))[1] + 0.1


def test_a_fixed_number_of_learners_stays():
    model = DynamicSubspaceMetric(**{**QUICK, "dynamic": False, "n_learners": 3, "epochs": 2}).fit(*looks())
    assert [len(part) for part in model.slices_] == [5, 5, 6]
    assert model.history_.splits == []
    assert len(model.history_.score) == 2


def test_unlabelled_rows_change_nothing_and_labels_may_be_words(fitted):
    X, y = looks()
    more = np.concatenate([X, np.full((5, 12), 9.0)])
    hidden = DynamicSubspaceMetric(**QUICK).fit(more, np.concatenate([y, [-1] * 5]))
    np.testing.assert_array_equal(hidden.transform(X), fitted.transform(X))
    words = DynamicSubspaceMetric(**QUICK).fit(X, np.array(["ant", "bee", "cat", "dog"])[y])
    assert words.classes_.tolist() == ["ant", "bee", "cat", "dog"]
    np.testing.assert_array_equal(words.transform(X), fitted.transform(X))


def test_seeds_matter_and_no_epoch_is_a_random_start():
    X, y = looks()
    first, second = (DynamicSubspaceMetric(**{**QUICK, "epochs": 0, "random_state": seed}) for seed in (0, 1))
    assert not np.array_equal(first.fit(X, y).transform(X), second.fit(X, y).transform(X))
    assert first.history_.score == []


def test_the_state_is_plain_tensors(fitted):
    state = fitted.embedding_.state_dict()
    assert set(state) == {"weight", "bias", "first"}
    assert all(isinstance(value, torch.Tensor) for value in state.values())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"n_components": 9}, "embedding"),
        ({"n_components": 0}, "n_components"),
        ({"n_learners": 0}, "n_learners"),
        ({"n_learners": 17}, "n_learners"),
        ({"samples_per_class": 1}, "samples_per_class"),
        ({"classes_per_batch": 1}, "classes_per_batch"),
        ({"importance": "gut"}, "importance"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"patience": 0}, "patience"),
        ({"learning_rate": 0.0}, "rates"),
        ({"epochs": 1.5}, "epochs"),
    ],
)
def test_settings_are_checked(settings, name):
    with pytest.raises(InputError, match=name):
        DynamicSubspaceMetric(**{**QUICK, **settings}).fit(*looks(40))


def test_data_that_do_not_fit_are_refused():
    X, y = looks(40)
    hole = X.copy()
    hole[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        DynamicSubspaceMetric(**QUICK).fit(hole, y)
    with pytest.raises(InputError, match="y: got None"):
        DynamicSubspaceMetric(**QUICK).fit(X, None)
    with pytest.raises(InputError, match="class"):
        DynamicSubspaceMetric(**QUICK).fit(X, np.zeros(40, dtype=int))
    with pytest.raises(InputError, match="held out"):
        DynamicSubspaceMetric(**QUICK).fit(X, np.arange(40))
    few = np.array([0] * 20 + [1] * 18 + [2, 3])
    assert DynamicSubspaceMetric(**{**QUICK, "epochs": 1}).fit(X, few).classes_.tolist() == [0, 1, 2, 3]
    assert issubclass(NoPairsError, InputError)


SMALL = {"embedding_dim": 12, "epochs": 4, "patience": 1, "samples_per_class": 4, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def striped():
    """Four classes of stripes that stand anywhere along the other side, on noise."""
    rng = np.random.default_rng(0)
    y = np.arange(72) % 4
    X = rng.integers(0, 60, (72, 16, 16))
    for picture, kind in zip(X, y, strict=True):
        start = rng.integers(0, 9)
        picture[4 * kind : 4 * kind + 3, start : start + 6] += 180
    return X.astype(np.uint8), y


@pytest.fixture(scope="module")
def looking(striped):
    return DynamicSubspaceEncoder(**SMALL).fit(*striped)


def test_pictures_become_vectors_of_unit_slices_and_maps(striped, looking):
    X, _ = striped
    vectors = looking.encode(X)
    np.testing.assert_allclose((vectors**2).sum(1), looking.n_learners_, atol=1e-4)
    np.testing.assert_allclose(looking.encode(X[:5], batch_size=2), vectors[:5], atol=1e-5)
    maps = looking.attention(X)
    assert maps.shape == (72, 4, 4)
    assert 0 < maps.min() < maps.max() < 1
    np.testing.assert_allclose(looking.attention(X, batch_size=7), maps, atol=1e-6)
    assert looking.growth_.n_learners[-1] == looking.n_learners_
    assert set(looking.history_.figures) == {"score", "loss"}


def test_training_beats_no_training(striped, looking):
    X, y = striped
    untrained = DynamicSubspaceEncoder(**{**SMALL, "epochs": 0}).fit(X, y)
    before, after = (recall_at_k(model.transform(X), y, ks=(1,))[1] for model in (untrained, looking))
    assert after > before + 0.1


def test_a_grown_encoder_is_saved_and_found_again(striped, tmp_path):
    X, y = striped
    grown = DynamicSubspaceEncoder(**{**SMALL, "epochs": 8, "n_learners": 2, "dynamic": False}).fit(X, y)
    grown.net_.embedding.split_last(torch.tensor([7, 9]), torch.Generator().manual_seed(0))
    grown.save(tmp_path)
    again = DynamicSubspaceEncoder.load(tmp_path)
    assert again.slices_ == [range(6), range(6, 8), range(8, 12)]
    np.testing.assert_array_equal(again.encode(X), grown.encode(X))
    assert again.fingerprint == grown.fingerprint


def test_a_killed_fit_goes_on_and_ends_the_same(striped, tmp_path):
    whole = DynamicSubspaceEncoder(**SMALL).fit(*striped)

    def kill(task, done, total, figures=None):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DynamicSubspaceEncoder(**SMALL).fit(*striped, checkpoint=tmp_path / "c", progress=kill)
    resumed = DynamicSubspaceEncoder(**SMALL).fit(*striped, checkpoint=tmp_path / "c")
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.growth_ == whole.growth_


def test_vectors_go_through_a_perceptron_that_has_no_maps():
    X, y = looks(80)
    model = DynamicSubspaceEncoder(**{**SMALL, "epochs": 1}).fit(X, y)
    assert model.transform(X).shape == (80, 12)
    with pytest.raises(InputError, match="net"):
        model.attention(X)


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"n_learners": 13}, "n_learners"), ({"embedding_dim": 9}, "embedding"), ({"random_state": -1}, "random_state")],
)
def test_settings_of_the_encoder_are_checked(striped, settings, name):
    with pytest.raises(InputError, match=name):
        DynamicSubspaceEncoder(**{**SMALL, **settings}).fit(*striped)


def test_pictures_of_other_shapes_and_channels_are_refused(striped, looking):
    with pytest.raises(InputError, match="as in fit"):
        looking.encode(np.zeros((1, 16, 16, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="as in fit"):
        looking.attention(np.zeros((1, 20, 20), dtype=np.uint8))


def test_both_are_trained_on_a_users_space(striped, tmp_path):
    X, y = looks(80)
    names = [None if row % 9 == 0 else f"kind {code}" for row, code in enumerate(y)]
    space = Space.create(X, attributes={"name": names}, label="name")
    options = {"n_components": "12", "epochs": "2", "learning-rate": "0.01"}
    result = train("dynamic-subspaces", space, out=tmp_path / "v", options=options)
    made = Space.open(tmp_path / "v")
    assert (result.method, made.dim, len(made)) == ("dynamic-subspaces", 12, 80)
    pictures, kinds = striped
    drawn = Space.create(
        np.eye(72),
        attributes={"name": [f"kind {code}" for code in kinds]},
        label="name",
        pictures=encode_png(np.repeat(pictures[..., None], 3, 3)),
    )
    options = {"embedding-dim": "12", "epochs": "2"}
    train("dynamic-subspaces:DynamicSubspaceEncoder", drawn, out=tmp_path / "p", options=options, size=16)
    made = Space.open(tmp_path / "p")
    assert (made.dim, made.encoder["kind"]) == (12, "DynamicSubspaceEncoder")
    found = open_encoder(tmp_path / "p")
    np.testing.assert_allclose(found.encode(np.repeat(pictures[:4, ..., None], 3, 3)), made.vectors[:4], atol=1e-4)
