"""Reading a photograph: what its file says is understood or refused, not dropped in silence."""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from pellucid.errors import ImageError
from pellucid.imaging import colour, formats, metadata, png16, tiff
from pellucid.imaging.photo import Photo, from_samples

MAX_PIXELS = 100_000_000
# what Pillow and its plugins raise for damaged data
_DAMAGE = (
    struct.error,
    zlib.error,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
)
_pillow_limit = threading.Lock()


def read(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph from a path or a file's bytes; ``ImageError`` says what is wrong.

    - JPEG, PNG, WebP, TIFF, BMP, AVIF and single-picture GIF; HEIC and JPEG XL with
      ``pellucid[formats]``.
    - 16 bits a channel stay 16 (PNG; grey TIFF; colour TIFF with ``pellucid[formats]``).
    - The EXIF orientation is applied and its tag set to "upright". Grey, 1-bit and palette pictures
      become RGB.
    - CMYK becomes sRGB, by its embedded profile where there is one (the profile is not kept), else
      by Pillow's formula.
    - Refused: animations and multi-page files, camera raw, more than ``max_pixels`` pixels, damaged
      or truncated data, and samples of more than 16 bits or in floating point.
    """
    path = None if isinstance(source, bytes) else Path(source)
    name = "the image" if path is None else str(path)
    if path is not None and path.suffix.lower() in formats.RAW_SUFFIXES:
        raise ImageError(f"{name}: {tiff.RAW}")
    data = source if isinstance(source, bytes) else _contents(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF and the like: the picture is what counts
            photo = _decode(data, max_pixels)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it") from error
    except _DAMAGE as error:
        raise ImageError(f"{name}: damaged or truncated ({error})") from error
    return replace(photo, path=path)


def from_pil(image: Image.Image) -> Photo:
    """A :class:`Photo` from a Pillow image and its metadata; the same rules as :func:`read`."""
    image.load()
    exif, orientation = None, None
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and raw:
        exif, orientation = metadata.split_orientation(raw)
    elif len(image.getexif()):
        exif, orientation = metadata.split_orientation(metadata.exif_block(image.getexif()) or b"")
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if xmp:
        xmp, xmp_orientation = metadata.split_xmp_orientation(xmp)
        orientation = orientation or xmp_orientation
    icc = image.info.get("icc_profile") or None
    if image.mode in ("CMYK", "LAB"):
        image, icc = colour.to_srgb(image, icc), None
    samples = metadata.upright(_samples(image), orientation or 1)
    pixels, alpha, grey = from_samples(samples)
    return Photo(
        pixels,
        alpha=alpha,
        bit_depth=8 * samples.itemsize,
        grey=grey,
        icc=icc,
        exif=exif or None,
        xmp=xmp or None,
        dpi=_dpi(image.info.get("dpi"), orientation),
        text=_text(image),
        format="JPEG" if image.format == "MPO" else image.format,
        quantisation=_tables(image),
    )


def _contents(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder, not a picture") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise ImageError(f"{path}: the file is empty (0 bytes)")
    return data


def _decode(data: bytes, max_pixels: int) -> Photo:
    if not data:
        raise ImageError("there are no bytes to read")
    format = formats.sniff(data)
    if format is None:
        known = ", ".join(f.name for f in formats.FORMATS)
        raise ImageError(f"not a picture in a format that can be read ({known})")
    format.load_plugin()
    if format.name == "TIFF":
        return _decode_tiff(data, max_pixels)
    image = _open(data, max_pixels)
    if format.name == "JXL" and "exif" in image.info:
        # JPEG XL turns the picture itself; a tag in its EXIF is to be ignored (ISO/IEC 18181-2)
        image.info["exif"] = metadata.split_orientation(image.info["exif"])[0]
    photo = from_pil(image)
    if png16.is_deep(data):
        pixels, alpha, grey = from_samples(metadata.upright(png16.decode(data), _turn(image)))
        photo = replace(photo, pixels=pixels, alpha=alpha, grey=grey, bit_depth=16)
    return replace(photo, lossless=format.name == "WEBP" and b"VP8L" in data[12:4096])


def _decode_tiff(data: bytes, max_pixels: int) -> Photo:
    tags = tiff.read_tags(data)
    tiff.check_ordinary(data, tags)
    if not tiff.is_deep_colour(tags):
        image = _open(data, max_pixels)
        photo = from_pil(image)
        if photo.bit_depth == 16 and tiff.white_is_zero(
            tags
        ):  # which Pillow inverts for 8 bits only
            photo = photo.with_pixels(1 - photo.pixels)
        return replace(photo, dpi=_dpi(tiff.dots_per_inch(tags), tags.get(metadata.ORIENTATION)))
    _check_size(*tiff.size(tags), max_pixels)
    exif, orientation = metadata.split_orientation(metadata.exif_block(tags) or b"")
    xmp = tags.get(700)
    if xmp:
        xmp, xmp_orientation = metadata.split_xmp_orientation(bytes(xmp))
        orientation = orientation or xmp_orientation
    samples = metadata.upright(tiff.decode_deep(data, tags), orientation or 1)
    pixels, alpha, grey = from_samples(samples)
    return Photo(
        pixels,
        alpha=alpha,
        bit_depth=16,
        grey=grey,
        icc=tags.get(34675),
        exif=exif or None,
        xmp=xmp or None,
        dpi=_dpi(tiff.dots_per_inch(tags), orientation),
        format="TIFF",
    )


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Decode with Pillow after looking at the size and at the number of pictures in the file."""
    with _no_pillow_limit():
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise ImageError("damaged, truncated, or a variant that cannot be read") from error
        _check_size(*image.size, max_pixels)
        _check_single(image)
        image.load()
    return image


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels, above the limit of "
            f"{max_pixels / 1e6:.0f}; if you trust the file, raise max_pixels (--max-pixels)"
        )


