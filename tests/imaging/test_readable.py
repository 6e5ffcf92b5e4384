"""Files that other programs read are read here, too."""

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pellucid.errors import ImageError
from pellucid.imaging.convert import from_array, like_given
from pellucid.imaging.io import encode, read

from .pictures import picture, profile, saved, scene, source


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_big_tiff(bits, order):
    tifffile = pytest.importorskip("tifffile")
    samples = scene(bits=bits)
    out = io.BytesIO()
    tags = [(274, 3, 1, 6, True), (315, 2, 0, "Ansel", True), (33723, 7, 4, b"\x1c\x02\0\0", True)]
    options = {"iccprofile": profile(), "extratags": tags, "photometric": "rgb"}
    tifffile.imwrite(out, samples, bigtiff=True, byteorder=order, **options)
    photo = read(out.getvalue())
    np.testing.assert_array_equal(photo.samples(bits), np.rot90(samples, -1))
    assert photo.icc == profile() or len(photo.icc) == len(profile())
    assert photo.iptc == b"\x1c\x02\0\0"
    with Image.open(io.BytesIO(encode(photo, "TIFF"))) as image:
        assert image.getexif()[315] == "Ansel"


@pytest.mark.parametrize("place", [*range(8, 40, 3), -1])
def test_a_damaged_big_endian_big_tiff_is_refused(place):
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(out, scene(), bigtiff=True, byteorder=">", photometric="rgb")
    data = bytearray(out.getvalue())
    data[place : place + 8] = b"\xff" * 8
    with contextlib.suppress(ImageError):  # nothing else
        read(bytes(data[: -len(data) // 2] if place < 0 else data))


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 5}])
def test_a_jpeg_without_its_end_mark_is_whole(lost, options, rng):
    samples = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = saved(samples, "JPEG", **options)
    photo = read(data[:-lost])
    np.testing.assert_array_equal(photo.pixels, read(data).pixels)
    assert "last bytes are missing" in photo.notes[0]


def test_zeros_in_the_middle_of_a_jpeg_are_said(rng):
    samples = rng.integers(0, 256, (160, 160, 3)).astype(np.uint8)
    for options in ({}, {"optimize": True, "quality": 95}, {"subsampling": 0}):
        data = bytearray(saved(samples, "JPEG", **options))
        assert read(bytes(data)).notes == ()
        data[len(data) // 2 : len(data) // 2 + 512] = bytes(512)
        assert read(bytes(data)).notes == (
            "512 bytes are lost (zeros), and a part of the picture with them",
        )


def test_zeros_that_are_an_even_area_are_none_that_were_lost():
    even = saved(np.full((2048, 2048, 3), 255, np.uint8), "JPEG", optimize=True)
    assert bytes(512) in even and read(even).notes == ()


@pytest.mark.parametrize("lost", [3, 4, 6, 10, 100, 1000])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_lost_more_is_refused(lost, options, rng):
    samples = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = saved(samples, "JPEG", **options)
    try:
        photo = read(data[:-lost])
    except ImageError as error:
        assert "truncated" in str(error)
    else:  # all that was lost filled the last byte up
        np.testing.assert_array_equal(photo.pixels, read(data).pixels)
        assert lost < 6


def test_long_text_and_profiles_of_a_png():
    info = PngImagePlugin.PngInfo()
    info.add_text("Notes", "x" * 3_000_000, zip=True)
    photo = read(saved(scene(), "PNG", pnginfo=info))
    assert len(photo.text["Notes"]) == 3_000_000
    assert read(encode(photo, "PNG")).text == photo.text


@pytest.mark.parametrize(
    "format, options", [("JPEG2000", {}), ("PPM", {}), ("TGA", {}), ("PCX", {}), ("SGI", {})]
)
def test_formats_that_are_only_read(format, options, tmp_path):
    suffix = {"JPEG2000": ".jp2", "PPM": ".ppm"}.get(format, f".{format.lower()}")
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(saved(scene(), format, **options))
    np.testing.assert_array_equal(picture(read(path)), scene())


def test_qoi_is_read():
    white = b"qoif" + struct.pack(">LLBB", 4, 2, 3, 0) + b"\xfe\xff\xff\xff" + b"\xc6" + bytes(7)
    photo = read(white + b"\x01")
    assert (photo.width, photo.height) == (4, 2) and (photo.pixels == 1).all()


def test_16_bit_pgm_stays_deep():
    samples = scene(channels=1, bits=16)
    photo = read(b"P5 56 40 65535\n" + samples.astype(">u2").tobytes())
    assert photo.bit_depth == 16
    np.testing.assert_array_equal(photo.samples(16), samples)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", [">u2", "<u2", ">f4"])
def test_arrays_of_either_byte_order(channels, kind, rng):
    values = rng.random((6, 5, channels))
    scale = 65535 if kind.endswith("u2") else 1
    array = (values * scale).astype(kind)
    photo = from_array(array)
    assert np.abs(photo.pixels[..., 0] - values[..., 0]).max() < 1e-4
    back = like_given(array, photo)
    assert back.dtype == array.dtype and back.shape == array.shape
    assert np.abs(back.astype(float) - array.astype(float)).max() <= 1e-6 * scale


def test_float_rgb_tiff_says_what_to_do():
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((8, 8, 3), np.float32), photometric="rgb")
    with pytest.raises(ImageError, match="floating-point samples: convert the picture to 16 bits"):
        read(out.getvalue())


def test_every_pixel_of_a_source_counts():
    for format in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(picture(read(source(format))), scene())
