"""Emoji from four small stand-ins of the vendors' packages: matching, scaling, order, and what is fetched."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from spaceform import data
from spaceform.data import emoji
from spaceform.errors import DataUnavailableError

# sequence as emoji.json has it, name, category, order
CONCEPTS = [
    ("0023-FE0F-20E3", "keycap: #", "Symbols", 3),
    ("1F600", "grinning face", "Smileys & Emotion", 1),
    ("1F441-FE0F-200D-1F5E8-FE0F", "eye in speech bubble", "Smileys & Emotion", 2),
]
COLOURS = {"google": 10, "twitter": 60, "fluent": 110, "emojione": 160}


def picture(shade, shape=(64, 64), kind="PNG"):
    pixels = np.zeros((shape[1], shape[0], 4), dtype=np.uint8)
    pixels[8:-8, 8:-8] = [shade, shade, 200, 255]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def concept_list():
    entries = [
        {"unified": code, "name": name.upper(), "category": category, "subcategory": f"sub {category}", "sort_order": n}
        for code, name, category, n in CONCEPTS
    ]
    return json.dumps(entries).encode()


def words():
    entries = [
        {"hexcode": code.replace("-FE0F", ""), "label": name, "tags": name.split()} for code, name, _, _ in CONCEPTS
    ]
    return json.dumps([*entries, {"hexcode": "1F1E6", "label": "no emoji"}]).encode()


@pytest.fixture
def packages(place, pack):
    """Put stand-ins of the five packages into the cache; a shade tells vendor and file."""

    def tar(*files):
        return pack.tgz(dict(files))

    for vendor in ("google", "twitter"):
        folder, shade = f"package/img/{vendor}/64", COLOURS[vendor]
        drawn = [(f"{folder}/{code.lower()}.png", picture(shade + i)) for i, (code, *_) in enumerate(CONCEPTS)]
        skin = (f"{folder}/1f600-1f3fb.png", picture(255))
        place(f"emoji-{vendor}", tar(("package/emoji.json", concept_list()), *drawn, skin))
    place(
        "emoji-fluent",
        tar(
            ("package/assets/23-fe0f-20e3.webp", picture(250, kind="WEBP")),
            ("package/assets/0023-fe0f-20e3.webp", picture(COLOURS["fluent"], kind="WEBP")),
            ("package/assets/1f600.webp", picture(COLOURS["fluent"] + 1, shape=(64, 72), kind="WEBP")),
        ),
    )
    place(
        "emoji-emojione",
        tar(
            ("package/png/64/_alt/1f600.png", picture(250)),
            ("package/png/64/1f600.png", picture(COLOURS["emojione"] + 1)),
            ("package/png/128/1f600.png", picture(COLOURS["emojione"] + 9, shape=(128, 128))),
            ("package/png/32/0023-20e3.png", picture(250)),
        ),
    )
    place("emojibase", tar(("package/en/data.json", words())))


def shades(found):
    middle = found.X.shape[1] // 2
    return found.X[:, middle, middle, 0].tolist()


@pytest.mark.usefixtures("packages")
def test_rows_go_by_concept_then_vendor_and_match_by_sequence():
    found = data.load("emoji")
    assert found.classes == ["grinning face", "eye in speech bubble", "keycap: #"]
    assert found.y.tolist() == [0] * 4 + [1] * 2 + [2] * 3
    assert found.attributes["vendor"].tolist() == [
        "google", "twitter", "fluent", "emojione", "google", "twitter", "google", "twitter", "fluent",
    ]  # fmt: skip
    assert shades(found) == [11, 61, 111, 161, 12, 62, 10, 60, 110]
    assert found.X.shape == (9, 48, 48, 4)
    assert found.attributes["keywords"][0] == ("grinning", "face")
    assert found.attributes["category"].tolist() == ["Smileys & Emotion"] * 6 + ["Symbols"] * 3
    assert found.attributes["name"].tolist() == [found.classes[label] for label in found.y]


@pytest.mark.usefixtures("packages")
def test_vendors_can_be_chosen_and_classes_stay():
    found = data.load("emoji", vendors=["emojione", "twitter"])
    assert found.attributes["vendor"].tolist() == ["twitter", "emojione", "twitter", "twitter"]
    assert len(found.classes) == 3
    assert "google" not in found.licence
    assert "EmojiOne" in found.licence


@pytest.mark.usefixtures("packages")
def test_large_sizes_take_the_large_drawings():
    found = data.load("emoji", size=100, vendors=["emojione"])
    assert found.X.shape == (1, 100, 100, 4)
    assert shades(found) == [COLOURS["emojione"] + 9]


@pytest.mark.usefixtures("packages")
def test_edges_keep_their_colour_and_nothing_hides_under_transparency():
    found = data.load("emoji")
    alpha = found.X[..., 3]
    edge = (alpha > 32) & (alpha < 255)
    assert edge.any()
    assert np.abs(found.X[..., 2][edge].astype(int) - 200).max() <= 10  # rounding of premultiplied values
    assert (found.X[alpha == 0] == 0).all()


@pytest.mark.usefixtures("packages")
def test_the_second_load_reads_no_package_and_is_the_same(cache):
    first = data.load("emoji")
    for path in (cache / "packages").iterdir():
        path.unlink()
    second = data.load("emoji")
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.y, second.y)
    for name, column in first.attributes.items():
        assert list(column) == list(second.attributes[name])


@pytest.mark.usefixtures("packages")
def test_only_what_is_needed_is_asked_for_and_one_error_names_it_all(cache):
    data.load("emoji", vendors=["google"])
    for path in (cache / "packages").iterdir():
        path.unlink()
    with pytest.raises(DataUnavailableError) as refusal:
        data.load("emoji")
    for name in ("emoji-datasource-twitter-16.0.0.tgz", "lobehub-fluent", "emojione-assets"):
        assert name in str(refusal.value)
    for name in ("emoji-datasource-google-16.0.0.tgz", "emojibase-data-17"):
        assert name not in str(refusal.value)


def test_the_list_comes_with_a_chosen_vendor_where_it_can(packages, cache, place):
    path = data.registry.package("emoji-google").path
    path.unlink()
    assert len(data.load("emoji", vendors=["twitter"])) == 3


@pytest.mark.parametrize(
    ("sequence", "plain"),
    [
        ("0023-FE0F-20E3", "23-20e3"),
        ("1F600", "1f600"),
        ("00a9-fe0f", "a9"),
        ("1f468-200d-2695-fe0f", "1f468-200d-2695"),
    ],
)
def test_sequences_are_compared_in_plain_form(sequence, plain):
    assert emoji._plain(sequence) == plain
