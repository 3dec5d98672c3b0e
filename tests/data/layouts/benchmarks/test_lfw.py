"""Labeled Faces in the Wild: pictures, persons and pairs."""

import numpy as np
import pytest
from PIL import Image

from spaceform import data
from spaceform.data.layouts.benchmarks.lfw import read_pairs
from spaceform.errors import InputError


@pytest.fixture
def lfw(tmp_path):
    for shade, name in enumerate(["Ann_Lee", "Bo", "Cy"]):
        (tmp_path / name).mkdir()
        for number in range(1, 4):
            Image.new("L", (10, 10), 40 * shade + number).save(tmp_path / name / f"{name}_{number:04}.jpg")
    return tmp_path


PAIRS = "2\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo\t3\nCy 2 3\nBo 1 Cy 1\n"


def test_faces_have_their_person_and_number(lfw):
    faces = data.load("lfw", root=lfw, size=10)
    assert faces.X.shape == (9, 10, 10, 3)
    assert list(faces.classes) == ["Ann_Lee", "Bo", "Cy"]
    assert faces.attributes["number"].tolist() == [1, 2, 3] * 3
    assert faces.y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_pairs_point_at_rows_and_folds(lfw):
    (lfw / "pairs.txt").write_text(PAIRS)
    faces = data.load("lfw", root=lfw, size=4)
    for path in (lfw, lfw / "pairs.txt"):
        pairs = read_pairs(path, faces)
        assert len(pairs) == 4
        assert pairs.first.tolist() == [0, 0, 7, 3]
        assert pairs.second.tolist() == [1, 5, 8, 6]
        assert pairs.same.tolist() == [True, False, True, False]
        assert pairs.fold.tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(faces.y[pairs.first] == faces.y[pairs.second], pairs.same)


def test_a_header_of_one_number_is_one_fold(lfw):
    (lfw / "dev.txt").write_text("1\nBo 1 2\nBo 1 Cy 1\n")
    assert read_pairs(lfw / "dev.txt", data.load("lfw", root=lfw, size=4)).fold.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a header"),
        ("Bo 1 2\n", "a header"),
        ("1\t1\nBo 1 2\n", "1 pairs, expected 2"),
        ("1\nBo 1 9\nBo 1 Cy 1\n", "line 2: got 'Bo 1 9'"),
        ("1\nBo 1 2\nBo one Cy 1\n", "line 3"),
        ("1\nBo 1 2\nBo 1 Cy\n1", "4 pairs|3 pairs|line 3"),
    ],
)
def test_wrong_pairs_are_refused_by_line(lfw, content, message):
    (lfw / "pairs.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        read_pairs(lfw, data.load("lfw", root=lfw, size=4))


def test_a_file_named_otherwise_is_refused(lfw):
    (lfw / "Bo" / "Bo_0001.jpg").rename(lfw / "Bo" / "portrait.jpg")
    with pytest.raises(InputError, match=r"Bo/portrait\.jpg: got its name, expected Bo_0001"):
        data.load("lfw", root=lfw)


def test_pictures_without_folders_are_no_faces(lfw):
    with pytest.raises(InputError, match="a folder per person"):
        data.load("lfw", root=lfw / "Bo")
