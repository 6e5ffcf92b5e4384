"""Orientation and EXIF: kept byte for byte where possible."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

ORIENTATION = 0x0112
# Tags of a TIFF's first directory that describe the photograph, not how its samples are stored.
DESCRIPTIVE = (
    0x010D,  # DocumentName
    0x010E,  # ImageDescription
    0x010F,  # Make
    0x0110,  # Model
    0x011D,  # PageName
    0x0131,  # Software
    0x0132,  # DateTime
    0x013B,  # Artist
    0x013C,  # HostComputer
    0x4746,  # Rating
    0x4749,  # RatingPercent
    0x8298,  # Copyright
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
)
EXIF_DIRECTORY = 0x8769
SUB_DIRECTORIES = (EXIF_DIRECTORY, 0x8825)  # Exif, GPS
_INTEROPERABILITY, _COLOUR_SPACE = 0xA005, 0xA001
_SRGB_SPACE = 1
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)  # ImageWidth, PixelXDimension; heights
_SHORT, _LONG = 3, 4


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror `(H, W, ...)` as the EXIF orientation 1..8 asks (any other: as it is)."""
    match orientation:
        case 2:
            array = array[:, ::-1]
        case 3:
            array = array[::-1, ::-1]
        case 4:
            array = array[::-1]
        case 5:
            array = array.swapaxes(0, 1)
        case 6:
            array = np.rot90(array, -1)
        case 7:
            array = array[::-1, ::-1].swapaxes(0, 1)
        case 8:
            array = np.rot90(array)
    return np.ascontiguousarray(array)


def split_orientation(exif: bytes) -> tuple[bytes, int | None]:
    """EXIF that says "upright" and has no thumbnail, and the orientation it had (None: no tag).

    Only those bytes change: writing the block anew would break the makers' notes, which hold
    offsets into it. The thumbnail shows the picture before restoration (and before turning), so its
    directory is unlinked. A block that cannot be understood comes back as it was.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    patched = bytearray(exif)
    orientation = None
    try:
        order, start = _header(exif)
        for tag, kind, place in _entries(exif, order, start):
            if tag == ORIENTATION and kind == _SHORT:
                (orientation,) = struct.unpack_from(order + "H", exif, place)
                struct.pack_into(order + "H", patched, place, 1)
        (count,) = struct.unpack_from(order + "H", exif, start)
        end = start + 2 + 12 * count
        if end + 4 <= len(patched):
            struct.pack_into(order + "L", patched, end, 0)
    except (struct.error, ValueError):  # a damaged block: keep what there is
        return exif, None
    return bytes(patched), orientation


def is_adobe_rgb(exif: bytes) -> bool:
    """Whether EXIF says that the colours are Adobe RGB: no sRGB, and the interoperability "R03".

    Source: Exif 2.32, ColorSpace, and DCF 2.0, the optional colour space.
    """
    tags = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags.load(exif)
            directory = tags.get_ifd(EXIF_DIRECTORY)
            index = tags.get_ifd(_INTEROPERABILITY).get(1, "")
    except Exception:  # Pillow raises whatever a damaged block makes it stumble over
        return False
    index = index.decode("latin-1") if isinstance(index, bytes) else str(index)
    return index.startswith("R03") and number(directory.get(_COLOUR_SPACE), 1) != _SRGB_SPACE


def with_size(exif: bytes, width: int, height: int) -> bytes:
    """EXIF with this size wherever it gives the picture's size; only those bytes change."""
    patched = bytearray(exif)
    try:
        order, start = _header(exif)
        entries = list(_entries(exif, order, start))
        for tag, _, place in entries:
            if tag == EXIF_DIRECTORY:
                (below,) = struct.unpack_from(order + "L", exif, place)
                entries = [*entries, *_entries(exif, order, below)]
        for tag, kind, place in entries:
            value = width if tag in _WIDTHS else height if tag in _HEIGHTS else None
            if value is not None and kind in (_SHORT, _LONG):
                struct.pack_into(order + ("H" if kind == _SHORT else "L"), patched, place, value)
    except (struct.error, ValueError):
        return exif
    return bytes(patched)


