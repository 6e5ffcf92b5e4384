"""What else is in a file: kept where there is a place for it, else named in the notes."""

import io
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from pellucid.imaging import iptc, xmp
from pellucid.imaging.io import encode, fit, read

from .pictures import available, saved, scene, source

IPTC = b"\x1c\x02\x05\x00\x05Beach\x1c\x02\x19\x00\x07holiday\x1c\x02\x74\x00\x01A"
RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" {attributes}>{children}</rdf:Description></rdf:RDF></x:xmpmeta>'
)


def packet(attributes="", children=""):
    return RDF.format(attributes=attributes, children=children).encode()


def with_segments(jpeg, *segments):
    """A JPEG with more segments behind its first marker; each is (marker, body)."""
    blocks = (
        bytes([255, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    )
    return jpeg[:2] + b"".join(blocks) + jpeg[2:]


def photoshop(*resources):
    blocks = b"Photoshop 3.0\0"
    for number, body in resources:
        blocks += b"8BIM" + struct.pack(">HHL", number, 0, len(body)) + body + bytes(len(body) & 1)
    return blocks


# IPTC ------------------------------------------------------------------------


def iptc_source(format):
    if format == "JPEG":
        return with_segments(source("JPEG"), (0xED, photoshop((0x0404, IPTC))))
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Raw profile type iptc", f"\niptc\n{len(IPTC):8d}\n{IPTC.hex()}\n")
        return saved(scene(), "PNG", pnginfo=info)
    padded = IPTC + bytes(-len(IPTC) % 4)
    data = bytearray(saved(scene(), "TIFF", tiffinfo={33723: padded}))
    at = data.index(struct.pack("<HHL", 33723, 7, len(padded)))
    data[at : at + 8] = struct.pack("<HHL", 33723, 4, len(padded) // 4)  # LONG, as Photoshop has it
    return bytes(data)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_iptc_goes_along(format, target):
    photo = read(iptc_source(format))
    assert photo.iptc.rstrip(b"\0") == IPTC
    data = encode(photo, target)
    assert read(data).iptc.rstrip(b"\0") == IPTC
    with Image.open(io.BytesIO(data)) as image:  # where other programs look for it
        if target == "JPEG":
            assert image.info["photoshop"][0x0404].rstrip(b"\0") == IPTC
        elif target == "TIFF":
            assert image.tag_v2[33723].rstrip(b"\0") == IPTC


@pytest.mark.parametrize("target", ["WEBP", "BMP"])
def test_iptc_without_a_place_is_said_before_the_work(target):
    photo = fit(read(iptc_source("JPEG")), target)
    assert photo.iptc is None
    assert any("IPTC data was left out" in note for note in photo.notes)


def test_iptc_of_a_16_bit_tiff_goes_along():
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    extra = [(33723, 7, len(IPTC), IPTC, True)]
    tifffile.imwrite(out, scene(bits=16), photometric="rgb", extratags=extra)
    photo = read(out.getvalue())
    assert photo.iptc == IPTC and read(encode(photo, "TIFF")).iptc == IPTC


def test_damaged_iptc_in_a_tiff_is_said():
    photo = read(saved(scene(), "TIFF", tiffinfo={33723: b"garbage!"}))
    assert photo.iptc is None and any("IPTC" in note for note in photo.notes)


def test_too_much_iptc_for_jpeg_is_said():
    photo = fit(replace(read(source("PNG")), iptc=IPTC + b"x" * 70000), "JPEG")
    assert photo.iptc is None and "too long" in photo.notes[0]


def test_png_text_of_resources_is_understood():
    block = photoshop((0x0404, IPTC)).removeprefix(b"Photoshop 3.0\0")
    assert iptc.from_png_text(f"\n8bim\n{len(block):8d}\n{block.hex()}\n") == IPTC
    assert iptc.from_png_text("nonsense") is None


# XMP -------------------------------------------------------------------------

NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{}"'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
BIG = "0123456789" * 15000


def extended_jpeg():
    extension = packet(DC + f' dc:source="{BIG}"')
    guid = "0123456789ABCDEF0123456789ABCDEF"
    standard = packet(DC + ' dc:format="image/jpeg" ' + NOTE.format(guid))
    segments = [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + standard)]
    for at in range(0, len(extension), 60000):
        head = guid.encode() + struct.pack(">LL", len(extension), at)
        body = b"http://ns.adobe.com/xmp/extension/\0" + head + extension[at : at + 60000]
        segments.append((0xE1, body))
    return with_segments(source("JPEG"), *segments)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
def test_extended_xmp_goes_along(target):
    photo = read(extended_jpeg())
    assert BIG.encode() in photo.xmp and b"HasExtendedXMP" not in photo.xmp
    assert fit(photo, target).notes == ()
    data = encode(photo, target)
    again = read(data).xmp
    assert BIG.encode() in again and b'format="image/jpeg"' in again
    if target == "JPEG":  # what a reader of the standard packet alone gets
        with Image.open(io.BytesIO(data)) as image:
            standard = image.info["xmp"]
        assert len(standard) < 65503 and b'format="image/jpeg"' in standard
        assert re.search(rb'HasExtendedXMP="[0-9A-F]{32}"', standard)


def test_damaged_extended_xmp_is_said():
    data = bytearray(extended_jpeg())
    at = data.rindex(b"http://ns.adobe.com/xmp/extension/\0") + 35 + 36
    data[at : at + 4] = b"\xff\0\0\0"  # the offset of the last part
    photo = read(bytes(data))
    assert any("extended XMP is damaged" in note for note in photo.notes)
    assert b'format="image/jpeg"' in photo.xmp and b"HasExtendedXMP" not in photo.xmp


def test_long_xmp_that_is_no_xml_is_left_out_of_a_jpeg_before_the_work():
    photo = fit(replace(read(source("PNG")), xmp=b"<broken " * 10000), "JPEG")
    assert photo.xmp is None and "cannot be parted" in photo.notes[0]


@pytest.mark.parametrize("space", ["hdrgm", "GCamera", "MicroVideo"])
def test_further_pictures_are_left_out_and_not_claimed(space):
    claims = {
        "hdrgm": 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"',
        "GCamera": 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1"'
        ' GCamera:MotionPhotoVersion="1"',
        "MicroVideo": 'xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MicroVideoOffset="9"',
    }[space]
    container = (
        '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/"'
        ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><rdf:Seq><rdf:li>'
        '<Container:Item Item:Mime="image/jpeg" Item:Semantic="GainMap"/></rdf:li></rdf:Seq>'
        "</Container:Directory>"
    )
    block = packet(claims + " " + DC + ' dc:rights="mine"', container)
    photo = read(source("JPEG", xmp=block))
    wanted = "gain map" if space == "hdrgm" else "motion photo"
    assert any(wanted in note for note in photo.notes)
    assert b"mine" in photo.xmp
    for word in (b"Version=", b"MotionPhoto=", b"MicroVideoOffset=", b"GainMap", b"Directory>"):
        assert word not in photo.xmp
    xmp._parse(photo.xmp)  # still XML


def test_the_film_of_a_motion_photo_is_said():
    data = source("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(100)
    assert any("motion photo" in note for note in read(data).notes)


def test_a_film_behind_a_jpeg_is_not_taken_for_a_part_of_it():
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda" + bytes(100)
    assert read(source("JPEG") + film).notes == ("its motion photo was left out",)


def test_a_gain_map_behind_a_jpeg_is_said_once():
    claim = packet('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"')
    data = source("JPEG", xmp=claim) + source("JPEG", scene(channels=1))
    assert read(data).notes == ("its gain map was left out",)


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
@pytest.mark.parametrize(
    "box, note",
    [
        (b"mpvd" + bytes(100), "its motion photo was left out"),
        (
            b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"C2PA",
            "its content credentials (C2PA) were left out",
        ),
        (b"sefd" + b"x" * 100, "the file's last 108 bytes, behind the picture, were left out"),
    ],
)
def test_what_is_beside_a_picture_in_heic_and_avif_is_said(format, box, note):
    data = source(format)
    assert read(data).notes == ()
    assert read(data + struct.pack(">L", len(box) + 4) + box).notes == (note,)


def test_further_views_of_a_phone_are_said():
    frames = [Image.fromarray(scene(seed=i)) for i in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:], quality=95)
    assert any("1 further picture was" in note or "further picture" in note
               for note in read(out.getvalue()).notes)  # fmt: skip


# sizes and the rest ----------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_sizes_in_the_metadata_are_those_of_the_turned_picture(format):
    available(format)
    block = Image.Exif()
    block[0x0112] = 6
    block[0x8769] = {0xA002: 56, 0xA003: 40, 0x9003: "2024:05:06 07:08:09"}
    sizes = packet(
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="56" '
        'exif:PixelYDimension="40"'
    )
    photo = read(saved(scene(), format, exif=block.tobytes(), quality=95))
    assert (photo.width, photo.height) == (40, 56)
    with Image.open(io.BytesIO(encode(photo, format))) as image:
        inner = image.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (40, 56)
    if format == "JPEG":
        photo = read(saved(scene(), format, exif=block.tobytes(), xmp=sizes))
        assert b'PixelXDimension="40" exif:PixelYDimension="56"' in photo.xmp


@pytest.mark.parametrize(
    "segment, words",
    [
        ((0xEB, b"JP\0\x01jumb c2pa"), "content credentials"),
        ((0xE1, b"FLIR\0thermal"), "FLIR"),
        ((0xED, photoshop((0x07D0, b"a path"))), "Photoshop's settings"),
    ],
)
def test_what_other_programs_stored_in_a_jpeg_is_said(segment, words):
    assert any(words in note for note in read(with_segments(source("JPEG"), segment)).notes)


def test_tags_of_a_tiff_without_a_place_are_said():
    tags = {33550: (1.0, 1.0, 0.0), 271: "Camera"}
    photo = read(saved(scene(), "TIFF", tiffinfo=tags))
    assert photo.notes == ("TIFF tags were left out: 33550",)


def test_ordinary_photographs_have_nothing_to_say():
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JXL"):
        assert fit(read(source(format)), format).notes == (), format


def test_names_that_are_not_ascii_stay_in_a_tiff():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[315] = "José".encode()
    photo = read(saved(scene(), "TIFF", tiffinfo=tags))
    with Image.open(io.BytesIO(encode(photo, "TIFF"))) as image:
        assert image.tag_v2[315].encode("latin-1") == "José".encode()


def test_a_profile_of_megabytes_survives_png(rng):
    from .pictures import profile

    body = profile() + rng.integers(0, 256, 1_500_000).astype(np.uint8).tobytes()
    icc = struct.pack(">L", len(body)) + body[4:]
    photo = read(source("TIFF", icc_profile=icc))
    assert photo.icc == icc
    assert read(encode(photo, "PNG")).icc == icc


# what follows a picture, and what libraries drop ------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_bytes_behind_a_picture_are_said(format):
    data = source(format)
    for nothing in (b"", b"\0" * 100, b"\r\n"):
        assert read(data + nothing).notes == ()
    for more in (b"PK\x03\x04" + bytes(996), b"x"):
        note = f"the file's last {len(more)} bytes, behind the picture, were left out"
        assert read(data + more).notes == (note,)


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 1}])
def test_the_end_of_a_jpeg_is_not_taken_for_one_in_its_scans_or_thumbnail(options):
    data = with_segments(saved(scene(), "JPEG", **options), (0xE1, b"Exif\0\0" + source("JPEG")))
    assert not any("behind" in note for note in read(data).notes)
    assert any("behind" in note for note in read(data + b"SEFT").notes)


def test_a_profile_in_pieces_that_are_not_all_there_is_said():
    data = with_segments(source("JPEG"), (0xE2, b"ICC_PROFILE\0\x01\xff" + bytes(50)))
    assert read(data).notes == ("its colour profile is damaged and was left out",)


def test_comments_beside_the_first_are_said():
    data = with_segments(source("JPEG"), *((0xFE, b"one"), (0xFE, b"two"), (0xFE, b"three")))
    assert read(data).notes == ("2 further comments were left out",)
