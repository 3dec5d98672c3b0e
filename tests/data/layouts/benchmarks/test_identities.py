"""Any folder of identities as a data set."""

import pytest
from PIL import Image

from spaceform import data
from spaceform.errors import InputError


@pytest.fixture
def people(tmp_path):
    for name in ("Ann", "Bo"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (10, 10), number).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_folders_are_classes_and_stray_pictures_unlabelled(people):
    Image.new("L", (10, 10)).save(people / "stray.png")
    found = data.load("image-folder", root=people, size=5, alpha=True)
    assert found.X.shape == (5, 5, 5, 4)
    assert found.summary()["unlabelled"] == 1
    assert [found.classes[label] for label in found.y if label >= 0] == ["Ann", "Ann", "Bo", "Bo"]
    assert len(found.attributes["file"]) == 5


def test_a_flat_folder_is_unlabelled(people):
    found = data.load("image-folder", root=people / "Ann")
    assert found.y.tolist() == [-1, -1]
    assert found.classes == []


def test_unreadable_pictures_follow_on_error(people):
    (people / "Ann" / "bad.png").write_text("x")
    with pytest.raises(InputError, match=r"Ann/bad\.png"):
        data.load("image-folder", root=people)
    assert len(data.load("image-folder", root=people, on_error="skip")) == 4
