import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError
from pellucid.imaging.io import Photo, encode, read, write

from .pictures import picture, profile, reference_png16, saved, scene, source


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_lossless_round_trip_is_bit_exact(format, bits, channels, rng, tmp_path):
    if format == "TIFF" and bits == 16 and channels > 1:
        pytest.importorskip("tifffile")
    top = 2**bits
    samples = rng.integers(0, top, (31, 45, channels)).astype(np.uint8 if bits == 8 else np.uint16)
    if channels == 1 or bits == 8:
        mode = {2: "LA"}.get(channels)
        image = Image.fromarray(samples[..., 0] if channels == 1 else samples, mode=mode)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        data = buffer.getvalue()
    else:
        data = reference_png16(samples)
    photo = read(data)
    assert (photo.bit_depth, photo.grey) == (bits, channels < 3)
    path = write(photo, tmp_path / f"out.{format.lower()}")
    again = read(path)
    assert (again.bit_depth, again.grey, again.alpha is None) == (
        bits,
        channels < 3,
        channels % 2 == 1,
    )
    np.testing.assert_array_equal(again.samples(bits), samples)


@pytest.mark.parametrize("format", ["WEBP", "TIFF", "PNG"])
def test_alpha_is_untouched_even_where_pixels_change(format):
    samples = scene(channels=4)
    samples[:9, :9, 3] = 0
    photo = read(source(format, samples))
    restored = photo.with_pixels(photo.pixels * np.float32(0.5))
    again = read(encode(restored, format))
    np.testing.assert_array_equal(again.samples(8)[..., 3], samples[..., 3])


@pytest.mark.parametrize("format", ["JPEG", "BMP"])
def test_transparency_is_refused_where_it_would_be_lost(format, tmp_path):
    photo = read(source("PNG", scene(channels=4)))
    with pytest.raises(ImageError, match="transparent"):
        write(photo, tmp_path / f"out.{format.lower()}")
    assert list(tmp_path.iterdir()) == []
    opaque = replace(photo, alpha=np.ones_like(photo.alpha))
    assert read(encode(opaque, format)).alpha is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP"])
def test_grey_stays_grey(format):
    photo = read(source(format, scene(channels=1)))
    assert photo.grey and photo.pixels.shape == (40, 56, 3)
    with Image.open(io.BytesIO(encode(photo, format))) as image:
        assert image.mode == "L"


def test_grey_of_a_restored_picture_is_its_luma():
    photo = Photo(np.full((2, 2, 3), (1, 0, 0), np.float32), grey=True)
    assert photo.samples(8).ravel().tolist() == [76] * 4


def test_palette_and_one_bit_pictures_are_read():
    image = Image.fromarray(scene()).quantize(16)
    out = io.BytesIO()
    image.save(out, "PNG")
    photo = read(out.getvalue())
    np.testing.assert_array_equal(picture(photo), np.asarray(image.convert("RGB")))
    assert not photo.grey

    image.save(out := io.BytesIO(), "GIF", transparency=3)
    photo = read(out.getvalue())
    assert photo.alpha is not None and set(np.unique(photo.alpha)) == {0, 1}

    image = Image.fromarray(scene(channels=1)[..., 0]).convert("1")
    image.save(out := io.BytesIO(), "PNG")
    photo = read(out.getvalue())
    assert photo.grey and set(np.unique(photo.pixels)) == {0, 1}


def test_transparent_colour_of_a_png_becomes_alpha():
    photo = read(saved(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8), "PNG", transparency=(9, 9, 9)))
    assert photo.alpha.tolist() == [[1, 0]]


def test_cmyk_becomes_srgb(tmp_path):
    image = Image.fromarray(scene()).convert("CMYK")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=100, subsampling=0)
    photo = read(out.getvalue())
    assert np.abs(picture(photo).astype(int) - scene()).mean() < 3
    assert photo.icc is None and not photo.grey and photo.quantisation is None
    image.save(out := io.BytesIO(), "TIFF")
    np.testing.assert_array_equal(picture(read(out.getvalue())), np.asarray(image.convert("RGB")))
    # a profile that is not for CMYK must not stop the picture
    image.save(out := io.BytesIO(), "JPEG", icc_profile=profile())
    assert read(out.getvalue()).icc is None


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_ycbcr_tiff_is_read_compressed_or_not(compression, rng):
    given = Image.fromarray(rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)).convert("YCbCr")
    given.save(out := io.BytesIO(), "TIFF", compression=compression)
    found = read(out.getvalue()).pixels * 255
    assert np.abs(found - np.asarray(given.convert("RGB"))).max() <= 1.01  # two ways of rounding


def test_lab_is_converted_with_colour_management():
    white = Image.new("LAB", (4, 4), (255, 128, 128))
    white.save(out := io.BytesIO(), "TIFF")
    np.testing.assert_allclose(read(out.getvalue()).pixels, 1, atol=0.01)


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_16_bit_grey_tiff(white_is_zero, rng):
    samples = rng.integers(0, 65536, (9, 7)).astype(np.uint16)
    out = io.BytesIO()
    stored = ~samples if white_is_zero else samples
    Image.fromarray(stored).save(out, "TIFF", tiffinfo={262: 0 if white_is_zero else 1})
    photo = read(out.getvalue())
    assert photo.bit_depth == 16 and photo.grey
    np.testing.assert_array_equal(photo.samples(16)[..., 0], samples)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("extra", [None, "unassalpha", "assocalpha", "unspecified"])
def test_16_bit_colour_tiff_of_other_programs(planar, extra, rng):
    tifffile = pytest.importorskip("tifffile")
    samples = rng.integers(0, 65536, (12, 15, 3 if extra is None else 4)).astype(np.uint16)
    if extra == "assocalpha":
        samples[..., 3] = 65535
    stored = samples if planar == "contig" else np.moveaxis(samples, -1, 0)
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        stored,
        photometric="rgb",
        planarconfig=planar,
        compression="zlib",
        byteorder=">",
        extrasamples=None if extra is None else [extra],
        resolution=(118, 118),
        resolutionunit="CENTIMETER",
        iccprofile=profile(),
        extratags=[(274, 3, 1, 6, True), (315, 2, 0, "Ansel", True)],
    )
    photo = read(out.getvalue())
    kept = samples[..., : 4 if extra in ("unassalpha", "assocalpha") else 3]
    np.testing.assert_array_equal(photo.samples(16), np.rot90(kept, -1))
    assert photo.dpi == pytest.approx((299.72, 299.72), abs=0.01)
    assert photo.icc == profile_bytes(out)
    again = read(encode(photo, "TIFF"))
    np.testing.assert_array_equal(again.samples(16), np.rot90(kept, -1))
    tags = Image.Exif()
    tags.load(encode(photo, "TIFF"))
    assert tags[315] == "Ansel" and tags.get(274, 1) == 1


def profile_bytes(out):
    tags = Image.Exif()
    tags.load(out.getvalue())
    return tags[34675]


def test_16_bit_colour_tiff_says_what_to_install(monkeypatch):
    photo = Photo(np.zeros((3, 3, 3), np.float32), bit_depth=16)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageError, match=r"pellucid\[formats\]"):
        read(encode(photo, "TIFF"))


@pytest.mark.parametrize(
    "module, head", [("pillow_heif", b"\0\0\0\x18ftypheic"), ("pillow_jxl", b"\xff\x0a")]
)
def test_optional_formats_say_what_to_install(module, head, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImageError, match=r"pellucid\[formats\]"):
        read(head + bytes(40))
