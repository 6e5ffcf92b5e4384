"""TIFF as Pillow cannot do it: 16 bits a channel in colour, and all metadata with any depth.

16-bit colour is read by `tifffile` (an optional package); everything is written here: strips
compressed with zlib (TIFF 6.0 and Adobe's Photoshop technical notes), all the tags of Pillow's
directory writer.
"""

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from pellucid.errors import ImageError
from pellucid.imaging.formats import INSTALL
from pellucid.imaging.metadata import DESCRIPTIVE, ORIENTATION, SUB_DIRECTORIES, number

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _EXTRA = 256, 257, 258, 262, 338
_SAMPLE_FORMAT = 339
_SUBFILE, _DNG, _CFA = 254, 50706, (33421, 33422)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
RAW = "is a camera's raw file: develop it to a 16-bit TIFF or PNG first"
_STRIP_BYTES = 1 << 18
_INCHES, _CENTIMETRES = 2, 3
IPTC, PHOTOSHOP, XMP, ICC = 33723, 34377, 700, 34675
_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MOST_CHANNELS = 16
# how samples are stored, in TIFF 6.0 and Adobe's supplements
_STORAGE = {
    *range(254, 267), 273, *range(277, 298), 301, *range(317, 348),
    *range(512, 522), *range(529, 533), 40965, 50674,
}  # fmt: skip


