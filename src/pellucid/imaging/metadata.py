"""Orientation, EXIF and XMP: kept byte for byte where possible."""

import re
import struct
import warnings

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
# Tags of a TIFF's first directory that describe the photograph, not how its samples are stored.
_DESCRIPTIVE = (
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
    0x83BB,  # IPTC
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
)
_SUB_DIRECTORIES = (0x8769, 0x8825)  # Exif, GPS


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror ``(H, W, ...)`` as the EXIF orientation 1..8 asks (any other: as it is)."""
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
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    patched = bytearray(exif)
    orientation = None
    try:
        if order is None:
            return exif, None
        (start,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for i in range(count):
            entry = start + 2 + 12 * i
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == ORIENTATION and kind == 3:  # SHORT
                (orientation,) = struct.unpack_from(order + "H", exif, entry + 8)
                struct.pack_into(order + "H", patched, entry + 8, 1)
        end = start + 2 + 12 * count
        if end + 4 <= len(patched):
            struct.pack_into(order + "L", patched, end, 0)
    except struct.error:  # a damaged block: keep what there is
        return exif, None
    return bytes(patched), orientation


def split_xmp_orientation(xmp: bytes) -> tuple[bytes, int | None]:
    """XMP that says "upright", and the orientation it had (None: it says nothing of it)."""
    pattern = rb"(tiff:Orientation(?:=[\"']|>))([1-8])"
    found = re.search(pattern, xmp)
    return re.sub(pattern, rb"\g<1>1", xmp), int(found[2]) if found else None


def exif_block(source: Image.Exif) -> bytes | None:
    """EXIF from a TIFF's tags, less those on how its samples are stored (None: nothing left)."""
    kept = Image.Exif()
    for tag in (*_DESCRIPTIVE, ORIENTATION):
        if tag in source:
            kept[tag] = source[tag]
    for tag in _SUB_DIRECTORIES:
        directory = source.get_ifd(tag)
        if directory:
            kept[tag] = dict(directory)
    return kept.tobytes().removeprefix(b"Exif\0\0") if len(kept) else None


def tiff_tags(exif: bytes) -> dict[int, object]:
    """The tags of EXIF for a TIFF's first directory, those below it as dicts (damaged: nothing)."""
    source = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.load(exif)
    except (SyntaxError, struct.error, OSError, ValueError):
        return {}
    tags: dict[int, object] = {tag: source[tag] for tag in _DESCRIPTIVE if tag in source}
    for tag in _SUB_DIRECTORIES:
        directory = dict(source.get_ifd(tag))
        if directory:
            tags[tag] = directory
    return tags
