"""Each way of training, with small classes in the place of a paper's: what it writes, what it measures."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression

from spaceform.data.pictures import encode_png
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.learning import choice
from spaceform.workflows.train import train

KINDS = {"cat": "animal", "dog": "animal", "owl": "animal", "fig": "food", "rye": "food", "oat": "food"}


@pytest.fixture
def space():
    """Six classes in two kinds, near each other in space as in the tree; every tenth row is unlabelled."""
    rng = np.random.default_rng(0)
    names = np.repeat(list(KINDS), 20)
    kinds = [KINDS[name] for name in names]
    places = {name: rng.normal(size=4) * 0.6 + (3 if kind == "food" else -3) for name, kind in KINDS.items()}
    X = np.array([places[name] for name in names]) + 0.4 * rng.normal(size=(len(names), 4))
    labels = [None if i % 10 == 0 else str(name) for i, name in enumerate(names)]
    return Space.create(X, attributes={"name": labels, "truth": names.tolist(), "kind": kinds}, label="name")


class Classifier(ClassifierMixin, BaseEstimator):
    def __init__(self, *, C: float = 1.0, random_state: int | None = None) -> None:
        self.C = C
        self.random_state = random_state

    def fit(self, X, y):
        self.model_ = LogisticRegression(C=self.C, max_iter=1000).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class Halver(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.seen_ = y
        return self

    def transform(self, X):
        return X[:, :2]


class Clusterer(Halver):
    def fit(self, X, y=None):
        self.labels_ = np.where(y >= 0, -1, (X[:, 0] > 0).astype(int))
        return self


class Encoder:
    dim, fingerprint = 2, "f"

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, images, y, *, checkpoint, progress):
        assert checkpoint.name == "checkpoint"
        progress("fit", 1, 1)
        assert images.dtype == np.uint8
        assert images.shape[1:] == (16, 16, 3)
        assert (y >= 0).all()
        return self

    def encode(self, images):
        means = images.reshape(len(images), -1).mean(1) * self.scale / 255
        return np.stack([np.cos(means), np.sin(means)], axis=1)

    def save(self, folder):
        folder.mkdir(parents=True)
        (folder / "encoder.json").write_text(json.dumps({"kind": "mine"}))


@pytest.fixture
def use(monkeypatch):
    """Return a function that puts a class in the place of a paper's."""
    return lambda cls: monkeypatch.setattr(choice, "find_trainable", lambda method: (method, cls))


def test_a_classifier_is_measured_against_neighbours(space, use):
    use(Classifier)
    result = train("some-method", space, options={"C": "10"})
    assert set(result.figures) == {"some-method", "5 nearest neighbours"}
    assert result.figures["some-method"]["accuracy"] > 0.6
    assert result.columns == ("some_method_class", "some_method_confidence")
    assert (result.space.column("some_method_class") == result.space.column("truth")).mean() > 0.6


def test_a_transformer_makes_a_new_space(space, use, tmp_path):
    use(Halver)
    folder = space.save(tmp_path / "s")
    with pytest.raises(InputError, match="out: got None"):
        train("halver", folder)
    result = train("halver", folder, out=tmp_path / "t")
    assert (result.dim, result.columns) == (2, ())
    np.testing.assert_allclose(Space.open(tmp_path / "t").vectors, space.vectors[:, :2])
    assert Space.open(folder).dim == 4


def test_a_clusterer_names_clusters_and_keeps_known_classes(space, use, tmp_path):
    use(Clusterer)
    result = train("clusterer", space)
    found, labels = result.space.column("clusterer_class"), space.column("name")
    known = np.array([name is not None for name in labels])
    assert (found[known] == labels[known]).all()
    assert set(found[~known]) == {"cluster 0", "cluster 1"}
    assert "name a folder" in result.notes[0]
    assert train("clusterer", space, out=tmp_path / "t").dim == 2


def pictures(n=8):
    return np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


def test_an_encoder_learns_from_the_pictures_of_a_space(use, tmp_path):
    use(Encoder)
    labels = ["a", "b", "a", "b", None, None, "a", "b"]
    space = Space.create(np.eye(8), attributes={"name": labels}, label="name", pictures=encode_png(pictures()))
    result = train("encoder", space, out=tmp_path / "t", options={"scale": "2"}, size=16)
    made = Space.open(tmp_path / "t")
    assert (made.dim, made.geometry, made.encoder["fingerprint"]) == (2, "sphere", "f")
    assert made.column("seen").tolist() == [name is not None for name in labels]
    assert (tmp_path / "t" / "encoder" / "encoder.json").is_file()
    assert result.labelled == 6
    with pytest.raises(InputError, match="out"):
        train("encoder", space, size=16)
    some = [encode_png(pictures(1))[0], *[None] * 7]
    with pytest.raises(InputError, match="no picture in row 1"):
        train("encoder", Space.create(np.eye(8), pictures=some), out=tmp_path / "u")
    one = Space.create(np.eye(8), attributes={"n": ["a"] * 8}, label="n", pictures=encode_png(pictures()))
    with pytest.raises(InputError, match="1 class"):
        train("encoder", one, out=tmp_path / "u", size=16)


def test_an_encoder_learns_from_the_vectors_of_a_space_without_pictures(tmp_path):
    rng = np.random.default_rng(0)
    labels = ["a", "b", "c", None] * 10
    space = Space.create(rng.normal(size=(40, 6)), attributes={"name": labels}, label="name")
    options = {"embedding_dim": "5", "hidden": "8", "gate": "sigmoid:8", "epochs": "2"}
    result = train("hydra", space, out=tmp_path / "t", options=options)
    made = Space.open(tmp_path / "t")
    assert (result.labelled, made.dim, made.geometry, made.encoder["kind"]) == (
        30,
        5,
        "sphere",
        "ArbitraryPairProjector",
    )
    again = open_encoder(tmp_path / "t")
    np.testing.assert_allclose(again.encode(space.vectors), made.vectors, atol=1e-6)


def test_an_encoder_learns_from_a_folder_of_pictures(use, tmp_path):
    use(Encoder)
    for i, picture in enumerate(pictures()):
        (tmp_path / "p" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "p" / "ab"[i % 2] / f"{i}.png")
    result = train("encoder", tmp_path / "p", out=tmp_path / "t", size=16)
    made = Space.open(tmp_path / "t")
    assert (result.rows, made.label, made.dim, made.has_pictures) == (8, "class", 2, True)
