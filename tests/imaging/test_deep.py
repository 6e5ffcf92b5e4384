"""More than 8 bits a channel are kept, or it is said what becomes of them."""

import io

import numpy as np
import pytest
from PIL import Image

from pellucid.imaging import deep, profiles
from pellucid.imaging.io import Photo, encode, fit, read

from .pictures import available, scene

codecs = pytest.importorskip("imagecodecs")
SHAPES = {1: "400", 3: "444", 4: "444"}


def ramp(channels, bits, side=64):
    """All levels that fit, another order in each channel; alpha is opaque in places."""
    values = np.linspace(0, 2**bits - 1, side * side).astype(np.uint16).reshape(side, side)
    planes = [values, values[::-1], values[:, ::-1], values.T][:channels]
    return np.ascontiguousarray(np.stack(planes, axis=2))


def file_of(format, samples, bits):
    given = np.squeeze(samples, 2) if samples.shape[2] == 1 else samples
    if format == "AVIF":
        shape = SHAPES[samples.shape[2]]
        return codecs.avif_encode(given, level=100, bitspersample=bits, pixelformat=shape)
    if format == "JXL":
        return codecs.jpegxl_encode(given, lossless=True, bitspersample=bits)
    return codecs.jpeg2k_encode(given, level=0, bitspersample=bits)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "format, bits", [("AVIF", 10), ("AVIF", 12), ("JXL", 10), ("JXL", 16), ("JPEG2000", 12)]
)
def test_all_bits_are_read(format, bits, channels):
    available(format)
    samples = ramp(channels, bits)
    photo = read(file_of(format, samples, bits))
    assert (photo.bit_depth, photo.grey, photo.notes) == (bits, channels == 1, ())
    expected = samples / (2**bits - 1)
    np.testing.assert_allclose(photo.pixels[..., : min(channels, 3)], expected[..., :3], atol=2e-5)
    if channels == 4:
        np.testing.assert_allclose(photo.alpha, expected[..., 3], atol=2e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("format, bits", [("AVIF", 10), ("HEIF", 10)])
def test_deep_pictures_are_written_with_all_metadata(format, bits, channels):
    available(format)
    tags = Image.Exif()
    tags[315] = "Ansel"
    pixels = np.repeat(ramp(1, 16) / np.float32(65535), 3, axis=2)
    if channels > 2:
        pixels[..., 0] = 0.1 + 0.8 * pixels[..., 0]
    photo = Photo(
        pixels,
        alpha=None if channels % 2 else pixels[::-1, :, 2],
        grey=channels < 3,
        bit_depth=16,
        exif=tags.tobytes().removeprefix(b"Exif\0\0"),
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        icc=profiles.rgb_profile(profiles.PRIMARIES[12]) if channels > 2 else None,
    )
    said = f"16 bits a channel become {bits}, the most that {format} is written with"
    assert fit(photo, format).notes == (said,)
    again = read(encode(photo, format, 100))
    assert again.bit_depth == bits and (again.width, again.height) == (64, 64)
    assert np.abs(again.pixels - pixels).mean() < 0.004
    if photo.alpha is not None:
        assert np.abs(again.alpha - photo.alpha).mean() < 0.004
    assert len(np.unique(again.pixels)) > 900
    assert (again.exif, again.xmp, again.icc) == (photo.exif, photo.xmp, photo.icc)
    with Image.open(io.BytesIO(encode(photo, format))) as image:  # as other programs see it
        seen = np.asarray(image.convert("RGB")) / 255
        assert image.getexif()[315] == "Ansel"
    assert image.mode == "I;16" or np.abs(seen - pixels).mean() < 0.01


def test_a_turned_deep_avif_is_turned():
    available("AVIF")
    data = deep.encode(ramp(3, 10), 10, "AVIF", 100, {"exif": _turned()})
    np.testing.assert_allclose(read(data).pixels, np.rot90(ramp(3, 10), -1) / 1023, atol=0.01)


def _turned():
    tags = Image.Exif()
    tags[274] = 6
    return tags.tobytes()


@pytest.mark.parametrize("format, bits", [("AVIF", 10), ("JXL", 16), ("JPEG2000", 12)])
def test_without_the_package_it_is_said(format, bits, monkeypatch):
    available(format)
    data = file_of(format, ramp(3, bits), bits)
    monkeypatch.setattr(deep, "_codecs", lambda: False)
    photo = read(data)
    assert photo.bit_depth == 8 and len(photo.notes) == 1
    assert photo.notes[0].startswith(f"{bits} bits a channel were read as 8 (to keep them: pip")
    if format == "AVIF":
        wide = Photo(np.zeros((8, 8, 3), np.float32), bit_depth=16)
        assert "16 bits a channel become 8 (to keep 10: pip install" in fit(wide, format).notes[0]
        assert read(encode(wide, format)).bit_depth == 8


def test_floating_point_in_jpeg_xl_is_said():
    available("JXL")
    photo = read(codecs.jpegxl_encode(scene().astype(np.float32) / 255))
    assert "32 bits a channel were read as 8" in photo.notes


def test_a_tiled_deep_tiff_with_any_compression_is_read():
    tifffile = pytest.importorskip("tifffile")
    for options in ({"tile": (32, 32)}, {"compression": "lzw"}):
        out = io.BytesIO()
        tifffile.imwrite(out, ramp(3, 16), photometric="rgb", **options)
        photo = read(out.getvalue())
        np.testing.assert_array_equal(photo.samples(16), ramp(3, 16))
        assert photo.notes == ()


def test_a_jpeg_xl_of_quality_100_is_lossless():
    available("JXL")
    photo = Photo(scene() / np.float32(255))
    np.testing.assert_array_equal(read(encode(photo, "JXL", 100)).samples(8), scene())