def _check_single(image: Image.Image) -> None:
    """Refuse what holds several pictures: taking the first would lose the others in silence.

    Not meant are a phone's MPO and HEIC files (extra views and depth maps), nor the previews in a
    TIFF.
    """
    if image.format in ("MPO", "HEIF"):
        return
    count = getattr(image, "n_frames", 1)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and count > 1:
        count = 0
        for frame in range(image.n_frames):
            image.seek(frame)
            count += not int(image.tag_v2.get(254, 0)) & 1
        image.seek(0)
    if count > 1:
        raise ImageError(
            f"holds {count} pictures (an animation or several pages); "
            "save the one to restore on its own"
        )


@contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Pillow's own limit is a global; ours, an argument, replaces it while a file is decoded."""
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _samples(image: Image.Image) -> np.ndarray:
    """``(H, W, C)`` uint8 or uint16, C = 1..4."""
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint16)
    elif image.mode in ("I", "F"):
        raise ImageError("samples of 32 bits: convert the picture to 16 bits a channel")
    else:
        samples = np.asarray(image.convert(_target_mode(image)))
    return samples[..., None] if samples.ndim == 2 else samples


def _target_mode(image: Image.Image) -> str:
    transparent = "transparency" in image.info
    if image.mode in ("1", "L"):
        return "LA" if transparent else "L"
    if image.mode in ("LA", "La"):
        return "LA"
    if image.mode in ("RGBA", "RGBa", "PA") or transparent:
        return "RGBA"
    return "RGB"


def _turn(image: Image.Image) -> int:
    """The orientation that :func:`from_pil` applied."""
    exif = image.info.get("exif")
    turn = metadata.split_orientation(exif)[1] if isinstance(exif, bytes) else None
    return turn or image.getexif().get(metadata.ORIENTATION, 1)


def _dpi(dpi: tuple[float, float] | None, orientation: int | None) -> tuple[float, float] | None:
    if not dpi or not all(float(d) > 0 for d in dpi):
        return None
    x, y = (float(d) for d in dpi)
    return (y, x) if orientation in (5, 6, 7, 8) else (x, y)


def _text(image: Image.Image) -> dict[str, str]:
    if image.format == "PNG":
        chunks = getattr(image, "text", {})
        return {
            key: str(value)
            for key, value in chunks.items()
            if key != "XML:com.adobe.xmp" and not key.startswith("Raw profile type")
        }
    comment = image.info.get("comment")
    if isinstance(comment, bytes) and comment:
        return {"Comment": comment.decode("utf-8", "replace")}
    return {}


def _tables(image: Image.Image) -> tuple[tuple[int, ...], ...] | None:
    tables = getattr(image, "quantization", None)
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB") or not tables:
        return None
    return tuple(tuple(tables[i]) for i in sorted(tables))
