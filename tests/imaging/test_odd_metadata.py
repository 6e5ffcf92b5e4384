"""Senseless metadata never stop a picture: before the work they are left out and named, or kept."""

import io
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

import hostile
from pellucid.imaging import formats
from pellucid.imaging.io import Photo, encode, fit, read

from .pictures import saved, scene

WRITABLE = [f.name for f in formats.FORMATS if f.writable]


def every_format(photo):
    for name in WRITABLE:
        formats.BY_NAME[name].load_plugin()
        fitting = fit(photo, name)
        again = read(encode(fitting, name))
        assert (again.width, again.height) == (photo.width, photo.height), name
        for field in ("exif", "xmp", "icc", "iptc"):
            if getattr(photo, field) and not getattr(fitting, field):
                assert fitting.notes, (name, field)
        assert fit(fitting, name).notes == fitting.notes


def test_a_seeded_fuzz_of_metadata_in_files(tmp_path):
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    corpus = hostile.Corpus(tmp_path, seed=5).fill(0)
    names = [name for name, kind in corpus.kinds.items() if kind == "metadata"]
    assert len(names) > 40
    for name in names[::4]:
        every_format(read(tmp_path / name))


def test_a_seeded_fuzz_of_photos():
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    chance = random.Random(0)
    pixels = scene(24, 32).astype(np.float32) / 255
    for _ in range(6):

        def junk():
            return chance.choice((None, b"", chance.randbytes(9), chance.randbytes(70_000)))

        texts = ({}, {"": "x"}, {"k" * 100: "x"}, {"Comment": "é\0🙂" * 30_000}, {"\n": "y"})
        photo = Photo(
            pixels,
            icc=junk(),
            exif=junk(),
            xmp=junk(),
            iptc=junk(),
            dpi=chance.choice((None, (1e9, 1e-9), (0.0, 0.0), (72, 72), (-1, 3))),
            text=chance.choice(texts),
            quantisation=chance.choice((None, ((0,) * 64,), ((1,) * 64, (70_000,) * 64), ((1,),))),
        )
        every_format(photo)
        every_format(replace(photo, grey=True))


@pytest.mark.parametrize("value, kind", [(1.5, 11), (-3, 9), (2**31, 4), (7, 3)])
def test_a_maker_of_the_wrong_type_ends_nothing(value, kind):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[271], tags[271] = kind, value
    tags[315] = "Ansel"
    photo = read(saved(scene(), "TIFF", tiffinfo=tags))
    for format in ("TIFF", "JPEG", "PNG", "AVIF"):
        with Image.open(io.BytesIO(encode(photo, format))) as image:
            assert image.getexif()[315] == "Ansel"
    assert any("271" in note for note in photo.notes) or photo.exif


@pytest.mark.parametrize("format", ["TIFF", "PNG"])
def test_a_resolution_that_makes_no_sense_is_left_out_and_said(format):
    note = "its resolution makes no sense and was left out"
    photo = read(saved(scene(), format, dpi=(4e7, 4e7)))
    assert photo.dpi is None and photo.notes == (note,)
    assert read(saved(scene(), format, dpi=(300, 300))).notes == ()
    if format == "TIFF":
        assert read(saved(scene(), format, dpi=(0, 0))).notes == ()
