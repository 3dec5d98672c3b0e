"""Birds, cars and aircraft in their original layouts, on made-up trees."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from spaceform.data import load
from spaceform.data.protocols import draw_category_discovery
from spaceform.errors import InputError


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (shade, shade, shade)).save(path)


def birds(root):
    base = root / "CUB_200_2011"
    names = [f"00{c}.Bird_{c}/a_{i}.jpg" for c in (1, 2, 3, 4) for i in range(2)]
    for shade, name in enumerate(names):
        picture(base / "images" / name, 20 * shade)
    lines = {
        "images.txt": [f"{i} {name}" for i, name in enumerate(names, 1)],
        "image_class_labels.txt": [f"{i} {(i + 1) // 2}" for i in range(1, 9)],
        "train_test_split.txt": [f"{i} {i % 2}" for i in range(1, 9)],
    }
    for name, rows in lines.items():
        (base / name).write_text("\n".join(rows) + "\n")


def cars(root):
    kind = [("class", "<i4"), ("fname", "O")]
    (root / "devkit").mkdir(parents=True)
    for split, listing in (("train", "cars_train_annos"), ("test", "cars_test_annos_withlabels")):
        rows = np.array([(1 + i % 4, f"0{i}.jpg") for i in range(4)], dtype=kind)
        savemat(root / "devkit" / f"{listing}.mat", {"annotations": rows})
        for i in range(4):
            picture(root / f"cars_{split}" / f"0{i}.jpg", 40)


def aircraft(root):
    base = root / "fgvc-aircraft-2013b" / "data"
    for split, first in (("trainval", 0), ("test", 4)):
        for i in range(4):
            picture(base / "images" / f"100{first + i}.jpg", 90)
        lines = [f"100{first + i} {variant}" for i, variant in enumerate(("707-320", "A310", "BAE 146-200", "Yak-42"))]
        (base / f"images_variant_{split}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("write", [birds, cars, aircraft])
def test_layouts(tmp_path, write):
    write(tmp_path)
    found = load("fine-grained", root=tmp_path, size=8)
    assert found.X.shape == (8, 8, 8, 3)
    assert len(found.classes) == 4
    assert sorted(found.attributes["split"]) == ["test"] * 4 + ["train"] * 4
    np.testing.assert_array_equal(found.attributes["known"], found.y < 2)
    (tmp_path / "ssb_splits.json").write_text(
        json.dumps({"known_classes": [3, 1], "unknown_classes": {"Easy": [0], "Hard": [2]}})
    )
    again = load("fine-grained", root=tmp_path, size=8)
    np.testing.assert_array_equal(again.attributes["known"], np.isin(again.y, [1, 3]))
    assert again.attributes["part"] == [["Easy", "known", "Hard", "known"][code] for code in again.y]


def test_splits_as_they_are_published_and_the_protocol_of_them(tmp_path):
    birds(tmp_path)
    # {"known_classes": [3, 1], "unknown_classes": {"Easy": [0], "Hard": [2]}} as a pickle of protocol 0
    text = b"(Vknown_classes\n(I3\nI1\nlVunknown_classes\n(VEasy\n(I0\nlVHard\n(I2\nldd."
    (tmp_path / "CUB_200_2011" / "cub_osr_splits.pkl").write_bytes(text)
    found = load("fine-grained", root=tmp_path, size=8)
    assert found.attributes["part"] == [["Easy", "known", "Hard", "known"][code] for code in found.y]
    old = np.unique(found.y[np.asarray(found.attributes["known"])])
    assert draw_category_discovery(found.y, n_known=2, known=old, labelled=0.5).novel.tolist() == [0, 2]
    (tmp_path / "CUB_200_2011" / "cub_osr_splits.pkl").write_bytes(b"cos\nsystem\n(S'echo hostile'\ntR.")
    with pytest.raises(InputError, match="plain values"):
        load("fine-grained", root=tmp_path, size=8)


def test_names_with_blanks_are_whole(tmp_path):
    aircraft(tmp_path)
    assert "BAE 146-200" in load("fine-grained", root=tmp_path, size=8).classes


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"known_classes": [0], "unknown_classes": {"Easy": [1]}}',
        '{"known_classes": [0, 1], "unknown_classes": {"Easy": [1, 2, 3]}}',
    ],
)
def test_splits_of_other_classes_are_refused(tmp_path, text):
    birds(tmp_path)
    (tmp_path / "CUB_200_2011" / "ssb_splits.json").write_text(text)
    with pytest.raises(InputError, match="ssb_splits"):
        load("fine-grained", root=tmp_path, size=8)


def test_other_folders_and_broken_lists_are_refused(tmp_path):
    with pytest.raises(InputError, match="root"):
        load("fine-grained", root=tmp_path)
    birds(tmp_path)
    (tmp_path / "CUB_200_2011" / "image_class_labels.txt").write_text("1 1\n2\n")
    with pytest.raises(InputError, match="line 2"):
        load("fine-grained", root=tmp_path)
    (tmp_path / "CUB_200_2011" / "image_class_labels.txt").write_text("1 1\n")
    with pytest.raises(InputError, match="other images"):
        load("fine-grained", root=tmp_path)
