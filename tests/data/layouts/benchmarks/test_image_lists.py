"""Lists of pictures: ids from 1, a header, paths with blanks, and what is refused by line."""

import numpy as np
import pytest
from PIL import Image

from spaceform import data
from spaceform.errors import InputError


@pytest.fixture
def medical(tmp_path):
    (tmp_path / "ISIC data").mkdir()
    for number in range(3):
        Image.new("RGB", (12, 6), (80 * number, 0, 0)).save(tmp_path / "ISIC data" / f"ISIC_{number}.png")
    lines = ["image_id class_id path", "1 2 ISIC data/ISIC_0.png", "2 1 ISIC data/ISIC_2.png", ""]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    return tmp_path


def test_pictures_come_in_the_order_of_the_list(medical):
    found = data.load("image-list", root=medical, listing="train.txt", size=8)
    assert found.X.shape == (2, 8, 8, 3)
    assert found.y.tolist() == [1, 0]
    assert list(found.classes) == ["1", "2"]
    assert found.attributes["file"] == ["ISIC data/ISIC_0.png", "ISIC data/ISIC_2.png"]
    np.testing.assert_array_equal(found.X[:, 4, 4], [[0, 0, 0], [160, 0, 0]])
    assert (found.X[:, 0] == 255).all()  # proportions are kept, on white


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("header\n1 0 a.png", "line 2"),
        ("header\n1 x a.png", "line 2"),
        ("header\n\n1 2", "line 3"),
        ("header\n", "without pictures"),
        ("header\n1 1 gone.png", r"gone\.png"),
    ],
)
def test_lists_that_can_not_be_read_are_refused(medical, text, message):
    (medical / "bad.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        data.load("image-list", root=medical, listing="bad.txt", size=8)
    with pytest.raises(InputError, match="listing"):
        data.load("image-list", root=medical, listing="none.txt")
