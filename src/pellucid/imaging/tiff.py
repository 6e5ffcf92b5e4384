"""TIFF as Pillow cannot do it: 16 bits a channel in colour, and all metadata with any depth.

16-bit colour is read by ``tifffile`` (an optional package); everything is written here: strips
compressed with zlib (TIFF 6.0 and Adobe's Photoshop technical notes), all the tags of Pillow's
directory writer.
"""

import io
import sys
import zlib

import numpy as np
from PIL import Image, TiffImagePlugin

from pellucid.errors import ImageError
from pellucid.imaging.formats import INSTALL

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _EXTRA = 256, 257, 258, 262, 338
_SUBFILE, _DNG, _CFA = 254, 50706, (33421, 33422)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
RAW = "is a camera's raw file: develop it to a 16-bit TIFF or PNG first"
_STRIP_BYTES = 1 << 18
_INCHES, _CENTIMETRES = 2, 3


def read_tags(data: bytes) -> Image.Exif:
    """The tags of the first directory of a TIFF file."""
    tags = Image.Exif()
    tags.load(data)
    return tags


def check_ordinary(data: bytes, tags: Image.Exif) -> None:
    """``ImageError`` for a camera's raw file, of which Pillow would read only the preview."""
    first_is_preview = int(tags.get(_SUBFILE, 0)) & 1
    canon = data[8:10] == b"CR"
    if canon or _DNG in tags or any(t in tags for t in _CFA) or first_is_preview:
        raise ImageError(RAW)


def size(tags: Image.Exif) -> tuple[int, int]:
    """``(width, height)`` as stored, before any turning."""
    return int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0))


def is_deep_colour(tags: Image.Exif) -> bool:
    """Whether the picture has several channels of 16 bits."""
    bits = tags.get(_BITS, 1)
    return isinstance(bits, tuple) and len(bits) > 1 and max(bits) == 16


def decode_deep(data: bytes, tags: Image.Exif) -> np.ndarray:
    """Samples uint16 ``(H, W, C)``, C = 1..4, of a TIFF for which :func:`is_deep_colour` holds.

    Premultiplied alpha is divided out; channels beyond colour and alpha are left out (Pillow does
    the same).
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImageError(f"16-bit colour TIFF needs an optional package: {INSTALL}") from error
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            samples = page.asarray()
            planar = int(page.planarconfig) == 2
    except (ValueError, KeyError, IndexError, RuntimeError, tifffile.TiffFileError) as error:
        if "imagecodecs" in str(error):
            raise ImageError(
                f"this compression needs an optional package: pip install imagecodecs ({error})"
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
    x, y, unit = tags.get(282), tags.get(283), tags.get(296, _INCHES)
    if not x or not y or unit not in (_INCHES, _CENTIMETRES):
        return None
    scale = 2.54 if unit == _CENTIMETRES else 1.0
    return float(x) * scale, float(y) * scale


def white_is_zero(tags: Image.Exif) -> bool:
    """Whether the samples of a grey picture are stored as a negative."""
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def encode(
    samples: np.ndarray,
    tags: dict[int, object],
    icc: bytes | None,
    xmp: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    """A TIFF file of uint8 or uint16 samples ``(H, W, C)``, C = 1..4; even C ends with alpha."""
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
    if icc is not None:
        directory[34675] = icc
    if xmp is not None:
        directory[700] = xmp
        directory.tagtype[700] = 1  # BYTE
    directory.tagtype[273] = directory.tagtype[279] = 4  # LONG
    directory[279] = tuple(len(s) for s in strips)
    ends = np.cumsum([0, *directory[279]])
    directory[273] = tuple(int(e) for e in ends[:-1])  # the directory adds its own length
    out = io.BytesIO()
    directory.save(out)
    return b"".join([out.getvalue(), *strips])
