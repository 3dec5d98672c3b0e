"""The estimator around learners: tasks by partial_fit, labels of any kind, files, refusals."""

import numpy as np
import pytest

from spaceform.claims.continual.streams import blobs
from spaceform.errors import InputError, SpaceFormatError
from spaceform.methods.continual.napa_vq import NAPAVQClassifier
from spaceform.methods.continual.prd import PRDClassifier

X, Y = blobs(0, classes=6, rows=16)
NAMES = np.array([f"class {c}" for c in "fedcba"])[Y]
SMALL = {"embedding_dim": 16, "epochs": (8, 8), "random_state": 0}
MODELS = [NAPAVQClassifier(**SMALL, learning_rates=(1e-2, 1.0)), PRDClassifier(**SMALL, batch_size=16)]


def fresh(model):
    return type(model)(**model.get_params())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND)
def test_saved_between_tasks_it_goes_on_as_if_it_had_not_been(model, tmp_path):
    ours = fresh(model).partial_fit(X[Y < 3], NAMES[Y < 3])
    ours.save(tmp_path)
    theirs = type(model).load(tmp_path)
    later = (Y >= 3) & (Y < 5)
    for one in (ours, theirs):
        one.partial_fit(X[later], NAMES[later], classes=["class b", "class c"])
        one.partial_fit(X[Y == 5], NAMES[Y == 5])
    assert ours.classes_.tolist() == [f"class {c}" for c in "defbca"], "in their order of arrival"
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.fingerprint == theirs.fingerprint
    assert ours.predict(X[later], task=1).tolist() != NAMES[Y < 3].tolist()
    assert set(ours.predict(X, task=1)) <= {"class b", "class c"}
    chance = (ours.predict(X[later], task=1) == NAMES[later]).mean()
    assert chance > 0.6, "a task just learned is known above chance"
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(SpaceFormatError):
        type(model).load(tmp_path)


def test_pictures_pass_a_network_of_pictures():
    pictures = np.random.default_rng(0).integers(0, 255, (12, 16, 16), dtype=np.uint8)
    pictures[6:, :8] //= 4
    labels = np.repeat([0, 1], 6)
    model = NAPAVQClassifier(embedding_dim=8, net="conv:0.25", epochs=(2, 1), random_state=0).fit(pictures, labels)
    assert len(model.net_.vectors) == 8, "four turns of each class"
    assert model.predict_proba(pictures).shape == (12, 2)
    assert model.transform(pictures).shape == (12, 8)
    model.partial_fit(255 - pictures[:6], [2] * 6)
    assert model.predict_proba(pictures).shape == (12, 3)
    plain = NAPAVQClassifier(embedding_dim=8, net="conv:0.25", rotations=False, epochs=(1, 1)).fit(pictures, labels)
    assert len(plain.net_.vectors) == 2


def test_what_is_refused():
    model = fresh(MODELS[0]).fit(X[Y < 2], Y[Y < 2])
    before = model.fingerprint
    bad = [
        (X[Y < 3], Y[Y < 3], None, "earlier task"),
        (X[Y == 3], Y[Y == 3], [2], "one of classes"),
        (X[Y == 3], Y[Y == 3], [3, 4], "no row"),
        (X[Y == 3], Y[Y == 3], [3, 3], "distinct"),
        (X[Y == 3][:, :4], Y[Y == 3], None, "features"),
        (np.full_like(X[Y == 3], np.nan), Y[Y == 3], None, "NaN"),
        (X[Y == 3][:0], Y[:0], None, "row"),
    ]
    for rows, labels, classes, match in bad:
        with pytest.raises(ValueError, match=match):
            model.partial_fit(rows, labels, classes)
    assert model.fingerprint == before
    assert model.classes_.tolist() == [0, 1]
    with pytest.raises(InputError, match="task"):
        model.predict(X, task=1)
    with pytest.raises(InputError, match="labelled"):
        fresh(model).fit(X, np.full(len(X), -1))
