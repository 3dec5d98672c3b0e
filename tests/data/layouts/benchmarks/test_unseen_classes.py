"""The four benchmarks as tiny folders: which classes are trained on, and what is refused."""

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError

image = pytest.importorskip("PIL.Image")


def picture(place, tint=0):
    place.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(np.full((6, 6, 3), tint, dtype=np.uint8)).save(place)


def cub(root):
    for number in range(4):
        for n in range(2):
            picture(root / "CUB_200_2011" / "images" / f"{number + 1:03d}.Bird" / f"{n}.jpg", 40 * number)
    return {"001.Bird", "002.Bird"}


def cars(root):
    from scipy.io import savemat

    kinds = np.dtype([("relative_im_path", object), ("class", object)])
    rows = np.empty(8, dtype=kinds)
    for n in range(8):
        picture(root / "cars196" / "car_ims" / f"{n}.jpg")
        rows[n] = (f"car_ims/{n}.jpg", n // 2 + 1)
    savemat(root / "cars196" / "cars_annos.mat", {"annotations": rows[None]})
    return {"001", "002"}


def products(root):
    base = root / "Stanford_Online_Products"
    for split, first in (("train", 1), ("test", 3)):
        lines = ["image_id class_id super_class_id path"]
        for n in range(4):
            name = f"chair_final/{split}_{n}.JPG"
            picture(base / name)
            lines.append(f"{n + 1} {first + n // 2} 1 {name}")
        (base / f"Ebay_{split}.txt").write_text("\n".join(lines) + "\n")
    return {"1", "2"}


def in_shop(root):
    lines = ["8", "image_name item_id evaluation_status"]
    for n, split in enumerate(["train"] * 4 + ["query", "gallery"] * 2):
        picture(root / "img" / f"{n}.jpg")
        lines.append(f"img/{n}.jpg   id_{n // 2:08d}   {split}")
    (root / "Eval").mkdir()
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return {"id_00000000", "id_00000001"}


@pytest.mark.parametrize("layout", [cub, cars, products, in_shop])
def test_trained_and_searched_classes_do_not_meet(layout, tmp_path):
    trained = layout(tmp_path)
    found = data.load("unseen-classes", root=tmp_path, size=8)
    assert found.X.shape == (8, 8, 8, 3)
    splits, names = np.array(found.attributes["split"]), np.array(found.classes)[found.y]
    assert set(names[splits == "train"]) == trained
    assert not trained & set(names[splits != "train"])
    assert len(set(names)) == 4


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="Ebay_train"):
        data.load("unseen-classes", root=tmp_path)


def test_a_broken_line_is_named(tmp_path):
    products(tmp_path)
    list_file = tmp_path / "Stanford_Online_Products" / "Ebay_test.txt"
    list_file.write_text(list_file.read_text() + "5 9\n")
    with pytest.raises(InputError, match=r"Ebay_test\.txt, line 6"):
        data.load("unseen-classes", root=tmp_path)
