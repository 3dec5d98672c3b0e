"""Lists of files and classes beside one folder of pictures."""

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    for part in ("images", "split"):
        (tmp_path / part).mkdir()
    for split, labels in (("train", ["cat", "dog"]), ("test", ["emu"])):
        lines = ["filename,label"]
        for label in labels:
            for number in range(2):
                name = f"{label}{number}.png"
                image.fromarray(np.full((10, 10, 3), 40 * number, np.uint8)).save(tmp_path / "images" / name)
                lines.append(f"{name},{label}")
        (tmp_path / "split" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_pictures_classes_and_splits(folder):
    found = data.load("image-splits", root=folder, size=8)
    assert found.X.shape == (6, 8, 8, 3)
    assert found.classes == ["cat", "dog", "emu"]
    assert found.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert list(found.attributes["split"]) == ["train"] * 4 + ["test"] * 2
    assert found.attributes["file"][5] == "emu1.png"
    assert found.X[1].max() == 40


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("test", "filename,label\ncat0.png,cat\n", "class cat"),
        ("test", "filename,label\nemu0.png\n", "line 2"),
        ("test", "filename,label\n../secret.png,emu\n", "line 2"),
        ("test", "filename,label\n", "without pictures"),
        ("train", None, "no file"),
        ("val", "filename,label\nlost.png,fox\n", "lost.png"),
    ],
)
def test_refusals(folder, part, text, told):
    path = folder / "split" / f"{part}.csv"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(InputError, match=told):
        data.load("image-splits", root=folder, size=8)
