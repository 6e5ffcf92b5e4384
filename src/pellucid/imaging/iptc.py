"""IPTC-IIM in the places that files have for it.

Sources: IPTC-NAA IIM 4.2, Adobe's Photoshop file format (image resources), TIFF tag 33723, and
ImageMagick's "Raw profile type iptc" for PNG.
"""

from __future__ import annotations

import re
import struct

from pellucid.errors import ImageError

RESOURCE = 0x0404  # of Photoshop's image resources
# Resources that repeat what is kept elsewhere, or show the picture before restoration: resolution,
# thumbnails, ICC profile, digest of the IPTC data, EXIF (two), XMP
REPEATED = {0x03ED, 0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425, RESOURCE}
PNG_KEY = "Raw profile type iptc"
MOST_IN_JPEG = 65000


def is_iptc(data: bytes) -> bool:
    """Whether the bytes begin as a dataset does."""
    return data[:1] == b"\x1c"


def resources(data: bytes) -> dict[int, bytes]:
    """Photoshop's image resources by number, as far as they are whole."""
    found, at = {}, 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, at + 4)
        at += 7 + data[at + 6]
        at += at & 1
        if at + 4 > len(data):
            break
        (size,) = struct.unpack_from(">L", data, at)
        found[number] = data[at + 4 : at + 4 + size]
        at += 4 + size + (size & 1)
    return found


def jpeg_segment(data: bytes) -> bytes:
    """The APP13 segment of a JPEG; `ImageError` if it is too long for one."""
    if len(data) > MOST_IN_JPEG:
        raise ImageError(f"{len(data)} bytes are too long")
    block = b"Photoshop 3.0\0" + _resource(data)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


def png_text(data: bytes) -> str:
    """The text of the PNG chunk `PNG_KEY`."""
    block = _resource(data)
    lines = [block.hex()[i : i + 72] for i in range(0, 2 * len(block), 72)]
    return f"\niptc\n{len(block):8d}\n" + "\n".join(lines) + "\n"


def from_png_text(text: str) -> bytes | None:
    """IPTC data from such a chunk (None: there are none in it)."""
    match = re.fullmatch(r"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]*)", text)
    if match is None:
        return None
    try:
        block = bytes.fromhex("".join(match[2].split()))
    except ValueError:
        return None
    return block if is_iptc(block) else resources(block).get(RESOURCE)


def _resource(data: bytes) -> bytes:
    head = b"8BIM" + struct.pack(">HBBL", RESOURCE, 0, 0, len(data))
    return head + data + bytes(len(data) & 1)
