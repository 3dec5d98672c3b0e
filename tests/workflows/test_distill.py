"""Distilling a Space into a small network: who is matched with whom, what is measured, and what is refused."""

import json

import numpy as np
import pytest

from spaceform.data.pictures import encode_png
from spaceform.encoders.student import StudentClassifier
from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.distill import distill
from spaceform.workflows.distilling.outcome import measured, paired_gain, sentence
from spaceform.workflows.distilling.recipes import RECIPES, plan
from spaceform.workflows.encoders import open_encoder

FAST = {"steps": 30, "embedding_dim": 8, "batch_size": 32, "looks": 3}


@pytest.fixture(scope="module")
def spaces():
    """A teacher's Space in which two classes hide six, and what the student sees of the same rows."""
    rng = np.random.default_rng(0)
    fine = np.arange(180) % 6
    X = 3 * rng.normal(size=(6, 6))[fine] + rng.normal(size=(180, 6))
    names = np.array(["even", "odd"])[fine % 2].tolist()
    ids = [f"row {i}" for i in range(180)]
    teacher = Space.create(X @ rng.normal(size=(6, 16)), attributes={"kind": names}, label="kind", ids=ids)
    return teacher, Space.create(X[:, :4], attributes={"kind": names}, label="kind", ids=ids)


@pytest.mark.parametrize("method", list(RECIPES))
def test_each_method_teaches_and_is_measured_beside_teacher_and_labels(spaces, tmp_path, method):
    teacher, inputs = spaces
    result = distill(teacher, tmp_path / "s", inputs=inputs, method=method, options=FAST)
    assert list(result.figures) == ["teacher", "labels alone", method]
    assert result.parts == {"train": 126, "validation": 18, "test": 36}
    for row in result.figures.values():
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
    for name, gain in result.gains.items():
        difference = result.figures[method]["accuracy"] - result.figures[name]["accuracy"]
        assert gain.mean == pytest.approx(difference)
        assert gain.low <= gain.mean <= gain.high
    assert result.figures[method]["accuracy"] > 0.6
    assert "labels alone" in result.sentence
    assert "teacher" in result.sentence
    assert json.loads(json.dumps(result.to_dict()))["method"] == method
    space = Space.open(tmp_path / "s")
    assert space.columns == ["kind", "student_class", "student_confidence", "teacher_class", "part"]
    assert (space.dim, len(space)) == (8, 180)
    student = open_encoder(tmp_path / "s")
    assert isinstance(student, StudentClassifier)
    np.testing.assert_allclose(student.encode(inputs.vectors), space.vectors, atol=1e-5)
    test = space.column("part") == "test"
    right = (space.column("student_class") == space.column("kind"))[test].mean()
    assert right == pytest.approx(result.figures[method]["accuracy"])
    assert not (tmp_path / "s" / "checkpoint").exists()


