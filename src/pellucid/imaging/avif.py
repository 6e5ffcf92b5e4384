"""AVIF files as Pillow cannot write them: more than 8 bits a channel, with metadata.

Source: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (iloc, ispe, pixi), AV1 image file format (av1C).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping

from PIL import Image

_BOXES = 1 << 20  # bytes from the beginning in which boxes are searched
_SIDE = 64  # pixels of a template
_CHILDREN = {b"meta": 12, b"iprp": 8, b"ipco": 8}  # boxes of boxes, and where those begin
_OF_SAMPLES = (b"ispe", b"pixi", b"av1C")  # size, bits, and what a decoder must know
_ENTRY = struct.Struct(">HHHLL")  # of iloc: item, file, extents; place and length of the first


def bits(data: bytes) -> int:
    """Bits a channel of an AVIF file: 8, 10 or 12."""
    at = data.find(b"av1C", 0, _BOXES)
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def with_blocks(coded: bytes, grey: bool, blocks: Mapping[str, bytes]) -> bytes:
    """An AVIF file with metadata, as Pillow writes them.

    Pillow makes a file of a small picture with them, and the coded picture takes its place.

    Args:
        coded: an AVIF file without metadata, by libavif.
        grey: whether its picture has one channel.
        blocks: exif, xmp, icc_profile.

    Raises:
        ValueError: libavif has changed how it writes.
    """
    theirs = [box for box in _boxes(coded) if box[0] in _OF_SAMPLES]
    pictures = sum(kind == b"av1C" for kind, *_ in theirs)  # alpha is one, unless it is opaque
    mode = "L" if grey else "RGBA" if pictures > 1 else "RGB"
    options = {"subsampling": "4:0:0" if grey else "4:4:4", **blocks}
    out = io.BytesIO()
    Image.new(mode, (_SIDE, _SIDE)).save(out, "AVIF", **options)
    whole = bytearray(out.getvalue())
    ours = [box for box in _boxes(whole) if box[0] in _OF_SAMPLES]
    if [box[::2] for box in ours] != [box[::2] for box in theirs]:
        raise ValueError("AVIF files of Pillow and imagecodecs do not match")
    for (_, here, length), (_, there, _) in zip(ours, theirs, strict=True):
        whole[here : here + length] = coded[there : there + length]
    here, there = (_nclx(data) for data in (whole, coded))
    whole[here + 4 : here + 7] = coded[there + 4 : there + 7]  # the matrix and the range of YCbCr
    entries = _items(bytes(whole))
    payload = b""
    for item, (_, start, length) in _items(coded).items():
        place = entries[item][0]
        _ENTRY.pack_into(whole, place, item, 0, 1, len(whole) + 8 + len(payload), length)
        payload += coded[start : start + length]
    return bytes(whole) + struct.pack(">L4s", len(payload) + 8, b"mdat") + payload


def _nclx(data: bytes | bytearray) -> int:
    """Where the numbers of a file's colours begin."""
    at = data.find(b"colrnclx")
    if at < 0:
        raise ValueError("an AVIF file without numbers of its colours")
    return at + 8


def _items(data: bytes) -> dict[int, tuple[int, int, int]]:
    """Of each item: the place of its entry in iloc, and where its bytes begin, and how many."""
    at = next(start for kind, start, _ in _boxes(data) if kind == b"iloc")
    head, sizes, count = struct.unpack_from(">LHH", data, at + 8)
    if head or sizes != 0x4400:
        raise ValueError("an AVIF file whose item locations are of another form")
    found = {}
    for i in range(count):
        place = at + 16 + i * _ENTRY.size
        item, _, extents, start, length = _ENTRY.unpack_from(data, place)
        if extents != 1:
            raise ValueError("an AVIF file with a picture in pieces")
        found[item] = place, start, length
    return found


def _boxes(
    data: bytes | bytearray, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Type, place and length of boxes and of those in them."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">L4s", data, start)
        if length < 8:
            raise ValueError("an AVIF file with a box of another form")
        yield kind, start, length
        if kind in _CHILDREN:
            yield from _boxes(data, start + _CHILDREN[kind], start + length)
        start += length
