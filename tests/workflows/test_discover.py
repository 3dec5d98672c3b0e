"""Discover: novel classes in blobs, names from their words, truth never leaked, refusals."""

import json

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.discover import COLUMNS, discover

WORDS = ["cat", "dog", "sun", "rain", "ship", "tree", "coin", "bell"]


@pytest.fixture(scope="module")
def space():
    """Eight blobs of thirty rows; a description of each row, a source that means nothing."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(8, 24))
    codes = np.repeat(np.arange(8), 30)
    return Space.create(
        centres[codes] + rng.normal(size=(240, 24)),
        attributes={
            "kind": [f"kind {code}" for code in codes],
            "family": ["low" if code < 4 else "high" for code in codes],
            "text": [f"a picture of one {WORDS[code]} number {i}" for i, code in enumerate(codes)],
            "source": [["north", "south"][i % 2] for i in range(240)],
        },
        label="kind",
    )


SETTINGS = {"hide": 0.4, "k_max": 8, "epochs": 15, "tune": False, "repeats": 0}


@pytest.mark.parametrize("method", ["tabular-ncd", "ncd-kmeans", "ncd-spectral"])
def test_hidden_blobs_come_back(space, method):
    found = discover(space, method=method, n_novel=3, **{**SETTINGS, "epochs": 150})
    assert len(found.hidden) == 3
    assert found.method == method
    assert found.scores["found"]["accuracy"] > 0.9
    assert sum(one.size for one in found.classes) == found.unlabelled == 90


def test_number_and_names_are_found(space):
    found = discover(space, method="ncd-kmeans", **SETTINGS)
    assert found.n_novel == 3
    truth = {WORDS[int(kind.split()[1])] for kind in found.hidden}
    assert {one.words[0] for one in found.classes} == truth
    assert all(one.stability > 0.75 for one in found.classes)
    assert found.sweep["best"] == 3
    json.dumps(found.to_dict())


def test_what_is_written(space):
    found = discover(space, method="ncd-kmeans", **SETTINGS)
    hidden = np.isin(space.column("kind"), found.hidden)
    names, sure = found.space.column(COLUMNS[1]), found.space.column(COLUMNS[2])
    assert [name is not None for name in names] == hidden.tolist()
    assert np.isnan(sure[~hidden]).all()
    assert ((sure[hidden] >= 0) & (sure[hidden] <= 1)).all()
    for one in found.classes:
        assert set(names[list(one.exemplars)]) == {one.name}
    assert found.space.info["discover"]["n_novel"] == 3
    assert found.space.info["derived"] == list(COLUMNS)
    assert found.space.columns == [*space.columns, *COLUMNS]
    assert "discovered" not in space.columns, "the Space given is left as it was"


def test_hidden_labels_leak_nowhere(space):
    """Whatever the hidden rows' labels are, as long as the same rows are hidden, the result is the same."""
    found = discover(space, method="pbn", n_novel=3, **SETTINGS)
    kinds = space.column("kind").copy()
    hidden = np.isin(kinds, found.hidden)
    kinds[hidden] = None
    blind = Space.create(
        space.vectors, attributes={"kind": list(kinds), "text": list(space.column("text"))}, label="kind"
    )
    again = discover(blind, method="pbn", n_novel=3, epochs=15, k_max=8, tune=False, repeats=0)
    assert again.scores == {}
    np.testing.assert_array_equal(
        again.space.column("discovered"), found.space.column("discovered"), err_msg="labels leaked"
    )


def test_classes_can_be_hidden_by_name(space):
    found = discover(space, method="ncd-kmeans", **{**SETTINGS, "hide": ["kind 2", "kind 5", "kind 7"]})
    assert found.hidden == ("kind 2", "kind 5", "kind 7")
    assert found.scores["found"]["accuracy"] > 0.9


