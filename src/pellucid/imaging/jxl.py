"""The header of a JPEG XL file: the plugin decodes a file whole when it opens it.

Source: ISO/IEC 18181-1 (SizeHeader, ImageMetadata) and 18181-2 (boxes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pellucid.errors import ImageError

_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Header(NamedTuple):
    """Size in pixels; bits a channel (32: floating point; 0: not known)."""

    width: int
    height: int
    animated: bool
    bits: int


class _Bits:
    """Reads numbers, the lowest bit first."""

    def __init__(self, data: bytes):
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise ImageError("truncated JPEG XL file: its header ends early")
        found = self.value & ((1 << count) - 1)
        self.value >>= count
        return found


def read_header(data: bytes) -> Header:
    """What the header says; `ImageError` if it is damaged."""
    codestream = data if data[:2] == b"\xff\x0a" else _codestream(data)
    if codestream[:2] != b"\xff\x0a":
        raise ImageError("damaged JPEG XL file: no picture in it")
    bits = _Bits(codestream[2:66])
    width, height = _size(bits)
    if bits.take(1):  # all default
        return Header(width, height, False, 8)
    animated, further = False, bits.take(1)
    if further:
        bits.take(3)  # orientation
        if bits.take(1):
            _size(bits)  # intrinsic size
        if bits.take(1):  # a preview: no camera writes one
            return Header(width, height, False, 0)
        animated = bool(bits.take(1))
    if animated:
        return Header(width, height, True, 0)
    if bits.take(1):
        return Header(width, height, False, 32)
    kind = bits.take(2)
    return Header(width, height, False, (8, 10, 12)[kind] if kind < 3 else 1 + bits.take(6))


def xmp(data: bytes) -> tuple[bytes | None, bool]:
    """The XMP packet, and whether there is one that is compressed and cannot be read."""
    found, packed = None, False
    for kind, body in _boxes(data):
        if kind == b"xml ":
            found = body
        packed |= kind == b"brob" and body[:4] == b"xml "
    return found, packed


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1

    height = side()
    ratio = _RATIOS[bits.take(3)]
    return (side() if ratio is None else height * ratio[0] // ratio[1]), height


def _codestream(data: bytes) -> bytes:
    for kind, body in _boxes(data):
        if kind == b"jxlc":
            return body
        if kind == b"jxlp":
            return body[4:]
    raise ImageError("damaged JPEG XL file: no picture in it")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0 if data[4:8] == b"JXL " else len(data)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = at + length if length else len(data)
        if end <= at + head - 1:
            return
        yield kind, data[at + head : end]
        at = end