def test_a_killed_call_goes_on(spaces, tmp_path):
    teacher, inputs = spaces
    calls = []

    def breaks(task, done, total, figures=None):
        calls.append(task)
        if task.startswith("labels alone: "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(teacher, tmp_path / "s", inputs=inputs, options=FAST, progress=breaks)
    assert (tmp_path / "s" / "checkpoint" / "student").is_dir()
    resumed = distill(teacher, tmp_path / "s", inputs=inputs, options=FAST)
    whole = distill(teacher, inputs=inputs, options=FAST)
    np.testing.assert_array_equal(resumed.space.vectors, whole.space.vectors)
    assert resumed.figures == whole.figures
    assert whole.path is None


def test_rows_are_matched_by_id_and_unlabelled_ones_are_taught(spaces):
    teacher, inputs = spaces
    order = np.random.default_rng(1).permutation(180)[:150]
    names = np.array(inputs.column("kind"))[order]
    names[:20] = None
    blind = Space.create(teacher.vectors, ids=teacher.ids.tolist())
    some = Space.create(
        inputs.vectors[order], ids=inputs.ids[order].tolist(), attributes={"kind": names.tolist()}, label="kind"
    )
    more = Space.create(np.ones((3, 4)), ids=["x", "y", "z"], attributes={"kind": ["odd"] * 3}, label="kind")
    result = distill(blind, inputs=some, options=FAST)
    assert result.rows == 150
    assert "20 unlabelled rows were taught too" in result.notes
    assert (result.figures["teacher"]["accuracy"]) > 0.8
    assert (
        distill(teacher, inputs=Space.create(inputs.vectors, ids=inputs.ids.tolist()), options=FAST).space.label
        == "kind"
    )
    with pytest.raises(InputError, match="no encoder beside it"):
        distill(teacher, inputs=more, options=FAST)


def test_a_teacher_of_other_classes_is_refused(spaces, tmp_path):
    teacher, inputs = spaces
    names = ["prime" if i % 5 == 0 else name for i, name in enumerate(inputs.column("kind"))]
    other = inputs.with_columns({"kind": names})
    with pytest.raises(InputError, match=r"only the student has 'prime'.*the same classes in both"):
        distill(teacher, tmp_path / "s", inputs=other)
    swapped = inputs.with_columns({"kind": np.roll(inputs.column("kind"), 1).tolist()})
    with pytest.raises(InputError, match=r"row 'row 0' of class 'even' in the teacher and 'odd'"):
        distill(teacher, inputs=swapped)
    assert not (tmp_path / "s").exists()


def test_a_saved_encoder_teaches_rows_it_never_saw(spaces, tmp_path):
    teacher, inputs = spaces
    distill(teacher, tmp_path / "first", inputs=inputs, options=FAST)
    fresh = Space.create(
        inputs.vectors,
        attributes={"kind": inputs.column("kind").tolist()},
        label="kind",
        ids=[f"n{i}" for i in range(180)],
    )
    by_space = distill(tmp_path / "first", inputs=fresh, options=FAST)
    by_encoder = distill(tmp_path / "first" / "encoder", inputs=fresh, options=FAST)
    assert by_space.figures == by_encoder.figures
    assert by_space.teacher_dim == 8
    with pytest.raises(InputError, match="an encoder without rows"):
        distill(tmp_path / "first" / "encoder")


def test_the_parts_of_the_teachers_training_are_kept(spaces):
    teacher, inputs = spaces
    drawn = np.array(["train", "train", "train", "validation", "test"])[np.arange(180) % 5]
    result = distill(teacher.with_columns({"part": drawn.tolist()}), inputs=inputs, options=FAST)
    assert result.parts == {"train": 108, "validation": 36, "test": 36}
    assert (result.space.column("part") == drawn).all()
    by_class = np.where(np.array(teacher.column("kind")) == "odd", "test", "train")
    noted = distill(teacher.with_columns({"part": by_class.tolist()}), inputs=inputs, options=FAST)
    assert "its own figure is too good" in noted.notes[0]


def test_the_pictures_of_a_space_are_seen(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    drawn = np.clip(rng.integers(0, 60, (60, 16, 16, 3)) + 150 * y[:, None, None, None], 0, 255).astype(np.uint8)
    space = Space.create(
        rng.normal(size=(60, 6)) + 3 * y[:, None],
        attributes={"kind": np.array(["dark", "light"])[y].tolist()},
        label="kind",
        pictures=encode_png(drawn),
    )
    options = {"steps": 6, "embedding_dim": 4, "net": "conv:0.25", "batch_size": 16}
    result = distill(space.save(tmp_path / "t"), tmp_path / "s", size=16, options=options)
    assert Space.open(tmp_path / "s").has_pictures
    assert open_encoder(tmp_path / "s").input_shape_ == (16, 16, 3)
    assert result.dim == 4
    with pytest.raises(InputError, match="--inputs"):
        distill(space, options={"net": "mlp"})


def test_a_teacher_that_knows_no_more_than_the_student_is_named(spaces):
    teacher, inputs = spaces
    blind = teacher.with_vectors(np.random.default_rng(0).normal(size=(180, 16)))
    result = distill(blind, inputs=inputs, options=FAST)
    assert "there is little to teach" in result.notes[-1]
    assert result.figures["teacher"]["accuracy"] < result.figures["labels alone"]["accuracy"]


def test_nothing_held_back_measures_nothing(spaces):
    result = distill(spaces[0], inputs=spaces[1], options=FAST, held_out=0)
    assert (result.figures, result.gains, result.sentence) == ({}, {}, "")
    assert result.parts["train"] == 180


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"method": "lepl"}, "did you mean lelp"),
        ({"options": {"tempratur": 2}}, "did you mean temperature"),
        ({"options": {"n_subclasses": 40}}, "at most 15"),
        ({"options": {"beta": "soft"}}, "beta"),
        ({"held_out": 0.9}, "held_out"),
        ({"label": "colour"}, "label"),
    ],
)
def test_mistakes_are_refused(spaces, change, match):
    with pytest.raises(InputError, match=match):
        distill(spaces[0], **{"inputs": spaces[1], "options": FAST} | change)


def test_folders_that_cannot_be_are_refused(spaces, tmp_path):
    teacher = spaces[0].save(tmp_path / "t")
    with pytest.raises(InputError, match="teacher"):
        distill(tmp_path / "none", inputs=spaces[1])
    with pytest.raises(InputError, match="another folder"):
        distill(teacher, teacher, inputs=spaces[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="saved encoder"):
        distill(tmp_path / "empty", inputs=spaces[1])


def test_too_few_rows_of_a_class_are_named(spaces):
    names = ["odd", "odd", *["even"] * 178]
    few = spaces[0].with_columns({"kind": names})
    with pytest.raises(InputError, match=r"2 row.* of 'odd'"):
        distill(few, inputs=spaces[1].with_columns({"kind": names}), options=FAST)


def test_wilson_interval_and_paired_gain():
    found = measured(np.arange(100) < 90)
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.8256, 0.9448)  # Brown, Cai and DasGupta's formula
    assert measured(np.ones(10, dtype=bool))["high"] == pytest.approx(1)
    right, other = np.arange(200) < 180, np.arange(200) < 150
    gain = paired_gain(right, other, seed=0)
    assert gain.mean == pytest.approx(0.15)
    assert gain.sure
    assert not paired_gain(right, right, seed=0).sure
    told = sentence({"kd": measured(right), "teacher": measured(other)}, {"teacher": gain}, method="kd", rows=200)
    assert "15.0 points more than its teacher (75.0%" in told


def test_text_options_are_read():
    chosen = plan("lelp", {"n-subclasses": "4", "null_space": "none", "steps": "7", "labels_alone": "false"}, seed=3)
    assert chosen.recipe.n_subclasses == 4
    assert chosen.recipe.null_space is None
    assert chosen.student == {"random_state": 3, "steps": 7}
    assert chosen.looking["labels_alone"] is False
