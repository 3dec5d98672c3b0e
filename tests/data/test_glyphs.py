"""Glyphs: the rendering recipe on fonts at hand, and what it drops."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from spaceform import data
from spaceform.data.glyphs import CHARACTERS, _render
from spaceform.errors import InputError

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    """A folder with two typefaces, one in a sub-folder, and a file that is no font by its name."""
    folder = tmp_path_factory.mktemp("fonts")
    (folder / "deep").mkdir()
    (folder / "DejaVuSans.ttf").write_bytes((FONTS / "DejaVuSans.ttf").read_bytes())
    (folder / "deep" / "DejaVuSerif.TTF").write_bytes((FONTS / "DejaVuSerif.ttf").read_bytes())
    (folder / "readme.txt").write_text("not a font")
    return folder


def test_a_folder_of_fonts_becomes_classes_of_glyphs(fonts):
    found = data.load("glyphs", root=fonts)
    assert found.classes == ["DejaVuSans", "deep/DejaVuSerif"]
    assert found.X.dtype == np.uint8
    assert found.X.shape == (len(found), 28, 28)
    assert set(found.attributes["character"]) == set(CHARACTERS)
    assert found.attributes["typeface"].tolist() == [found.classes[label] for label in found.y]
    np.testing.assert_array_equal(data.load("glyphs", root=fonts).X, found.X)


def test_ink_is_centred_with_its_longer_side_at_24(fonts):
    for picture in data.load("glyphs", root=fonts).X:
        rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
        spans = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert max(spans) == 24
        for first, last in ((rows[0], rows[-1]), (columns[0], columns[-1])):
            assert abs(first - (27 - last)) <= 1


def test_boxes_blanks_and_repeated_capitals_are_dropped(monkeypatch):
    box, own, shared = (np.full((28, 28), shade, dtype=np.uint8) for shade in (1, 2, 3))
    shapes = (
        dict.fromkeys("ABC", box) | {"D": own, "d": own, "E": shared, "f": shared} | {"5": np.eye(28, dtype=np.uint8)}
    )
    monkeypatch.setattr("spaceform.data.glyphs._picture", lambda font, character: shapes.get(character))
    assert list(_render(None)) == ["D", "E", "f", "5"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, None, "holds no .ttf"),
        ("a.ttf", b"", "the font a, which can't be read"),
        ("a.otf", b"OTTO" + bytes(50), "the font a, which can't be read"),
    ],
)
def test_folders_without_a_readable_font_are_refused(tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.load("glyphs", root=tmp_path)


def test_a_file_is_no_folder(fonts):
    with pytest.raises(InputError, match="a folder of"):
        data.load("glyphs", root=fonts / "DejaVuSans.ttf")


def test_the_packaged_typefaces_are_named_by_file(place, pack):
    place("aenigma", pack.deb({"./usr/share/fonts/truetype/aenigma/sans.ttf": (FONTS / "DejaVuSans.ttf").read_bytes()}))
    calls = []
    found = data.load("glyphs", progress=lambda *call: calls.append(call))
    assert found.classes == ["sans"]
    assert calls[-1][:3] == ("render glyphs", 1, 1)
    np.testing.assert_array_equal(data.load("glyphs").X, found.X)
