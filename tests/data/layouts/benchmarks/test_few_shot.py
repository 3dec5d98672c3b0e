"""miniImageNet and FC100 on small trees of the same form."""

import numpy as np
import pytest

from spaceform import data
from spaceform.errors import InputError

CLASSES = {"train": ["n01", "n03"], "val": ["n02"], "test": ["n05", "n04"]}


@pytest.fixture
def mini(tmp_path):
    """Two pictures of each of five classes; the shade of a picture says which it is."""
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    shade = 0
    for split, classes in CLASSES.items():
        lines = ["filename,label"]
        for label in classes:
            for n in range(2):
                name = f"{label}{n:08d}.png"
                image.new("RGB", (20, 20), (shade, shade, shade)).save(tmp_path / "images" / name)
                lines.append(f"{name},{label}")
                shade += 10
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_mini_imagenet_keeps_its_lists_in_order_and_its_classes_by_name(mini):
    found = data.load("mini-imagenet", root=mini, size=8)
    assert found.X.shape == (10, 8, 8, 3)
    assert found.X[:, 4, 4, 0].tolist() == list(range(0, 100, 10))
    assert found.classes == ["n01", "n02", "n03", "n04", "n05"]
    assert found.y.tolist() == [0, 0, 2, 2, 1, 1, 4, 4, 3, 3]
    assert found.attributes["split"].tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 4
    assert found.attributes["file"][0] == "n0100000000.png"


def test_pictures_may_lie_in_folders_of_classes(mini):
    expected = data.load("mini-imagenet", root=mini, size=8)
    for path in list((mini / "images").iterdir()):
        folder = mini / path.name[:3]
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    np.testing.assert_array_equal(data.load("mini-imagenet", root=mini, size=8).X, expected.X)


def test_one_list_is_enough_and_none_is_not(mini):
    (mini / "val.csv").unlink()
    (mini / "train.csv").unlink()
    assert data.load("mini-imagenet", root=mini, size=8).classes == ["n04", "n05"]
    (mini / "test.csv").unlink()
    with pytest.raises(InputError, match=r"without lists, expected train\.csv"):
        data.load("mini-imagenet", root=mini)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n0900000000.png,n09", "no picture n0900000000.png"),
        ("n0100000000.png", "a file name and a class"),
        ("../secret.png,n01", "a file name and a class"),
        ("n0500000000.png,n05", "class n05 in train and test"),
    ],
)
def test_lines_that_do_not_fit_are_named(mini, line, message):
    with (mini / "train.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        data.load("mini-imagenet", root=mini, size=8)


def test_another_header_is_refused(mini):
    (mini / "val.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="filename,label"):
        data.load("mini-imagenet", root=mini, size=8)


def test_fc100_splits_cifar100_by_superclasses(tmp_path):
    superclasses = [f"s{number:02d}" for number in range(20)]
    rng = np.random.default_rng(0)
    for name, copies in (("train", 2), ("test", 1)):
        records = rng.integers(0, 256, (100 * copies, 3074), dtype=np.uint8)
        records[:, 1] = np.tile(np.arange(100), copies)
        records[:, 0] = records[:, 1] // 5
        records.tofile(tmp_path / f"{name}.bin")
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"c{number:02d}" for number in range(100)))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(superclasses))
    found = data.load("fc100", root=tmp_path)
    sizes, groups = {}, {}
    for split in ("train", "val", "test"):
        rows = found.attributes["split"] == split
        sizes[split] = len(np.unique(found.y[rows]))
        groups[split] = set(found.attributes["superclass"][rows])
    assert sizes == {"train": 60, "val": 20, "test": 20}
    assert groups["test"] == {"s00", "s07", "s12", "s14"}
    assert groups["val"] == {"s08", "s11", "s13", "s16"}
    assert not groups["train"] & (groups["val"] | groups["test"])
    assert found.name == "fc100"
    assert len(found) == 300


@pytest.fixture
def omniglot(tmp_path):
    """Two drawings of each of three characters, black on white as the files are."""
    image = pytest.importorskip("PIL.Image")
    names = {
        "images_background": ["Greek/character01", "Greek/character02"],
        "images_evaluation": ["Tengwar/character01"],
    }
    for part, characters in names.items():
        for number, character in enumerate(characters):
            folder = tmp_path / part / character
            folder.mkdir(parents=True)
            for drawing in range(2):
                picture = image.new("1", (105, 105), 1)
                picture.paste(0, (0, 0, 50, 105 if number else 50))
                picture.save(folder / f"{drawing}.png")
    return tmp_path


def test_omniglot_is_white_on_black_and_split_by_alphabet(omniglot):
    found = data.load("omniglot", root=omniglot)
    assert found.X.shape == (6, 28, 28)
    assert found.X[0, 3, 3] == 255
    assert found.X[0, 20, 20] == 0
    assert found.classes == ["Greek / character01", "Greek / character02", "Tengwar / character01"]
    assert found.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.attributes["split"].tolist() == ["background"] * 4 + ["evaluation"] * 2
    assert found.attributes["alphabet"].tolist() == ["Greek"] * 4 + ["Tengwar"] * 2


def test_half_an_omniglot_is_refused(omniglot):
    (omniglot / "images_background" / "Greek").rename(omniglot / "images_background" / "a")
    (omniglot / "images_evaluation").rename(omniglot / "evaluation")
    with pytest.raises(InputError, match="without images_evaluation"):
        data.load("omniglot", root=omniglot)
