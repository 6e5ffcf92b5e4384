"""Reading a photograph: what its file says is kept, converted, or named in the photo's notes."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from pellucid.errors import ImageError
from pellucid.imaging import (
    bigtiff,
    colour,
    deep,
    formats,
    further,
    jxl,
    metadata,
    profiles,
    signalled,
    tiff,
    xmp,
)
from pellucid.imaging.contents import contents
from pellucid.imaging.photo import Photo, from_samples
from pellucid.imaging.sniff import check_header, other, sniff

MAX_PIXELS = 100_000_000
_DPI = (0.01, 1e6)  # what is no resolution of a picture
_YCBCR = 6  # of TIFF's tag 262
_FOR_PEOPLE = (OSError, ValueError, SyntaxError, RuntimeError)  # what libraries raise with words
_ENDS_EARLY = ("truncated", "but only got", "end of file")
_UNCLEAR = ("libjxl", "decoder error -", "decoder object")
_TEXT_BYTES = 1 << 26  # of a PNG's text or profile, inflated
_pillow_globals = threading.Lock()


def read(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph from a path or a file's bytes; `ImageError` says what is wrong.

    - JPEG, PNG, WebP, TIFF and BigTIFF, BMP, AVIF, JPEG 2000, PNM, TGA, PCX, SGI, QOI and
      single-picture GIF; HEIC and JPEG XL with `pellucid[formats]`.
    - Up to 16 bits a channel are kept (PNG; grey TIFF; with `pellucid[formats]` colour TIFF,
      HEIC, AVIF, JPEG XL and JPEG 2000).
    - The EXIF orientation is applied and its tag set to "upright". Grey, 1-bit and palette pictures
      become RGB.
    - Colours that are named without a profile (PNG's gAMA, cHRM and cICP, the nclx of AVIF and
      HEIC, Adobe RGB in the EXIF of a JPEG) get one. PQ and HLG become standard range.
    - CMYK becomes sRGB, by its embedded profile where there is one (the profile is not kept), else
      by Pillow's formula.
    - What the answer does not hold of the file is said in its `notes`.
    - Refused: animations and multi-page files, camera raw, more than `max_pixels` pixels, damaged
      or truncated data, samples of more than 16 bits or in floating point, and what is no regular
      file.
    """
    path = None if isinstance(source, bytes) else Path(source)
    name = "the image" if path is None else str(path)
    try:
        if path is not None and path.suffix.lower() in formats.RAW_SUFFIXES:
            raise ImageError(tiff.RAW)
        data = source if isinstance(source, bytes) else contents(Path(source), max_pixels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF and the like: the picture is what counts
            photo = _decode(data, max_pixels, path)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to decode it") from error
    except Exception as error:  # decoders raise whatever damaged data make them stumble over
        raise ImageError(f"{name}: damaged or truncated ({_reason(error)})") from error
    return replace(photo, path=path)


def _reason(error: Exception) -> str:
    """What a library says of damaged data, where it says it to a person."""
    said = " ".join(str(error).split())
    if isinstance(error, struct.error) or any(w in said.lower() for w in _ENDS_EARLY):
        return "it ends early, or points beyond its end"
    if "MAX_TEXT" in said:
        return f"its text or profile takes more than {_TEXT_BYTES >> 20} MB"
    if not said or not isinstance(error, _FOR_PEOPLE) or any(u in said for u in _UNCLEAR):
        return "the decoder cannot follow it"
    return said.removesuffix(" when reading image file")[:120]


def from_pil(image: Image.Image) -> Photo:
    """A `Photo` from a Pillow image and its metadata; the same rules as `read`."""
    _load(image)
    notes = []
    exif, orientation = None, None
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and raw:
        exif, orientation = metadata.split_orientation(raw)
    elif len(image.getexif()):
        block, dropped = metadata.exif_block(image.getexif())
        exif, orientation = metadata.split_orientation(block or b"")
        notes += _tags_note("EXIF", dropped)
    packet, further_notes = further.packet(image)
    notes += further_notes
    if packet:
        packet, xmp_orientation = xmp.split_orientation(packet)
        orientation = orientation or xmp_orientation
    icc = metadata.as_bytes(image.info.get("icc_profile") or b"") or None
    if image.mode in ("CMYK", "LAB"):
        notes.append(f"{image.mode} colours were converted to sRGB")
        image, icc = colour.to_srgb(image, icc), None
    elif image.format in ("JPEG", "MPO") and image.mode == "RGB" and exif and not icc:
        icc = _adobe_rgb(exif)
    samples = metadata.upright(_samples(image), orientation or 1)
    pixels, alpha, grey = from_samples(samples)
    height, width = samples.shape[:2]
    return Photo(
        pixels,
        alpha=alpha,
        bit_depth=8 * samples.itemsize,
        grey=grey,
        icc=icc,
        exif=metadata.with_size(exif, width, height) if exif else None,
        xmp=xmp.with_size(packet, width, height) if packet else None,
        iptc=further.iptc_of(image),
        dpi=_dpi(image.info.get("dpi"), orientation),
        text=further.text(image),
        format="JPEG" if image.format == "MPO" else image.format,
        quantisation=_tables(image),
    ).with_notes(*notes, *_dpi_note(image.info.get("dpi")))


def _decode(data: bytes, max_pixels: int, path: Path | None) -> Photo:
    if not data:
        raise ImageError("there are no bytes to read")
    format = sniff(data, path.suffix if path else "")
    if format is None:
        raise ImageError(other(data) or formats.unreadable())
    format.load_plugin()
    check_header(data, format.name, max_pixels)
    if format.name == "TIFF":
        return _decode_tiff(data, max_pixels)
    data, ending = further.with_end(data, max_pixels) if format.name == "JPEG" else (data, ())
    image = _open(data, max_pixels, format.name)
    if format.name == "JXL":
        image.info["xmp"] = jxl.xmp(data)[0]
    if format.name == "JXL" and "exif" in image.info:
        # JPEG XL turns the picture itself; a tag in its EXIF is to be ignored (ISO/IEC 18181-2)
        image.info["exif"] = metadata.split_orientation(image.info["exif"])[0]
    colours = signalled.colours(data, format.name, image.info)
    photo = from_pil(image).with_notes(*ending, *colours.notes, *further.notes(image, data))
    if image.mode not in ("CMYK", "LAB") and format.name != "JPEG":
        photo = replace(photo, icc=colours.icc)
    if (found := deep.samples(data, format.name)) is not None:
        pixels, alpha, grey = from_samples(metadata.upright(found[0], _turn(image)))
        photo = replace(photo, pixels=pixels, alpha=alpha, grey=grey, bit_depth=found[1])
    elif photo.bit_depth == 8:
        photo = photo.with_notes(*deep.note(data, format.name))
    if colours.hdr:
        photo = replace(photo, pixels=profiles.to_standard_range(photo.pixels, colours.hdr))
    lossless = format.name == "WEBP" and b"VP8L" in data[12:4096]
    return replace(photo, format=format.name, lossless=lossless)


def _decode_tiff(data: bytes, max_pixels: int) -> Photo:
    _check_single(tiff.count_pages(data))
    data = bigtiff.ordinary(data)
    tags = tiff.read_tags(data)
    tiff.check_ordinary(data, tags)
    iptc, notes = further.iptc_of_tiff(data)
    if left_out := tiff.left_out(tags):
        notes = (*notes, *_tags_note("TIFF", left_out))
    turn = metadata.number(tags.get(metadata.ORIENTATION))
    dpi = _dpi(tiff.dots_per_inch(tags), turn)
    notes = (*notes, *_dpi_note(tiff.dots_per_inch(tags)))
    if not tiff.is_deep_colour(tags):
        photo = from_pil(_open(data, max_pixels, "TIFF"))
        if photo.bit_depth == 16 and tiff.white_is_zero(
            tags
        ):  # which Pillow inverts for 8 bits only
            photo = photo.with_pixels(1 - photo.pixels)
        if photo.icc:  # Pillow changes the bytes of a profile that has the type LONG
            photo = replace(photo, icc=tiff.raw(data, tiff.ICC) or None)
        return replace(photo, dpi=dpi, iptc=iptc).with_notes(*notes)
    block, dropped = metadata.exif_block(tags)
    exif, orientation = metadata.split_orientation(block or b"")
    packet = tiff.raw(data, tiff.XMP) or None
    if packet:
        packet, xmp_orientation = xmp.split_orientation(packet)
        orientation = orientation or xmp_orientation
    samples = metadata.upright(tiff.decode_deep(data, tags), orientation or 1)
    pixels, alpha, grey = from_samples(samples)
    height, width = samples.shape[:2]
    return Photo(
        pixels,
        alpha=alpha,
        bit_depth=16,
        grey=grey,
        icc=tiff.raw(data, tiff.ICC) or None,
        exif=metadata.with_size(exif, width, height) if exif else None,
        xmp=xmp.with_size(packet, width, height) if packet else None,
        iptc=iptc,
        dpi=dpi,
        format="TIFF",
    ).with_notes(*notes, *_tags_note("EXIF", dropped))


def _open(data: bytes, max_pixels: int, format: str) -> Image.Image:
    """Decode with Pillow after looking at the size and at the number of pictures in the file."""
    wanted = ("PPM",) if format == "PNM" else (format,)
    with _pillow_set():
        try:
            image = Image.open(io.BytesIO(data), formats=wanted)
        except UnidentifiedImageError as error:
            raise ImageError("damaged, truncated, or a variant that cannot be read") from error
        formats.check_size(*image.size, max_pixels)
        if image.format not in ("MPO", "HEIF", "TIFF"):  # HEIF: a phone's views and depth maps
            _check_single(getattr(image, "n_frames", 1))
        if format == "TIFF" and image.tag_v2.get(262) == _YCBCR:  # type: ignore[attr-defined]
            # of which Pillow's own decoder takes the samples, if not compressed, for four a pixel
            TiffImagePlugin.READ_LIBTIFF = True
            image = Image.open(io.BytesIO(data), formats=wanted)
        _load(image)
    return image


def _load(image: Image.Image) -> None:
    if "xmp" in image.info:  # Pillow looks into it, and expects bytes
        image.info["xmp"] = metadata.as_bytes(image.info["xmp"]) or b""
    image.load()


def _check_single(count: int) -> None:
    """Refuse what holds several pictures: taking the first would lose the others."""
    if count > 1:
        raise ImageError(
            f"holds {count} pictures (an animation or several pages); "
            "save the one to restore on its own"
        )


@contextmanager
def _pillow_set() -> Iterator[None]:
    """Pillow's own limits are globals; ours replace them while a file is decoded."""
    with _pillow_globals:
        limits = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
        libtiff = TiffImagePlugin.READ_LIBTIFF
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = None, _TEXT_BYTES
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = limits
            TiffImagePlugin.READ_LIBTIFF = libtiff


def _samples(image: Image.Image) -> np.ndarray:
    """`(H, W, C)` uint8 or uint16, C = 1..4."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        samples = np.asarray(image).astype(np.uint16)
    elif image.mode in ("I", "F"):
        kind = "floating-point samples" if image.mode == "F" else "signed or 32-bit samples"
        raise ImageError(f"{kind}: convert the picture to 16 bits a channel")
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
    """The orientation that `from_pil` applied."""
    exif = image.info.get("exif")
    turn = metadata.split_orientation(exif)[1] if isinstance(exif, bytes) else None
    return turn or metadata.number(image.getexif().get(metadata.ORIENTATION), 1)


def _adobe_rgb(exif: bytes) -> bytes | None:
    """The profile of Adobe RGB, if that is what EXIF names and no profile says."""
    if not metadata.is_adobe_rgb(exif):
        return None
    return profiles.rgb_profile(profiles.ADOBE_RGB, profiles.power(profiles.ADOBE_GAMMA))


def _dpi(dpi: Any, orientation: int | None) -> tuple[float, float] | None:
    if (both := _two(dpi)) is None or not all(_DPI[0] <= d <= _DPI[1] for d in both):
        return None
    return (both[1], both[0]) if orientation in (5, 6, 7, 8) else both


def _dpi_note(dpi: Any) -> tuple[str, ...]:
    """What is said of a resolution that `_dpi` drops; zeros say that there is none."""
    senseless = _two(dpi) is not None and any(_two(dpi) or ()) and _dpi(dpi, None) is None
    return ("its resolution makes no sense and was left out",) if senseless else ()


def _two(dpi: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(d) for d in dpi)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return x, y


def _tables(image: Image.Image) -> tuple[tuple[int, ...], ...] | None:
    tables = getattr(image, "quantization", None)
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB") or not tables:
        return None
    return tuple(tuple(tables[i]) for i in sorted(tables))


def _tags_note(what: str, tags: list[int]) -> tuple[str, ...]:
    if not tags:
        return ()
    named = ", ".join(map(str, tags[:5])) + (", ..." if len(tags) > 5 else "")
    return (f"{what} tags were left out: {named}",)
