"""Big-endian BigTIFF, which Pillow does not understand, as an ordinary TIFF.

Source: TIFF 6.0 section 2, and the BigTIFF extension (entries of 20 bytes, 8-byte offsets).
"""

from __future__ import annotations

import struct

from pellucid.errors import ImageError
from pellucid.imaging.metadata import SUB_DIRECTORIES

_MAGIC = b"MM\0+"
_LONG, _LONG8 = 4, (16, 17, 18)  # LONG8, SLONG8, IFD8
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MOST = 1 << 32  # what an offset of an ordinary TIFF can say
_DEEPEST = 3  # directories below one another


def ordinary(data: bytes) -> bytes:
    """The same picture with an ordinary first directory behind its bytes; another file as it is.

    The bytes of the file stay, so that offsets in it hold; values of tags are written anew.

    Raises:
        ImageError: the file is too long for 4-byte offsets, or its directories are damaged.
    """
    if not data.startswith(_MAGIC):
        return data
    if len(data) * 2 > _MOST:
        raise ImageError("a big-endian BigTIFF of more than 2 GB: save it as little-endian")
    out = bytearray(data)
    struct.pack_into(">HL", out, 2, 42, _directory(data, out, _unpack(data, "Q", 8)[0], 1))
    return bytes(out)


def _directory(data: bytes, out: bytearray, at: int, depth: int) -> int:
    """Write a directory behind `out` and return its place."""
    (count,) = _unpack(data, "Q", at)
    if count > len(data) // 20 or depth > _DEEPEST:
        raise ImageError("a damaged BigTIFF: its directory cannot be")
    entries = b""
    for place in range(at + 8, at + 8 + 20 * count, 20):
        tag, kind, number = _unpack(data, "HHQ", place)
        length = number * (8 if kind in _LONG8 else _BYTES.get(kind, 1))
        start = place + 12 if length <= 8 else _unpack(data, "Q", place + 12)[0]
        if start + length > len(data):
            raise ImageError("a damaged BigTIFF: a tag points beyond its end")
        if kind in _LONG8:
            values = _unpack(data, f"{number}Q", start)
            kind, value = _LONG, b"".join(struct.pack(">L", min(v, _MOST - 1)) for v in values)
        else:
            value = data[start : start + length]
        if tag in SUB_DIRECTORIES and len(value) == 4:
            below = _directory(data, out, struct.unpack(">L", value)[0], depth + 1)
            value = struct.pack(">L", below)
        if len(value) > 4:
            out += bytes(len(out) & 1)
            here = len(out)
            out += value
            value = struct.pack(">L", here)
        entries += struct.pack(">HHL", tag, kind, number) + value.ljust(4, b"\0")
    out += bytes(len(out) & 1)
    place = len(out)
    out += struct.pack(">H", count) + entries + bytes(4)
    return place


def _unpack(data: bytes, form: str, at: int) -> tuple[int, ...]:
    return struct.unpack_from(">" + form, data, at)