def _header(exif: bytes) -> tuple[str, int]:
    """Byte order, for `struct`, and the offset of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        raise ValueError("no TIFF header")
    return order, struct.unpack_from(order + "L", exif, 4)[0]


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Tag, type and the place of the value (or of its offset) of a directory's entries."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        yield *struct.unpack_from(order + "HH", exif, entry), entry + 8


def number(value: Any, default: int = 0) -> int:
    """A tag's value as an integer, whatever type the file gave it; `default` if it is none."""
    first: Any = value[0] if isinstance(value, tuple) and value else value
    try:
        return int(first)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return default


def as_bytes(value: Any) -> bytes | None:
    """A value of Pillow's that should be bytes, if it can be understood as such."""
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    try:
        return bytes(value) if isinstance(value, bytes | tuple | list) else None
    except (TypeError, ValueError):
        return None


def exif_block(source: Image.Exif) -> tuple[bytes | None, list[int]]:
    """EXIF from a TIFF's tags, less those on how its samples are stored (None: nothing left).

    The list has the tags that cannot be written.
    """
    tags, dropped = _picked(source, (*DESCRIPTIVE, ORIENTATION))
    kept = Image.Exif()
    for tag, value in tags.items():
        kept[tag] = value
    return (kept.tobytes().removeprefix(b"Exif\0\0") if tags else None), dropped


def tiff_tags(exif: bytes) -> dict[int, object]:
    """The tags of EXIF for a TIFF's first directory, those below it as dicts (damaged: nothing)."""
    source = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.load(exif)
            return _picked(source, DESCRIPTIVE)[0]
    except Exception:  # Pillow raises whatever a damaged block makes it stumble over
        return {}


def _picked(source: Image.Exif, tags: Iterable[int]) -> tuple[dict[int, Any], list[int]]:
    """The tags and directories that a TIFF writer can write, and the others' numbers."""
    kept, dropped = {}, []
    for tag in tags:
        if tag in source:
            value = _value(source, tag)
            if _writable({tag: value}):
                kept[tag] = value
            else:
                dropped.append(tag)
    for tag in SUB_DIRECTORIES:
        try:
            directory = {k: _encodable(v) for k, v in source.get_ifd(tag).items()}
        except Exception:  # see above
            directory = {}
        whole = _writable({tag: directory})
        good = {k: v for k, v in directory.items() if whole or _writable({tag: {k: v}})}
        dropped += [k for k in directory if k not in good]
        if good:
            kept[tag] = good
    return kept, dropped


def _value(source: Image.Exif, tag: int) -> Any:
    try:
        return _encodable(source[tag])
    except Exception:  # see above
        return None


def _encodable(value: Any) -> Any:
    """Text as the file had it: Pillow reads bytes as Latin-1 and writes ASCII only."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def _writable(tags: dict[int, Any]) -> bool:
    """Whether Pillow can write the tags, and reads from that what they were."""
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in tags.items():
            directory[tag] = value
        directory.save(file := io.BytesIO())
        again = Image.Exif()
        again.load(file.getvalue())
        return all(
            _same(again.get_ifd(tag) if isinstance(value, dict) else again[tag], value)
            for tag, value in tags.items()
        )
    except Exception:  # see above
        return False


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, str | bytes) and isinstance(b, str | bytes):
        a, b = (v.encode("latin-1") if isinstance(v, str) else v for v in (a, b))
        return a.rstrip(b"\0") == b.rstrip(b"\0")
    return abs(_number(a) - _number(b)) <= 1e-6 * abs(_number(b))


def _number(value: Any) -> float:
    return float(value)  # a rational, as near as its type can
