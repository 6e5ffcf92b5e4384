"""Colours mean the same after a round trip, and black and white stays black and white."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

import tiny
from pellucid.imaging import profiles
from pellucid.imaging.io import Photo, encode, fit, read
from pellucid.imaging.neutral import keep_neutral

from .pictures import available, profile, reference_png16, saved, scene


def shown(data):
    """What a viewer with colour management shows: uint8 sRGB."""
    with Image.open(io.BytesIO(data)) as image:
        icc = image.info.get("icc_profile")
        if not icc:
            return np.asarray(image.convert("RGB")).astype(int)
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        return np.asarray(converted).astype(int)


def srgb_levels(light):
    light = np.asarray(light, float)
    low = 12.92 * light
    return 255 * np.where(
        light <= 0.0031308, low, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    )


def png(samples, **chunks):
    info = PngImagePlugin.PngInfo()
    for name, body in chunks.items():
        info.add(name.encode(), body)
    return saved(samples, "PNG", pnginfo=info)


P3 = np.array(  # from linear Display P3 to linear sRGB (CSS Color 4)
    [[1.2249401, -0.2249402, 0], [-0.0420569, 1.0420571, 0], [-0.0196376, -0.0786361, 1.0982735]]
)


# grey ------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_black_and_white_stored_as_rgb_gains_no_tint(format):
    available(format)
    grey = np.repeat(scene(channels=1), 3, axis=2)
    photo = read(saved(grey, format, quality=70))
    assert not photo.grey
    restored = tiny.restorer().restore(photo)
    with Image.open(io.BytesIO(encode(restored, "PNG"))) as image:
        assert image.mode == "RGB" and np.ptp(np.asarray(image), axis=2).max() == 0
    assert np.abs(restored.pixels - photo.pixels).max() > 0.01


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_black_and_white_arrays_and_tensors_gain_no_tint(kind):
    grey = np.repeat(scene(channels=1), 3, axis=2).astype(np.float32) / 255
    given = kind(grey if kind is np.asarray else np.ascontiguousarray(grey.transpose(2, 0, 1)))
    restored = np.asarray(tiny.restorer().restore(given))
    assert np.ptp(restored, axis=2 if kind is np.asarray else 0).max() < 1e-6
    assert np.abs(restored - np.asarray(given)).max() > 0.01


def test_a_faint_tint_is_a_colour():
    tinted = np.repeat(scene(channels=1), 3, axis=2).clip(0, 250)
    tinted[20:24, 20:24, 0] += 3
    before = torch.from_numpy(tinted.transpose(2, 0, 1).astype(np.float32)) / 255
    after = torch.rand(3, 40, 56)
    assert keep_neutral(before, after) is after
    grey = keep_neutral(before[:1].expand(3, -1, -1), after)
    luma = Image.fromarray((after * 255).byte().permute(1, 2, 0).numpy()).convert("L")
    assert np.abs(255 * grey[1].numpy() - np.asarray(luma)).max() < 2


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_a_grey_picture_with_an_rgb_profile_keeps_its_tones(format):
    linear = profiles.rgb_profile(profiles.BT709, profiles.power(1.0))
    given = saved(scene(channels=1), "JPEG", quality=100, icc_profile=linear)
    photo = read(given)
    data = encode(photo, format)
    with Image.open(io.BytesIO(data)) as image:
        kept = image.info["icc_profile"]
        stored = np.asarray(image)
    assert kept[16:20] == b"GRAY" and profiles.space(kept) == "GRAY"
    assert np.abs(stored.astype(int) - photo.samples(8)[..., 0]).max() <= 1
    expected = srgb_levels(stored / 255)
    assert np.abs(shown(data)[..., 0] - expected).max() < 2


# profiles --------------------------------------------------------------------


def test_colorants_of_display_p3_are_those_of_its_specification():
    expected = [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
    np.testing.assert_allclose(profiles.matrix(profiles.PRIMARIES[12]), expected, atol=1e-4)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF", "BMP", "JXL"])
def test_a_wide_gamut_is_shown_alike_by_every_format(format):
    available(format)
    stored = np.full((16, 16, 3), (180, 120, 60), np.uint8)
    expected = srgb_levels(P3 @ profiles.srgb(stored[0, 0] / 255))
    wide = profiles.rgb_profile(profiles.PRIMARIES[12])
    photo = read(saved(stored, "PNG", icc_profile=wide))
    data = encode(photo, format)
    assert np.abs(shown(data)[8, 8] - expected).max() <= 3
    kept = format not in ("BMP", "JXL")
    assert (read(data).icc == wide) is kept
    assert any("become sRGB" in note for note in fit(photo, format).notes) is not kept


def exif_of(space, index):
    tags = Image.Exif()
    tags[0x0110] = "Camera"
    tags.get_ifd(0x8769).update({0xA001: space, 0xA005: {1: index, 2: b"0100"}})
    return tags.tobytes()


@pytest.mark.parametrize("target", ["JPEG", "PNG", "BMP"])
def test_adobe_rgb_that_only_exif_names_is_understood(target):
    stored = np.full((16, 16, 3), (60, 180, 120), np.uint8)
    options = {"quality": 100, "subsampling": 0}
    photo = read(saved(stored, "JPEG", exif=exif_of(0xFFFF, "R03"), **options))
    # https://www.adobe.com/digitalimag/pdfs/AdobeRGB1998.pdf, 4.3.5.3 and IEC 61966-2-1
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_srgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    light = np.array(to_srgb) @ np.array(to_xyz) @ (photo.samples(8)[8, 8] / 255) ** (563 / 256)
    expected = srgb_levels(light).clip(0, 255)
    assert np.abs(shown(encode(photo, target))[8, 8] - expected).max() <= 3
    assert np.abs(expected - stored[0, 0]).max() > 20


@pytest.mark.parametrize("space, index", [(1, "R03"), (0xFFFF, "R98"), (1, "R98")])
def test_other_colours_in_exif_are_srgb(space, index):
    assert read(saved(scene(), "JPEG", exif=exif_of(space, index))).icc is None


# PNG -------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_1_keeps_its_tones(format, channels):
    samples = np.full((16, 16, channels), 64, np.uint8)
    photo = read(png(samples, gAMA=struct.pack(">L", 100000)))
    assert np.abs(shown(encode(photo, format)) - srgb_levels(64 / 255)).max() < 2
    assert (photo.samples(8) == 64).all()


@pytest.mark.parametrize("extra", [{}, {"sRGB": b"\0"}])
def test_the_usual_gamma_is_srgb(extra):
    chunks = {"gAMA": struct.pack(">L", 45455), **extra}
    assert read(png(scene(), **chunks)).icc is None


def test_an_srgb_chunk_or_a_profile_counts_more_than_gamma():
    gamma = struct.pack(">L", 100000)
    assert read(png(scene(), sRGB=b"\0", gAMA=gamma)).icc is None
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", gamma)
    assert read(saved(scene(), "PNG", pnginfo=info, icc_profile=profile())).icc[36:40] == b"acsp"


def test_chromaticities_become_a_profile():
    xy = (*profiles.PRIMARIES[12],)
    chunk = struct.pack(">8L", *(round(v * 1e5) for v in xy))
    stored = np.full((8, 8, 3), (180, 120, 60), np.uint8)
    data = encode(read(png(stored, cHRM=chunk, gAMA=struct.pack(">L", 45455))), "PNG")
    expected = srgb_levels(P3 @ (stored[0, 0] / 255) ** 2.2)
    assert np.abs(shown(data)[0, 0] - expected).max() <= 2


@pytest.mark.parametrize("chunk", [b"\0" * 32, struct.pack(">8L", *[50000] * 8), b"\xff" * 32])
def test_senseless_chromaticities_are_said(chunk):
    photo = read(png(scene(), cHRM=chunk))
    assert photo.icc is None and "makes no sense" in photo.notes[0]


def test_numbers_of_png_are_understood():
    stored = np.full((8, 8, 3), (180, 120, 60), np.uint8)
    wide = read(png(stored, cICP=bytes([12, 13, 0, 1])))
    expected = srgb_levels(P3 @ profiles.srgb(stored[0, 0] / 255))
    assert np.abs(shown(encode(wide, "JPEG"))[0, 0] - expected).max() <= 2
    assert read(png(stored, cICP=bytes([1, 13, 0, 1]))).icc is None
    assert "limited range" in read(png(stored, cICP=bytes([9, 16, 0, 0]))).notes[0]


def pq(nits):
    y = (np.asarray(nits, float) / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


@pytest.mark.parametrize("deep", [False, True])
def test_high_dynamic_range_becomes_standard_range_and_says_so(deep):
    nits = np.array([0, 2.03, 20.3, 101.5, 203, 1000, 10000])
    codes = np.repeat(pq(nits)[None, :, None], 3, axis=2)
    chunk = bytes([1, 16, 0, 1])
    if deep:
        samples = np.rint(codes * 65535).astype(np.uint16)
        data = reference_png16(samples, extra=[(b"cICP", chunk)])
    else:
        data = png(np.rint(codes * 255).astype(np.uint8), cICP=chunk)
    photo = read(data)
    assert any("(PQ) was converted" in note for note in photo.notes) and photo.icc is None
    levels = 255 * photo.pixels[0, :, 0]
    expected = srgb_levels(nits[:4] / 203)  # below the knee nothing is compressed
    assert np.abs(levels[:4] - expected).max() < (0.1 if deep else 4)
    assert (np.diff(levels) > 0).all() and 230 < levels[4] < 250 and levels[-1] <= 255


def test_hybrid_log_gamma_puts_its_reference_white_where_pq_has_it():
    photo = read(png(np.full((4, 4, 3), 191, np.uint8), cICP=bytes([9, 18, 0, 1])))
    from_pq = read(png(np.full((4, 4, 3), 148, np.uint8), cICP=bytes([9, 16, 0, 1])))
    assert np.abs(photo.pixels - from_pq.pixels).max() < 0.01
    assert profiles.space(photo.icc) == "RGB"  # BT.2020's primaries stay


# AVIF and HEIC ---------------------------------------------------------------


def with_numbers(data, primaries, transfer):
    at = data.index(b"colrnclx")
    return data[: at + 8] + struct.pack(">HH", primaries, transfer) + data[at + 12 :]


def test_numbers_of_avif_are_understood():
    available("AVIF")
    stored = np.full((64, 64, 3), (180, 120, 60), np.uint8)
    data = saved(stored, "AVIF", quality=100, subsampling="4:4:4")
    photo = read(with_numbers(data, 12, 13))
    expected = srgb_levels(P3 @ profiles.srgb(stored[0, 0] / 255))
    for format in ("AVIF", "JPEG", "PNG"):
        assert np.abs(shown(encode(photo, format))[32, 32] - expected).max() <= 4
    assert any("(HLG)" in note for note in read(with_numbers(data, 9, 18)).notes)
    assert read(data).icc is None and not read(data).notes


def test_numbers_and_ten_bits_of_heic_are_kept(rng):
    pillow_heif = pytest.importorskip("pillow_heif")
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64, 1).repeat(3, axis=2).astype(np.uint16)
    out = io.BytesIO()
    options = {"quality": -1, "chroma": "444", "matrix_coefficients": 0}
    pillow_heif.encode(
        *("RGB;16", (64, 64), ramp.tobytes(), out),
        **options,
        bit_depth=10,
        color_primaries=12,
        transfer_characteristics=13,
    )
    photo = read(out.getvalue())
    assert photo.bit_depth == 10 and len(np.unique(photo.pixels)) > 1000
    assert np.abs(photo.pixels - ramp / 65535).max() < 1.5 / 1023
    assert profiles.space(photo.icc) == "RGB"
    again = read(encode(photo, "HEIF"))
    assert again.bit_depth == 10 and again.icc == photo.icc
    assert np.abs(again.pixels - photo.pixels).mean() < 0.003
    assert fit(photo, "HEIF").notes == () and "become 8" in fit(photo, "WEBP").notes[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_become_10_in_heic(channels):
    available("HEIF")
    pixels = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64, 1).repeat(3, axis=2)
    alpha = np.ones((64, 64), np.float32) if channels % 2 == 0 else None
    photo = Photo(pixels, alpha=alpha, bit_depth=16, grey=channels < 3)
    assert "become 10" in fit(photo, "HEIF").notes[0]
    again = read(encode(photo, "HEIF"))
    assert again.bit_depth == 10 and np.abs(again.pixels - pixels).mean() < 0.005


def test_a_profile_that_is_damaged_is_left_out_and_said():
    photo = fit(read(saved(scene(), "PNG", icc_profile=b"junk" * 50)), "PNG")
    assert photo.icc is None and "colour profile is damaged" in photo.notes[0]
