import errno
import io
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError, UsageError
from pellucid.imaging import formats
from pellucid.imaging.io import Photo, encode, from_pil, read, write

from .pictures import exif, picture, profile, saved, scene, source

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:Description tiff:Orientation="6" note="kept"/></x:xmpmeta>'
)
WITH_EXIF = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL"]
LOSSLESS = ["PNG", "TIFF", "BMP"]


@pytest.mark.parametrize("format", LOSSLESS)
def test_output_format_comes_from_the_suffix(format, tmp_path):
    suffix = formats.BY_NAME[format].suffixes[0].upper()
    path = write(read(source("PNG")), tmp_path / f"sub/folder/out{suffix}")
    with Image.open(path) as image:
        assert image.format == format
        np.testing.assert_array_equal(np.asarray(image), scene())


@pytest.mark.parametrize("name", ["out.gif", "out.xyz", "out"])
def test_unknown_suffixes_are_refused(name, tmp_path):
    with pytest.raises(ImageError, match=r"\.png"):
        write(read(source("PNG")), tmp_path / name)


def test_the_input_is_never_overwritten(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(source("PNG"))
    before = path.read_bytes()
    link = tmp_path / "link.png"
    link.symlink_to(path)
    hard = tmp_path / "hard.png"
    os.link(path, hard)
    photo = read(path)
    for target in (path, link, hard, tmp_path / "sub" / ".." / "photo.png"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(ImageError, match="never overwritten"):
            write(photo, target, overwrite=True)
    with pytest.raises(ImageError, match="never overwritten"):
        write(read(link), path, overwrite=True)
    assert path.read_bytes() == before


def test_existing_files_are_kept_unless_overwriting_is_allowed(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    photo = read(source("PNG"))
    with pytest.raises(ImageError, match="exists already"):
        write(photo, path)
    assert path.read_bytes() == b"precious"
    write(photo, path, overwrite=True)
    np.testing.assert_array_equal(picture(read(path)), scene())
    assert os.listdir(tmp_path) == ["out.png"]


def test_new_files_have_the_usual_permissions(tmp_path):
    path = write(read(source("PNG")), tmp_path / "out.png")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_full_disk_leaves_nothing_and_keeps_the_old_file(call, tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    photo = read(source("PNG"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        monkeypatch.setattr("builtins.open", full)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(ImageError, match="the disk is full"):
        write(photo, path, overwrite=True)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["out.png"] and path.read_bytes() == b"precious"


def test_a_real_write_limit_leaves_nothing_behind(tmp_path):
    script = (
        "import resource, sys, numpy as np\n"
        "from pellucid.imaging.io import Photo, write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "noise = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)\n"
        "write(Photo(noise), sys.argv[1])\n"
    )
    path = tmp_path / "out.png"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert "could not be written, nothing was changed" in done.stderr
    assert os.listdir(tmp_path) == []


def test_jpeg_is_not_coarser_than_a_fine_input_nor_as_coarse_as_a_bad_one():
    def tables(data):
        with Image.open(io.BytesIO(data)) as image:
            return image.quantization, image.layer

    default, layers = tables(encode(Photo(scene().astype(np.float32) / 255), "JPEG"))
    assert {layer[1:3] for layer in layers} == {(1, 1)}  # no chroma subsampling
    fine = source("JPEG", quality=99)
    fine = saved(scene(), "JPEG", quality=99)
    assert tables(encode(read(fine), "JPEG"))[0] == tables(fine)[0]
    coarse = saved(scene(), "JPEG", quality=10)
    assert tables(encode(read(coarse), "JPEG"))[0] == default
    chosen = tables(encode(read(fine), "JPEG", quality=40))[0]
    assert chosen == tables(saved(scene(), "JPEG", quality=40))[0]


def test_webp_is_lossless_where_the_input_was():
    samples = scene()
    assert (picture(read(encode(read(source("WEBP")), "WEBP"))) == samples).all()
    assert (picture(read(encode(read(source("PNG")), "WEBP", quality=100))) == samples).all()
    lossy = saved(samples, "WEBP", quality=50)
    assert not read(lossy).lossless


def test_quality_outside_1_to_100_is_bad_usage():
    for quality in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            encode(read(source("PNG")), "JPEG", quality)


def test_formats_without_a_profile_get_srgb_colours():
    wide = replace(read(source("PNG")), icc=linear_profile())
    with Image.open(io.BytesIO(encode(wide, "BMP"))) as image:
        lighter = np.asarray(image).astype(int) - scene()
    assert lighter.mean() > 20  # linear light shown as sRGB
    plain = replace(wide, icc=profile())
    with Image.open(io.BytesIO(encode(plain, "BMP"))) as image:
        assert np.abs(np.asarray(image).astype(int) - scene()).max() <= 1


def linear_profile():
    """sRGB's primaries with a straight tone curve: the sRGB profile with its curves replaced."""
    data = bytearray(profile())
    count = int.from_bytes(data[128:132], "big")
    for i in range(count):
        entry = data[132 + 12 * i : 144 + 12 * i]
        if entry[:4] in (b"rTRC", b"gTRC", b"bTRC"):
            start, size = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:12], "big")
            data[start : start + size] = (b"curv" + bytes(8)).ljust(size, b"\0")
    return bytes(data)


def test_a_profile_for_grey_does_not_go_into_a_colour_file():
    grey = bytearray(profile())
    grey[16:20] = b"GRAY"
    photo = replace(read(source("PNG")), icc=bytes(grey))
    assert read(encode(photo, "PNG")).icc is None
    assert read(encode(replace(photo, grey=True), "PNG")).icc == bytes(grey)


def test_what_the_encoder_cannot_do_is_said(tmp_path):
    for side, name in ((16383, "out.webp"), (65500, "out.jpg")):
        kind = formats.format_of(name).name
        with pytest.raises(ImageError, match=f"{name}: {side + 1} x 1: {kind} files have sides of"):
            write(Photo(np.zeros((1, side + 1, 3), np.float32)), tmp_path / name)
        write(Photo(np.zeros((1, side, 3), np.float32)), tmp_path / name)


def test_pillow_images_go_through_the_same_rules():
    image = Image.open(io.BytesIO(source("JPEG", exif=exif(6))))
    photo = from_pil(image)
    assert photo.pixels.shape == (56, 40, 3) and photo.path is None


def test_photo_refuses_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match="float32"):
        Photo(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="alpha"):
        Photo(np.zeros((4, 4, 3), np.float32), alpha=np.zeros((4, 5), np.float32))
