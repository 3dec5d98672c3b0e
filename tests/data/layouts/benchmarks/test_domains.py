"""Folders of several domains: Office-Home, and DomainNet with its lists."""

import numpy as np
import pytest
from PIL import Image

from spaceform import data
from spaceform.errors import InputError


@pytest.fixture
def office(tmp_path):
    """Return two domains of three classes, one of which only "Art" has."""
    for d, (domain, classes) in enumerate({"Art": ("Bike", "Bed", "Cup"), "Real World": ("Bike", "Bed")}.items()):
        for c, name in enumerate(classes):
            (tmp_path / domain / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (8, 8), (100 * d, 50 * c, 9 * number)).save(tmp_path / domain / name / f"{number}.png")
    return tmp_path


def test_a_class_is_one_in_all_domains(office):
    found = data.load("office-home", root=office, size=8)
    assert found.X.shape == (10, 8, 8, 3)
    assert found.classes == ["Bed", "Bike", "Cup"]
    for row, (domain, label) in enumerate(zip(found.attributes["domain"], found.y, strict=True)):
        assert found.X[row, 0, 0, 0] == (100 if domain == "Real World" else 0)
        assert found.X[row, 0, 0, 1] == 50 * ("Bike", "Bed", "Cup").index(found.classes[label])
    assert found.attributes["file"][0] == "Art/Bed/0.png"


def test_some_domains_can_be_asked_for(office):
    found = data.load("office-home", root=office, domains=["Real World"], size=8)
    assert set(found.attributes["domain"]) == {"Real World"}
    assert len(found) == 4
    for wrong in (["Clipart"], "Art"):
        with pytest.raises(InputError, match="domains"):
            data.load("office-home", root=office, domains=wrong)


def test_stray_pictures_and_empty_folders_are_refused(office, tmp_path_factory):
    with pytest.raises(InputError, match="a folder per domain"):
        data.load("office-home", root=tmp_path_factory.mktemp("empty"))
    Image.new("RGB", (8, 8)).save(office / "Art" / "stray.png")
    with pytest.raises(InputError, match="outside class folders"):
        data.load("office-home", root=office)


@pytest.fixture
def lists(office):
    """Return the folders of ``office`` as DomainNet has them: the second picture of each class is for the test."""
    (office / "Real World").rename(office / "real")
    (office / "Art").rename(office / "sketch")
    for domain in ("real", "sketch"):
        for number, part in enumerate(("train", "test")):
            classes = sorted(path.name for path in (office / domain).iterdir())
            lines = [f"{domain}/{name}/{number}.png {label}" for label, name in enumerate(classes)]
            (office / f"{domain}_{part}.txt").write_text("\n".join(lines) + "\n")
    return office


def test_lists_say_which_pictures_are_read(lists):
    whole = data.load("domainnet", root=lists, size=8)
    assert len(whole) == 10
    assert set(whole.attributes["domain"]) == {"real", "sketch"}
    train = data.load("domainnet", root=lists, domains=["sketch"], split="train", size=8)
    assert train.attributes["file"] == ["sketch/Bed/0.png", "sketch/Bike/0.png", "sketch/Cup/0.png"]
    assert np.array_equal(train.X[0, 0, 0], [0, 50, 0])


@pytest.mark.parametrize(
    "line", ["real/Bed/0.png", "real/Bed 0", "../Bed/0.png 0", "real/Bed/0.png x", "real/Bed/1.png 7"]
)
def test_lines_of_another_form_are_named(lists, line):
    (lists / "real_train.txt").write_text(f"real/Bed/0.png 0\n{line}\n")
    with pytest.raises(InputError, match=r"real_train\.txt"):
        data.load("domainnet", root=lists, domains=["real"], size=8)


def test_missing_lists_and_pictures_are_refused(lists):
    with pytest.raises(InputError, match="quickdraw_train"):
        data.load("domainnet", root=lists, domains=["quickdraw"])
    with pytest.raises(InputError, match="split"):
        data.load("domainnet", root=lists, split="validation")
    (lists / "real" / "Bed" / "0.png").unlink()
    with pytest.raises(InputError, match=r"Bed/0\.png"):
        data.load("domainnet", root=lists, size=8)
