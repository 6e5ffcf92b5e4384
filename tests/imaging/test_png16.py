import io

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError
from pellucid.imaging import png16

from .pictures import reference_png16, saved, scene


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 17)])
def test_decodes_every_filter_bit_exactly(rng, channels, size):
    samples = rng.integers(0, 65536, (*size, channels)).astype(np.uint16)
    np.testing.assert_array_equal(png16.decode(reference_png16(samples)), samples)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 8), (19, 23)])
def test_decodes_interlaced_files(rng, size):
    samples = rng.integers(0, 65536, (*size, 3)).astype(np.uint16)
    np.testing.assert_array_equal(png16.decode(reference_png16(samples, interlaced=True)), samples)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (200, 30)])
def test_round_trip_is_bit_exact_and_pillow_agrees(rng, channels, size):
    samples = rng.integers(0, 65536, (*size, channels)).astype(np.uint16)
    data = png16.encode(samples, saved(np.zeros((1, 1, 3), np.uint8), "PNG", dpi=(300, 300)))
    np.testing.assert_array_equal(png16.decode(data), samples)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == size[::-1]
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if channels > 2:  # Pillow keeps the high bytes
            np.testing.assert_array_equal(np.asarray(image), samples >> 8)


def test_transparent_colour_becomes_alpha():
    samples = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    key = np.array([1, 2, 3], ">u2").tobytes()
    decoded = png16.decode(reference_png16(samples, extra=[(b"tRNS", key)]))
    assert decoded[0, :, 3].tolist() == [0, 65535]
    np.testing.assert_array_equal(decoded[..., :3], samples)


def test_damage_is_an_error_and_not_a_picture():
    data = reference_png16(scene(20, 20, bits=16))
    flipped = bytearray(data)
    flipped[60] ^= 255
    for broken in (data[:-30], data[:40], bytes(flipped), data[:8]):
        with pytest.raises(ImageError, match=r"PNG"):
            png16.decode(broken)


def test_never_inflates_more_than_the_header_says():
    bomb = reference_png16(np.zeros((100, 100, 3), np.uint16))
    header = bytearray(bomb[16:29])
    header[0:8] = (1).to_bytes(4, "big") * 2
    import struct
    import zlib

    small = bomb[:16] + bytes(header) + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + bomb[33:]
    assert png16.decode(small).shape == (1, 1, 3)
