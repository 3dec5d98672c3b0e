"""Small pictures as arrays: laid on white, encoded and decoded."""

import numpy as np
import pytest

from spaceform.data.pictures import decode, encode_png, on_white
from spaceform.errors import InputError


def test_transparent_grey_and_rgb_become_rgb_on_white():
    rgba = np.array([[[[0, 0, 0, 0], [10, 20, 30, 255], [0, 100, 255, 51]]]], dtype=np.uint8)
    np.testing.assert_array_equal(on_white(rgba)[0, 0], [[255, 255, 255], [10, 20, 30], [204, 224, 255]])
    grey = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    np.testing.assert_array_equal(on_white(grey), np.repeat(grey[..., None], 3, axis=-1))
    np.testing.assert_array_equal(on_white(grey[..., None]), on_white(grey))
    assert on_white(rgba[..., :3]) is not None
    np.testing.assert_array_equal(on_white(rgba[..., :3]), rgba[..., :3])


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 2, 2), float), np.zeros((2, 2), np.uint8), np.zeros((1, 2, 2, 5), np.uint8)]
)
def test_other_arrays_are_refused(wrong):
    with pytest.raises(InputError, match="pictures: got"):
        on_white(wrong)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_png_is_lossless(channels):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 9, 9, *channels), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encode_png(pictures), size=9), on_white(pictures))


def test_decoding_fits_pictures_in_with_their_proportions_kept():
    wide = encode_png(np.zeros((1, 10, 20, 3), dtype=np.uint8))
    (fitted,) = decode(wide, size=10)
    assert fitted.shape == (10, 10, 3)
    assert (fitted[:2] == 255).all()
    assert (fitted[3:7] == 0).all()
    assert (fitted[8:] == 255).all()


@pytest.mark.parametrize("wrong", [b"", b"not a picture", None])
def test_what_can_t_be_decoded_is_named_by_row(wrong):
    whole = encode_png(np.zeros((1, 3, 3, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="row 1"):
        decode([*whole, wrong], size=3)