def read_tags(data: bytes) -> Image.Exif:
    """The tags of the first directory of a TIFF file, BigTIFF or not."""
    tags = Image.Exif()
    order, big = _header(data)
    tags.endian, tags.bigtiff = order, big
    (offset,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
    tags.load_from_fp(io.BytesIO(data), offset)
    return tags


def raw(data: bytes, tag: int) -> bytes | None:
    """The bytes of a tag in the first directory as the file has them, whatever their type."""
    order, big = _header(data)
    pointer, counter, size = ("Q", "Q", 20) if big else ("L", "H", 12)
    (at,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + counter, data, at)
    at += struct.calcsize(order + counter)
    for place in range(at, min(at + entries * size, len(data) - size + 1), size):
        number, kind, count = struct.unpack_from(order + "HH" + pointer, data, place)
        if number == tag:
            length = count * _TYPE_BYTES.get(kind, 1)
            value = place + (12 if big else 8)
            if length > struct.calcsize(order + pointer):
                (value,) = struct.unpack_from(order + pointer, data, value)
            found = data[value : value + length]
            return found if len(found) == length else None
    return None


def _header(data: bytes) -> tuple[str, bool]:
    order = "<" if data[:1] == b"I" else ">"
    return order, struct.unpack_from(order + "H", data, 2)[0] == 43


def count_pages(data: bytes) -> int:
    """Pictures in the file, previews not counted; quick, whatever their number."""
    order, big = _header(data)
    pointer, counter, entry = ("Q", "Q", 20) if big else ("L", "H", 12)
    (at,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    count, seen = 0, set()
    while at and at not in seen and at + 2 <= len(data):
        seen.add(at)
        (entries,) = struct.unpack_from(order + counter, data, at)
        first = at + struct.calcsize(order + counter)
        following = first + entries * entry
        if following + 4 > len(data):
            break
        preview = False
        for place in range(first, min(following, first + 4 * entry), entry):  # tags are sorted
            tag, kind = struct.unpack_from(order + "HH", data, place)
            if tag == _SUBFILE:
                form = order + ("H" if kind == 3 else "L")
                (value,) = struct.unpack_from(form, data, place + (12 if big else 8))
                preview = bool(value & 1)
        count += not preview
        (at,) = struct.unpack_from(order + pointer, data, following)
    return count


def check_ordinary(data: bytes, tags: Image.Exif) -> None:
    """`ImageError` for floating-point samples, and for a camera's raw file.

    Of the latter Pillow would read only the preview.
    """
    first_is_preview = number(tags.get(_SUBFILE)) & 1
    canon = data[8:10] == b"CR"
    if canon or _DNG in tags or any(t in tags for t in _CFA) or first_is_preview:
        raise ImageError(RAW)
    if number(tags.get(_SAMPLE_FORMAT), 1) == 3:
        raise ImageError("floating-point samples: convert the picture to 16 bits a channel")


def size(tags: Image.Exif) -> tuple[int, int]:
    """`(width, height)` as stored, before any turning."""
    return number(tags.get(_WIDTH)), number(tags.get(_HEIGHT))


def left_out(tags: Image.Exif) -> list[int]:
    """Numbers of the tags that are neither kept nor about how the samples are stored."""
    known = {*DESCRIPTIVE, *SUB_DIRECTORIES, *_STORAGE, ORIENTATION, IPTC, PHOTOSHOP, XMP, ICC}
    return sorted(tag for tag in tags if tag not in known)


def is_deep_colour(tags: Image.Exif) -> bool:
    """Whether the picture has several channels of 16 bits."""
    bits = tags.get(_BITS, 1)
    return isinstance(bits, tuple) and len(bits) > 1 and 16 in bits


def decode_deep(data: bytes, tags: Image.Exif) -> np.ndarray:
    """Samples uint16 `(H, W, C)`, C = 1..4, of a TIFF for which `is_deep_colour` holds.

    Premultiplied alpha is divided out; channels beyond colour and alpha are left out (Pillow does
    the same).
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImageError(f"16-bit colour TIFF needs an optional package: {INSTALL}") from error
    if number(tags.get(277), 1) > _MOST_CHANNELS:
        raise ImageError(f"TIFF with {number(tags.get(277))} channels: convert it to RGB")
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            samples = page.asarray()
            planar = int(page.planarconfig) == 2
    except Exception as error:  # tifffile raises whatever a damaged file makes it stumble over
        if "imagecodecs" in str(error):
            raise ImageError(
                f"this compression needs an optional package: {INSTALL} ({error})"
            ) from error
        raise ImageError(f"damaged or unsupported TIFF: {error}") from error
    if samples.dtype != np.uint16 or samples.ndim != 3:
        raise ImageError(
            f"TIFF with {samples.dtype} samples {samples.shape}: convert it to 16-bit RGB"
        )
    if planar:
        samples = np.moveaxis(samples, 0, -1)
    photometric = tags.get(_PHOTOMETRIC)
    if photometric not in (_BLACK_IS_ZERO, _RGB):
        raise ImageError("16-bit TIFF that is neither grey nor RGB: convert it to 16-bit RGB")
    colours = 3 if photometric == _RGB else 1
    extra = tags.get(_EXTRA, ())
    kind = extra[0] if isinstance(extra, tuple) and extra else extra
    if samples.shape[2] == colours or kind not in (1, 2):
        return samples[..., :colours]
    samples = samples[..., : colours + 1]
    if kind == 1:  # colours multiplied by alpha
        alpha = np.maximum(samples[..., -1:], 1).astype(np.float64)
        colour = np.rint(samples[..., :-1] * (65535 / alpha)).clip(0, 65535).astype(np.uint16)
        samples = np.concatenate([colour, samples[..., -1:]], axis=2)
    return samples


def dots_per_inch(tags: Image.Exif) -> tuple[float, float] | None:
    """The resolution in a TIFF's tags, if it has a physical unit."""
    x: Any = tags.get(282)
    y: Any = tags.get(283)
    unit = tags.get(296, _INCHES)
    if unit not in (_INCHES, _CENTIMETRES):
        return None
    scale = 2.54 if unit == _CENTIMETRES else 1.0
    try:
        return float(x) * scale, float(y) * scale
    except (TypeError, ValueError, ArithmeticError):
        return None


def white_is_zero(tags: Image.Exif) -> bool:
    """Whether the samples of a grey picture are stored as a negative."""
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def encode(
    samples: np.ndarray,
    tags: dict[int, object],
    icc: bytes | None,
    xmp: bytes | None,
    iptc: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    """A TIFF file of uint8 or uint16 samples `(H, W, C)`, C = 1..4; even C ends with alpha."""
    height, width, channels = samples.shape
    rows = max(1, _STRIP_BYTES // (width * channels * samples.itemsize))
    native = np.ascontiguousarray(samples)
    strips = [zlib.compress(native[y : y + rows].tobytes(), 4) for y in range(0, height, rows)]
    prefix = b"II" if sys.byteorder == "little" else b"MM"
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=prefix)
    for tag, value in tags.items():
        directory[tag] = value
    directory[_WIDTH], directory[_HEIGHT] = width, height
    directory[_BITS] = (8 * samples.itemsize,) * channels
    directory[259] = 8  # compression: zlib ("Adobe deflate")
    directory[_PHOTOMETRIC] = _RGB if channels > 2 else _BLACK_IS_ZERO
    directory[277] = channels
    directory[278] = rows
    directory[284] = 1  # channels of a pixel side by side
    if channels % 2 == 0:
        directory[_EXTRA] = 2  # alpha, not multiplied into the colours
    if dpi is not None:
        directory[282], directory[283], directory[296] = dpi[0], dpi[1], _INCHES
    for tag, kind, block in ((ICC, 7, icc), (XMP, 1, xmp), (IPTC, 7, iptc)):
        if block is not None:
            directory[tag] = block
            directory.tagtype[tag] = kind  # UNDEFINED or BYTE
    directory.tagtype[273] = directory.tagtype[279] = 4  # LONG
    directory[279] = tuple(len(s) for s in strips)
    ends = np.cumsum([0, *directory[279]])
    directory[273] = tuple(int(e) for e in ends[:-1])  # the directory adds its own length
    out = io.BytesIO()
    directory.save(out)
    return b"".join([out.getvalue(), *strips])
