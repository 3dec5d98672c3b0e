"""Training on a Space: what Loki and FaceNet leave, and what is refused."""

import json

import numpy as np
import pytest

from spaceform.data.pictures import encode_png
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.encoders import open_encoder
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


def test_loki_writes_classes_that_were_never_trained(space, tmp_path):
    folder = space.save(tmp_path / "s")
    result = train("loki", folder, hierarchy=["kind"], next_classes=2, held_out=0.3)
    assert result.columns == ("loki_class", "loki_observed", "loki_confidence")
    assert result.path == str(folder)
    assert (result.rows, result.labelled) == (120, 108)
    again = Space.open(folder)
    assert again.columns[-3:] == list(result.columns)
    predicted, observed = again.column("loki_class"), again.column("loki_observed")
    assert set(predicted[observed]) <= set(KINDS)
    assert set(predicted[~observed]) <= {"kind: animal", "kind: food", "everything"}
    assert (~observed).any()
    confidence = again.column("loki_confidence")
    assert confidence.max() == 1
    assert confidence.min() > 0
    assert again.info["trained"]["loki"]["figures"] == result.figures
    assert result.next_classes == ()  # all leaves are observed, so everything is reachable
    assert json.loads(json.dumps(result.to_dict()))["method"] == "loki"
    assert "9 labels trained" in result.notes[0]


def test_loki_is_measured_against_argmax_on_trained_and_hidden_classes(space):
    rng = np.random.default_rng(0)
    names = np.repeat([f"c{i}" for i in range(24)], 15)
    kinds = [f"k{int(name[1:]) % 4}" for name in names]
    groups, places = 3 * rng.normal(size=(4, 5)), 0.8 * rng.normal(size=(24, 5))
    X = np.array([groups[int(n[1:]) % 4] + places[int(n[1:])] for n in names]) + rng.normal(size=(360, 5))
    many = Space.create(X, attributes={"name": names.tolist(), "kind": kinds}, label="name")
    figures = train("loki", many, hierarchy=["kind"], held_out=0.4).figures
    assert set(figures) == {"argmax", "loki"}
    hidden = "squared label distance, hidden classes"
    assert figures["loki"][hidden] < figures["argmax"][hidden]
    assert "squared label distance, trained classes" in figures["loki"]
    assert train("loki", space, hierarchy=["kind"], held_out=0.0).figures == {}


def test_loki_takes_a_file_of_distances_and_suggests_classes(space, tmp_path):
    edges = [*KINDS.items(), ("animal", "thing"), ("food", "thing")]
    edges += [("gem", "stone"), ("stone", "mineral"), ("mineral", "thing"), ("ore", "mineral")]
    (tmp_path / "edges.csv").write_text("\n".join(f"{a},{b}" for a, b in edges))
    result = train("loki", space, label_metric=tmp_path / "edges.csv", next_classes=9, options={"temperature": "fit"})
    assert result.path is None
    assert result.next_classes == (("gem", 12), ("ore", 13))
    assert "loki_class" in result.space.columns
    assert "loki_class" not in space.columns


def test_seeds_make_runs_repeatable(space):
    first, second = (train("loki", space, hierarchy=["kind"], seed=3) for _ in range(2))
    assert first.figures == second.figures


def pictures(n=8):
    return np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


def test_facenet_learns_on_pictures(tmp_path):
    labels = ["a", "b", "a", "b", "a", "b", "c", "c"]
    space = Space.create(np.eye(8), attributes={"name": labels}, label="name", pictures=encode_png(pictures()))
    options = {"embedding-dim": "4", "steps": "2", "classes_per_batch": "2", "samples_per_class": "2"}
    result = train("facenet", space, out=tmp_path / "t", options=options, size=16)
    made = Space.open(tmp_path / "t")
    assert (made.dim, made.geometry, made.encoder["kind"]) == (4, "sphere", "FaceNet")
    assert (result.labelled, made.info["trained"]["facenet"]["options"]["steps"]) == (8, "2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither a file nor hierarchy.*--hierarchy with some of name, truth, kind"),
        ({"hierarchy": ["kind"], "label_metric": "x.csv"}, "a file and hierarchy"),
        ({"hierarchy": ["kind"], "options": {"temprature": "1"}}, "did you mean temperature"),
        ({"hierarchy": ["kind"], "held_out": 2.0}, "held_out"),
        ({"hierarchy": ["kind"], "next_classes": -1}, "next_classes"),
        ({"hierarchy": ["kind"], "label": "colour"}, "colour"),
    ],
)
def test_bad_wishes_are_refused(space, options, message):
    with pytest.raises(InputError, match=message):
        train("loki", space, **options)


def test_classes_outside_the_metric_are_named(space, tmp_path):
    (tmp_path / "edges.csv").write_text("cat,animal\ndog,animal\n")
    with pytest.raises(InputError, match=r"label: got 'fig', 'oat', 'owl', 'rye', unknown"):
        train("loki", space, label_metric=tmp_path / "edges.csv")


def test_places_that_hold_no_space_are_refused(space, tmp_path):
    with pytest.raises(InputError, match="a Space, or a folder of pictures"):
        train("loki", tmp_path / "none", hierarchy=["kind"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="spaceform build"):
        train("loki", tmp_path / "empty", hierarchy=["kind"])
    unlabelled = Space.create(np.eye(3), attributes={"name": [None, None, None], "kind": ["a", "b", "c"]}, label="name")
    with pytest.raises(InputError, match="label"):
        train("loki", unlabelled, hierarchy=["kind"])
    with pytest.raises(InputError, match="a method over a label metric"):
        train("facenet", space, hierarchy=["kind"])


@pytest.mark.parametrize(("method", "own"), [("crkd-ncd", {"n_heads": "1"}), ("hypcd", {"head": "[8, 4]"})])
def test_an_encoder_that_clusters_sees_the_rows_without_labels(tmp_path, method, own):
    rng = np.random.default_rng(0)
    names = np.repeat(["cat", "dog", "owl", "fig"], 12)
    X = 6 * np.eye(4)[np.unique(names, return_inverse=True)[1]] + rng.normal(size=(48, 4))
    labels = [None if name in {"owl", "fig"} else str(name) for name in names]
    space = Space.create(X, attributes={"name": labels}, label="name")
    options = {"n_novel": "2", "epochs": "2", "embedding_dim": "8", **own}
    result = train(method, space, options=options, out=tmp_path / "o")
    assert result.columns == (f"{method.replace('-', '_')}_class",)
    assert (result.labelled, result.dim) == (24, 8)
    found = Space.open(tmp_path / "o").column(result.columns[0])
    np.testing.assert_array_equal(found[:24], names[:24])
    assert set(found[24:]) <= set(names[:24]) | {f"cluster {number}" for number in range(4)}
    assert np.allclose(
        open_encoder(tmp_path / "o").encode(space.vectors), Space.open(tmp_path / "o").vectors, atol=1e-6
    )
    assert not (tmp_path / "o" / "checkpoint").exists()
