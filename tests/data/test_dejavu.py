"""DejaVu letters: which are kept, how they are moved, and fonts that are not the pinned ones."""

import unicodedata

import numpy as np
import pytest

from spaceform import data
from spaceform.data import dejavu
from spaceform.errors import DataUnavailableError, MissingExtraError

PIL = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def letters():
    return data.load("dejavu")


def test_scripts_and_faces_are_as_counted(letters):
    scripts, counts = np.unique(letters.attributes["script"], return_counts=True)
    assert dict(zip(scripts.tolist(), (counts // 20).tolist(), strict=True)) == {
        "Latin": 289,
        "Cyrillic": 89,
        "Armenian": 75,
        "Greek": 47,
        "Georgian": 43,
    }
    for rows in np.split(letters.attributes["face"], 543):
        faces, times = np.unique(rows, return_counts=True)
        assert len(faces) == 12
        assert times.max() <= 2


def test_letters_are_named_by_unicode_and_look_like_no_other(letters):
    characters = letters.attributes["character"][::20].tolist()
    assert letters.classes == [unicodedata.name(character) for character in characters]
    assert characters == sorted(characters)
    # Greek capital alpha, Cyrillic small o, Cyrillic small u, Armenian small letter that is a Latin u
    assert not set(characters) & {"\u0391", "\u043e", "\u0443"}
    assert {"A", "o", "y"} < set(characters)


def test_pictures_of_a_letter_differ_and_hold_ink_within_the_frame(letters):
    flat = letters.X.reshape(len(letters), -1)
    assert len(np.unique(flat, axis=0)) == len(letters)
    assert (flat.max(1) > 100).all()
    border = np.concatenate(
        [letters.X[:, [0, -1]].reshape(len(letters), -1), letters.X[:, :, [0, -1]].reshape(-1, 56)], 1
    )
    assert (border.max(1) > 60).mean() < 0.001


def test_look_alikes_are_dropped_by_two_of_three_upright_faces():
    def drawn(*shades):
        return {face: PIL.new("L", (112, 112), shade) for face, shade in zip(dejavu._UPRIGHT, shades, strict=True)}

    letters = {1: drawn(9, 9, 9), 2: drawn(9, 9, 80), 3: drawn(9, 80, 90), 4: drawn(70, 9, 9), 5: drawn(1, 80, 90)}
    assert dejavu._distinct(letters) == [1, 3]


class Still:
    """Draws that leave a picture where it is, but for one number."""

    def __init__(self, place, value):
        self.draws, self.place, self.value = 0, place, value

    def uniform(self, low, high, size=None):
        self.draws += 1
        middle = 1.0 if low > 0 else 0.0
        value = self.value if self.draws == self.place else middle
        return value if size is None else np.full(size, value)


def spot(x, y):
    canvas = PIL.new("L", (112, 112))
    canvas.paste(255, (x - 4, y - 4, x + 4, y + 4))
    return canvas


def centre(picture):
    rows, columns = np.indices(picture.shape)
    return np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum() + 0.5


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [(1, 0.0, (21, 14)), (1, 15.0, (20.8, 15.8)), (2, 1.1, (21.7, 14)), (3, 0.15, (21, 14)), (4, 6.0, (22.5, 15.5))],
    ids=["nothing", "turn", "scale", "shear", "shift"],
)
def test_a_spot_goes_where_the_draws_say(place, value, expected):
    moved = dejavu._moved(spot(84, 56), Still(place, value)).astype(float)
    assert moved.shape == (28, 28)
    np.testing.assert_allclose(centre(moved), expected, atol=0.15)


def test_other_fonts_and_missing_libraries_are_refused(monkeypatch, cache):
    monkeypatch.setattr(dejavu, "_SHA256", "0" * 64)
    with pytest.raises(DataUnavailableError, match=r"not version 2\.37.*expected 0{64}"):
        data.load("dejavu")
    monkeypatch.setattr(dejavu, "_FACES", ("DejaVuGone",))
    with pytest.raises(DataUnavailableError, match=r"DejaVuGone\.ttf"):
        data.load("dejavu")

    def missing(name, extra):
        raise MissingExtraError(name, extra)

    monkeypatch.setattr(dejavu, "require", missing)
    with pytest.raises(MissingExtraError, match=r"spaceform\[report\]"):
        data.load("dejavu")
