"""Folders of pictures: what is found, how it is scaled, and what is refused by name."""

import os
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spaceform.data.layouts import read_image_folder
from spaceform.data.layouts.images import read_picture
from spaceform.errors import InputError


def save(path, *, colour=(200, 30, 30), shape=(12, 12), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, shape, colour).save(path)
    return path


@pytest.fixture
def classes(tmp_path):
    save(tmp_path / "cat" / "b.png")
    save(tmp_path / "cat" / "deep" / "a.png")
    save(tmp_path / "ant" / "z.jpg")
    save(tmp_path / "ant" / "y.webp")
    (tmp_path / "ant" / "notes.txt").write_text("no picture")
    (tmp_path / "ant" / ".hidden.png").write_text("no picture")
    return tmp_path


def test_a_folder_per_class_is_read_in_order_with_labels_and_ids(classes):
    source = read_image_folder(classes, size=10)
    assert source.kind == "images"
    assert source.images.shape == (4, 10, 10, 3)
    assert source.images.dtype == np.uint8
    assert source.label == "class"
    assert source.attributes["class"] == ["ant", "ant", "cat", "cat"]
    assert list(source.ids) == ["ant/y.webp", "ant/z.jpg", "cat/b.png", "cat/deep/a.png"]
    assert len(source) == 4


def test_a_flat_folder_has_no_label(tmp_path):
    save(tmp_path / "one.png")
    source = read_image_folder(tmp_path)
    assert source.label is None
    assert source.images.shape == (1, 48, 48, 3)


def test_pictures_beside_class_folders_are_unlabelled(classes):
    save(classes / "loose.png")
    assert read_image_folder(classes).attributes["class"].count(None) == 1


def test_proportions_are_kept_and_the_rest_is_white(tmp_path):
    save(tmp_path / "wide.png", colour=(0, 0, 0), shape=(40, 20))
    picture = read_image_folder(tmp_path, size=20).images[0]
    assert (picture[5:15] == 0).all()
    assert (picture[:5] == 255).all()
    assert (picture[15:] == 255).all()


def test_transparency_is_laid_on_white_or_kept(tmp_path):
    save(tmp_path / "a.png", colour=(255, 0, 0, 128), mode="RGBA")
    flat = read_image_folder(tmp_path, size=12).images
    kept = read_image_folder(tmp_path, size=12, alpha=True).images
    np.testing.assert_array_equal(kept, np.broadcast_to(np.uint8([255, 0, 0, 128]), (1, 12, 12, 4)))
    np.testing.assert_allclose(flat[0, 0, 0], [255, 127, 127], atol=1)


def test_scaling_leaves_no_dark_fringe_around_a_cut_out(tmp_path):
    pixels = np.zeros((64, 64, 4), dtype=np.uint8)  # transparent black around an opaque white square
    pixels[16:48, 16:48] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    scaled = read_image_folder(tmp_path, size=25, alpha=True).images[0]
    edge = (scaled[..., 3] > 16) & (scaled[..., 3] < 255)
    assert edge.any()
    assert scaled[edge][:, :3].min() > 240


def test_camera_orientation_is_applied(tmp_path):
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    picture = read_image_folder(tmp_path, size=20).images[0]
    assert picture[:9].min() > 200
    assert picture[11:].max() < 50


@pytest.mark.parametrize(("mode", "colour", "expected"), [("L", 90, 90), ("1", 1, 255), ("I;16", 90 * 256, 90)])
def test_grey_pictures_of_any_depth_become_rgb(tmp_path, mode, colour, expected):
    save(tmp_path / "a.png", mode=mode, colour=colour)
    assert (read_image_folder(tmp_path, size=12).images == expected).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24))
@settings(max_examples=25, deadline=None)
def test_every_shape_and_size_fits(tmp_path_factory, width, height, size):
    path = save(tmp_path_factory.mktemp("p") / "a.png", shape=(width, height))
    assert read_picture(path, size=size).shape == (size, size, 3)


@pytest.fixture
def damaged(classes):
    whole = (classes / "cat" / "b.png").read_bytes()
    (classes / "cat" / "half.png").write_bytes(whole[: len(whole) // 2])
    (classes / "cat" / "text.jpg").write_text("hello")
    (classes / "cat" / "empty.gif").write_bytes(b"")
    return classes


def test_unreadable_pictures_are_refused_all_by_name(damaged):
    with pytest.raises(
        InputError, match=r"3 of 7 pictures.*cat/empty\.gif.*cat/half\.png.*cat/text\.jpg.*on_error='skip'"
    ):
        read_image_folder(damaged)


def test_unreadable_pictures_can_be_skipped_and_are_listed(damaged):
    source = read_image_folder(damaged, on_error="skip")
    assert len(source) == len(source.ids) == len(source.attributes["class"]) == 4
    assert [name for name, _ in source.skipped] == ["cat/empty.gif", "cat/half.png", "cat/text.jpg"]
    assert all(reason for _, reason in source.skipped)


def test_a_folder_of_unreadable_pictures_only_is_refused_even_when_skipping(tmp_path):
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(InputError, match="1 of 1 pictures"):
        read_image_folder(tmp_path, on_error="skip")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    save(tmp_path / "a.png", shape=(30, 30))
    for limit in (600, 100):  # Pillow warns above its limit and raises above twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=r"a\.png \(too many pixels\)"):
            read_image_folder(tmp_path)


def test_metadata_warnings_stay_inside(tmp_path):
    save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_image_folder(tmp_path)) == 1


@pytest.mark.skipif(os.name != "posix", reason="such names only exist there")
def test_hostile_file_names_become_printable_ids(tmp_path):
    names = [
        b"new\nline.png",
        b"\xff\xfe.png",
        b"esc\x1b[31m.png",
        "\N{GRINNING FACE}.png".encode(),
        b"-rf ; $HOME.png",
    ]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as handle:  # noqa: PTH118,PTH123  # bytes names
            Image.new("RGB", (4, 4)).save(handle, "PNG")
    source = read_image_folder(tmp_path)
    assert len(set(source.ids)) == len(names)
    assert all(text.isprintable() and text.encode() for text in source.ids)


def test_an_empty_folder_is_refused_with_what_it_holds(tmp_path):
    with pytest.raises(InputError, match="holds nothing"):
        read_image_folder(tmp_path)
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(InputError, match=r"holds 1 x \.pdf"):
        read_image_folder(tmp_path)


@pytest.mark.parametrize("path", ["nowhere", "file.png", "nul\0"])
def test_what_is_no_folder_is_refused(tmp_path, path):
    (tmp_path / "file.png").write_text("x")
    with pytest.raises(InputError, match="path"):
        read_image_folder(tmp_path / path)


def test_a_folder_without_rights_is_refused(tmp_path, monkeypatch):
    save(tmp_path / "a" / "x.png")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read anything
    with pytest.raises(InputError, match="may not read"):
        read_image_folder(tmp_path)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 4.5}, {"on_error": "ignore"}])
def test_wrong_options_are_refused(classes, options):
    with pytest.raises(InputError, match=next(iter(options))):
        read_image_folder(classes, **options)


def test_progress_ends_at_the_total(classes):
    calls = []
    read_image_folder(classes, progress=lambda *call: calls.append(call))
    assert calls[-1][1:3] == (4, 4)
