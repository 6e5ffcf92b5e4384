"""The format of a file by its content, and what its header forbids before anything is decoded."""

from __future__ import annotations

from pellucid.errors import ImageError
from pellucid.imaging import jxl, png16, tiff
from pellucid.imaging.formats import BY_NAME, Format, check_size

_MOST_SCANS = 100  # of a progressive JPEG; programs write about ten
_LONGEST_SIDE = 200_000  # of a 16-bit PNG, decoded here by diagonals
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def sniff(data: bytes, suffix: str = "") -> Format | None:
    """The format of a file's content, from its first bytes (None: not one of ours).

    TGA files need not say what they are: those count whose name has its `suffix`.
    """
    head = data[:32]
    for magic, name in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"GIF8", "GIF"),
        (b"BM", "BMP"),
        (b"\xff\x0a", "JXL"),
        (b"\xff\x4f\xff\x51", "JPEG2000"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"\x01\xda", "SGI"),
        (b"qoif", "QOI"),
    ):
        if head.startswith(magic):
            return BY_NAME[name]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WEBP"
    elif head[4:8] == b"JXL ":
        name = "JXL"
    elif head[4:12] in (b"ftypavif", b"ftypavis"):
        name = "AVIF"
    elif head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        # phones and libavif may write AVIF under the general brand "mif1"
        name = "AVIF" if b"avif" in data[:64] else "HEIF"
    elif head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        name = "PNM"
    elif head[:1] == b"\n" and head[1:2] in b"\0\2\3\5" and head[2:3] == b"\1":
        name = "PCX"
    elif data[-18:-2] == b"TRUEVISION-XFILE" or suffix.lower() == ".tga":
        name = "TGA"
    else:
        return None
    return BY_NAME[name]


def other(data: bytes) -> str | None:
    """What a file is that is none of ours but often has a picture's name; None: not known."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if data[4:11] == b"ftypcrx" or data.startswith(b"FUJIFILMCCD-RAW"):
        return tiff.RAW
    for magic, what in (
        (b"<!doctype html", "a web page"),
        (b"<html", "a web page"),
        (b"<svg", "a drawing (SVG)"),
        (b"<?xml", "a text (XML)"),
        (b"%pdf", "a PDF document"),
        (b"pk\3\4", "a ZIP archive"),
        (b"8bps", "a Photoshop document"),
        (b"\0\5\x16\7", "what macOS stores beside a file"),
        (b"version https://git-lfs", "a git-lfs pointer (git lfs pull fetches the file)"),
    ):
        if start.startswith(magic):
            return f"is {what}, not a picture"
    if data[4:8] == b"ftyp" and data[8:12] in (b"qt  ", b"mp41", b"mp42", b"isom", b"M4V "):
        return "is a film, not a picture"
    return None if data.strip(b"\0") else "holds only zeros: copy the file once more"


def check_header(data: bytes, format: str, max_pixels: int) -> None:
    """`ImageError` for what would take too long or too much memory.

    Only what Pillow would not tell before decoding; the reader looks at its size, too.
    """
    if format == "JXL":
        header = jxl.read_header(data)
        check_size(header.width, header.height, max_pixels)
        if header.animated:
            raise ImageError("holds an animation; save the picture to restore on its own")
    elif format == "JPEG" and (scans := data.count(b"\xff\xda")) > _MOST_SCANS:
        raise ImageError(f"a JPEG of {scans} scans, above the limit of {_MOST_SCANS}: save it anew")
    elif png16.is_deep(data):
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        check_size(width, height, max_pixels)
        if max(width, height) > _LONGEST_SIDE:
            raise ImageError(
                f"{width} x {height}: a 16-bit PNG may have sides of {_LONGEST_SIDE} pixels; "
                "save it as TIFF"
            )