def test_labels_of_rows_outside_a_filter_only_score(space):
    seen = np.arange(240) % 240 < 150  # kinds 0 to 4, of which the first rows of kind 4 are not seen
    seen[120:125] = False
    opened = space.with_columns({"seen": seen})
    found = discover(opened, method="ncd-kmeans", known="seen = true", n_novel=3, k_max=8)
    assert (found.labelled, found.unlabelled) == (145, 95)
    assert found.hidden == ("kind 4", "kind 5", "kind 6", "kind 7")
    assert found.scores["found"]["true_classes"] == 4
    assert "1 of 4 classes" in found.notes[0]
    kinds = opened.column("kind").copy()
    kinds[~seen] = None
    blind = discover(opened.with_columns({"kind": list(kinds)}), method="ncd-kmeans", n_novel=3, k_max=8)
    assert blind.scores == {}
    np.testing.assert_array_equal(blind.space.column("discovered"), found.space.column("discovered"))


def test_a_number_at_the_end_of_the_range_is_not_settled(space):
    short = discover(space, method="ncd-kmeans", **{**SETTINGS, "k_max": 3})
    assert short.n_novel == 3
    assert "not settled" in short.notes[0]
    assert discover(space, method="ncd-kmeans", **SETTINGS).notes == ()


def test_tuning_chooses_settings_and_is_told(space):
    seen = []
    found = discover(
        space, method="pbn", n_novel=3, hide=0.4, epochs=6, repeats=0, progress=lambda task, *_: seen.append(task)
    )
    assert set(found.tuned) == {"loss_weight", "learning_rate", "latent_dim"}
    assert "hidden classes" in seen


def test_how_sure_it_is_is_measured_and_said(space):
    found = discover(space, method="ncd-kmeans", **{**SETTINGS, "repeats": 1})
    assert found.agreement > 0.95
    assert (found.rehearsal.hidden, found.rehearsal.rows) == (2, 60)
    assert found.rehearsal.accuracy > 0.9
    assert all(one.repeated > 0.9 for one in found.classes)
    assert found.criteria["silhouette"]["best"] == found.n_novel
    assert len(found.criteria["agreement"]["curve"]) == len(found.criteria["agreement"]["ks"])
    assert len(found.conclusions) == 4
    for one in found.classes:
        assert len(one.unsure) == 4
        assert not set(one.unsure) - set(np.flatnonzero(found.space.column("discovered") == one.number))
    json.dumps(found.to_dict())


def test_classes_from_domains():
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 0, 1], [90, 10, 10, 90])
    X = 8 * kind[:, None] + rng.normal(size=(200, 2))
    space = Space.create(X, attributes={"city": ["Lima"] * 100 + ["Oslo"] * 100})
    found = discover(space, method="latent-label-shift", label="city", k_max=4, repeats=0)
    assert (found.n_novel, found.unlabelled) == (2, 200)
    assert "as many classes as domains" in found.notes[0]
    assert set(found.space.column("discovered")) == {0, 1}
    with pytest.raises(InputError, match="domain"):
        discover(space, method="latent-label-shift", label="city", hide=0.5)


def test_without_labels_it_is_plain_clustering(space):
    found = discover(Space.create(space.vectors), k_max=12)
    assert found.method == "ncd-kmeans"
    assert found.n_novel == 8
    assert "k-means" in found.notes[0]
    assert found.classes[0].name.startswith("like ")


def test_the_same_seed_gives_the_same_classes(space):
    one, other = (discover(space, method="pbn", n_novel=3, seed=5, **SETTINGS) for _ in range(2))
    assert one.classes == other.classes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "hide"),
        ({"hide": 1.5}, "hide"),
        ({"hide": ["kind 99"]}, "kind 99"),
        ({"hide": "kind 1"}, "hide"),
        ({"known": "absent = 1"}, "absent"),
        ({"hide": 0.4, "method": "magic"}, "method"),
        ({"hide": 0.4, "label": "gone"}, "gone"),
        ({"hide": 0.4, "n_novel": 0}, "n_novel"),
        ({"hide": 0.4, "n_novel": 10_000}, "n_novel"),
        ({"hide": 0.4, "k_max": 1}, "k_max"),
    ],
)
def test_refusals(space, settings, words):
    with pytest.raises(InputError, match=words):
        discover(space, **settings)
