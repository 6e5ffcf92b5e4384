import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError, UsageError
from pellucid.imaging.formats import check_size
from pellucid.imaging.io import encode, read, write

from .pictures import available, picture, reference_png16, saved, scene, source


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animations_and_multi_page_files_are_refused(format):
    available(format)
    frames = [Image.fromarray(scene(seed=i)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, format, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="holds 3 pictures"):
        read(out.getvalue())


def test_a_preview_page_is_not_a_second_picture(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "with_preview.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(scene(), photometric="rgb")
        file.write(scene()[::4, ::4], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(picture(read(path)), scene())


def test_mpo_of_a_phone_is_a_jpeg():
    frames = [Image.fromarray(scene(seed=i)) for i in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:], quality=95)
    photo = read(out.getvalue())
    assert photo.format == "JPEG"
    assert np.abs(picture(photo).astype(int) - scene()).mean() < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JXL"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(format, keep, rng, tmp_path):
    data = source(format, rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ImageError, match="cut: "):
        read(path)


def test_truncated_16_bit_files_are_refused(rng):
    samples = rng.integers(0, 65536, (40, 40, 3)).astype(np.uint16)
    deep = read(reference_png16(samples))
    for data in (reference_png16(samples), encode(deep, "TIFF")):
        with pytest.raises(ImageError):
            read(data[: len(data) // 2])


def test_clear_words_for_what_is_no_picture(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    text = tmp_path / "notes.jpg"
    text.write_text("buy milk")
    raw = tmp_path / "photo.cr3"
    raw.write_bytes(b"\0\0\0\x18ftypcrx " + bytes(100))
    cases = {
        empty: "empty",
        text: "format that can be read",
        raw: "camera's raw file",
        tmp_path / "nowhere.png": "no such file",
        tmp_path: "is a folder",
    }
    for path, words in cases.items():
        with pytest.raises(ImageError, match=words) as caught:
            read(path)
        assert str(path) in str(caught.value)
    with pytest.raises(ImageError):
        read(b"")


@pytest.mark.parametrize(
    "data, words",
    [
        (b"\0\0\0\x18ftypcrx " + bytes(100), "camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201", "camera's raw file"),
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML><html>404", "is a web page, not a picture"),
        (b"PK\3\4" + bytes(30), "is a ZIP archive"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"\0\0\0\x14ftypqt  " + bytes(30), "is a film, not a picture"),
        (b"\0\5\x16\7" + bytes(30), "what macOS stores"),
        (bytes(4096), "holds only zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a git-lfs pointer"),
    ],
)
def test_other_files_with_the_name_of_a_picture_are_called_what_they_are(tmp_path, data, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words):
        read(path)


def test_camera_raw_inside_tiff_is_refused():
    tags = {50706: b"\x01\x04\0\0"}  # DNGVersion
    with pytest.raises(ImageError, match="raw"):
        read(saved(scene(), "TIFF", tiffinfo=tags))


def test_float_samples_are_refused():
    out = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(out, "TIFF")
    with pytest.raises(ImageError, match="floating-point"):
        read(out.getvalue())


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_pictures_above_the_limit_are_refused_before_decoding(format):
    data = source(format)
    with pytest.raises(ImageError, match=r"40.*limit.*--max-pixels"):
        read(data, max_pixels=40 * 56 - 1)
    assert read(data, max_pixels=40 * 56).width == 56


def test_a_size_just_above_the_limit_is_told_apart_from_it():
    with pytest.raises(ImageError, match=r"is 1\.44 megapixels, above the limit of 1;"):
        check_size(1200, 1200, 10**6)
    with pytest.raises(ImageError, match=r"is 3600 megapixels, above the limit of 100;"):
        check_size(60000, 60000, 10**8)


def test_decompression_bomb_is_refused_quickly_and_can_be_allowed():
    huge = saved(np.zeros((1, 1), np.uint8), "PNG")
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    bomb = huge[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + huge[33:]
    with pytest.raises(ImageError, match="400 megapixels, above the limit of 100"):
        read(bomb)
    with pytest.raises(
        ImageError, match="truncated"
    ):  # allowed, but its data do not hold that many
        read(bomb, max_pixels=10**9)
    assert Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"])
def test_one_pixel(format):
    available(format)
    photo = read(source(format, scene(1, 1)))
    assert read(encode(photo, format)).pixels.shape == (1, 1, 3)


def test_an_array_is_not_written_but_told_how(tmp_path):
    with pytest.raises(UsageError, match=r"write takes a Photo, not a ndarray; .* Photo\(pixels\)"):
        write(np.zeros((4, 4, 3), np.float32), tmp_path / "a.png")
