import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from pellucid.imaging import formats
from pellucid.imaging.io import encode, read, write

from .pictures import exif, picture, profile, source

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:Description tiff:Orientation="6" note="kept"/></x:xmpmeta>'
)
WITH_EXIF = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL"]
LOSSLESS = ["PNG", "TIFF", "BMP"]


@pytest.mark.parametrize("format", WITH_EXIF)
def test_exif_profile_and_resolution_survive(format, tmp_path):
    options = {"exif": exif(), "icc_profile": profile(), "dpi": (300, 300)}
    photo = read(source(format, **options))
    path = write(photo, tmp_path / f"out{formats.BY_NAME[format].suffixes[0]}")
    again = read(path)
    with Image.open(path) as image:
        tags = image.getexif()
        assert tags[0x010F] == "Pellucid Camera Works"
        assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert tags.get_ifd(0x8769)[0x927C] == b"maker's secret"
        assert float(tags.get_ifd(0x8825)[2][2]) == 24.5
    if "icc" in formats.BY_NAME[format].holds:
        assert again.icc == photo.icc == profile_of(source(format, **options))
    if format in ("JPEG", "PNG", "TIFF"):
        assert again.dpi == pytest.approx((300, 300), abs=0.01)
    assert np.abs(again.pixels - photo.pixels).mean() < 0.01


def profile_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.info["icc_profile"]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_bytes_are_kept_apart_from_orientation_and_thumbnail(format):
    block = exif(orientation=6)
    photo = read(source(format, exif=block))
    again = read(encode(photo, format))
    original = block.removeprefix(b"Exif\0\0")
    assert again.exif == photo.exif
    assert len(photo.exif) == len(original)
    assert sum(a != b for a, b in zip(photo.exif, original, strict=True)) == 1


def test_thumbnail_of_the_damaged_picture_is_unlinked():
    block = bytearray(exif(orientation=3).removeprefix(b"Exif\0\0"))
    assert block[:2] == b"MM"
    link = 10 + 12 * int.from_bytes(block[8:10], "big")
    block[link : link + 4] = len(block).to_bytes(4, "big")  # a directory after the first
    photo = read(source("PNG", exif=bytes(block) + b"\0" * 6))
    assert photo.exif[link : link + 4] == b"\0\0\0\0"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_once(format, orientation):
    data = source(format, exif=exif(orientation), dpi=(300, 200))
    photo = read(data)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    np.testing.assert_array_equal(picture(photo), np.asarray(expected))
    again = read(encode(photo, format))
    assert again.pixels.shape == photo.pixels.shape
    assert np.abs(again.pixels - photo.pixels).mean() < 0.01
    with Image.open(io.BytesIO(encode(photo, format))) as image:
        assert image.getexif().get(0x0112, 1) == 1
    if format in ("JPEG", "PNG", "TIFF"):
        assert photo.dpi == pytest.approx((300, 200) if orientation < 5 else (200, 300), abs=0.02)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_and_notes_in_xmp_count_too(format):
    options = {"xmp": XMP}
    if format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": chunks}
    elif format == "TIFF":
        options = {"tiffinfo": {700: XMP}}
    photo = read(source(format, **options))
    assert photo.pixels.shape == (56, 40, 3)
    again = read(encode(photo, format))
    assert again.pixels.shape == (56, 40, 3)
    assert b'note="kept"' in again.xmp and b'Orientation="6"' not in again.xmp


def test_jpeg_comment_and_png_text_are_kept():
    photo = read(source("JPEG", comment=b"from grandmother's album"))
    assert read(encode(photo, "JPEG")).text == {"Comment": "from grandmother's album"}
    assert read(encode(photo, "PNG")).text == {"Comment": "from grandmother's album"}
    japanese = replace(photo, text={"Title": "写真"})
    assert read(encode(japanese, "PNG")).text == {"Title": "写真"}


def test_damaged_exif_does_not_stop_the_picture():
    for block in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"II*\0"):
        photo = read(source("PNG", exif=block))
        assert photo.pixels.shape == (40, 56, 3)
        encode(photo, "JPEG")
        encode(photo, "TIFF")
