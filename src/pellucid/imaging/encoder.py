"""The bytes of a file, from a photograph that fits its format."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
from PIL import Image, PngImagePlugin

from pellucid.errors import ImageError
from pellucid.imaging import deep, iptc, metadata, png16, tiff, xmp
from pellucid.imaging.colour import to_srgb
from pellucid.imaging.formats import BY_NAME
from pellucid.imaging.photo import Photo

QUALITY = 95


def encode_fitting(photo: Photo, format: str, quality: int | None = None) -> bytes:
    """A file in `format` with all that `photo` holds, which must fit into it.

    `quality` as for `pellucid.imaging.writer.encode`.

    Raises:
        ImageError: it cannot be encoded, for whatever reason.
    """
    kind = BY_NAME[format]
    if not kind.alpha and photo.alpha is not None:
        photo = replace(photo, alpha=None)  # opaque everywhere, as fit() saw
    try:
        return _encode(photo, format, quality)
    except Exception as error:  # e.g. too wide for WebP, or metadata that a library stumbles over
        reason = str(error) or type(error).__name__
        raise ImageError(f"could not be encoded as {format} ({reason})") from error


def _encode(photo: Photo, format: str, quality: int | None) -> bytes:
    kind = BY_NAME[format]
    bits = min(photo.bit_depth, deep.writable_bits(format))
    bits = bits if kind.lossy or bits == 8 else 16
    samples = photo.samples(bits)
    icc = photo.icc
    if icc is not None and "icc" not in kind.holds:
        samples, icc = _in_srgb(samples, icc), None
    if format == "TIFF":
        tags = metadata.tiff_tags(photo.exif) if photo.exif else {}
        return tiff.encode(samples, tags, icc, photo.xmp, photo.iptc, photo.dpi)
    options = {"icc_profile": icc, "exif": photo.exif, "xmp": photo.xmp, "dpi": photo.dpi}
    options = {key: value for key, value in options.items() if value}
    if format == "PNG":
        options["pnginfo"] = _text_chunks(photo)
        if samples.dtype == np.uint16:
            one_pixel = (samples[:1, :1] >> 8).astype(np.uint8)
            return png16.encode(samples, _save(one_pixel, "PNG", options))
    elif bits > 8:
        return deep.encode(samples, bits, format, quality or QUALITY, options)
    elif format == "JPEG":
        options = _jpeg_options(photo, options, quality)
    elif format == "WEBP":
        lossless = quality == 100 or (quality is None and photo.lossless)
        # "exact" keeps the colours of pixels that are fully transparent
        options |= {"quality": quality or QUALITY, "lossless": lossless, "exact": True}
    elif kind.lossy:
        options["quality"] = quality or QUALITY
        if format == "JXL" and quality == 100:  # which its encoder refuses otherwise
            options["lossless"] = True
    return _save(samples, format, options)


def _save(samples: np.ndarray, format: str, options: dict[str, object]) -> bytes:
    out = io.BytesIO()
    to_pil(samples).save(out, format, **options)
    return out.getvalue()


def to_pil(samples: np.ndarray) -> Image.Image:
    """A Pillow image of uint8 samples `(H, W, C)`: mode L, LA, RGB or RGBA by C."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _in_srgb(samples: np.ndarray, icc: bytes) -> np.ndarray:
    colours = 1 if samples.shape[2] < 3 else 3
    converted = np.asarray(to_srgb(to_pil(samples[..., :colours]), icc))
    return np.concatenate(
        [converted.reshape(*samples.shape[:2], colours), samples[..., colours:]], 2
    )


def _jpeg_options(photo: Photo, options: dict, quality: int | None) -> dict[str, object]:
    options |= {"subsampling": 0, "quality": quality or QUALITY}
    if photo.exif:
        options["exif"] = b"Exif\0\0" + photo.exif
    if comment := photo.text.get("Comment"):
        options["comment"] = comment.encode()
    segments = b""
    if packet := options.pop("xmp", None):
        packet, extension = xmp.parted(packet)
        for body in (xmp.STANDARD + packet, *extension):
            segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    if photo.iptc:
        segments += iptc.jpeg_segment(photo.iptc)
    options["extra"] = segments
    tables = photo.quantisation
    if (
        quality is None
        and tables
        and _coarseness(tables) < _coarseness(_default_tables(photo.grey))
    ):
        del options["quality"]
        options["qtables"] = [list(table) for table in tables]
    return options


def _coarseness(tables: tuple[tuple[int, ...], ...]) -> float:
    return sum(sum(table) for table in tables) / len(tables)


def _default_tables(grey: bool) -> tuple[tuple[int, ...], ...]:
    out = io.BytesIO()
    Image.new("L" if grey else "RGB", (8, 8)).save(out, "JPEG", quality=QUALITY)
    with Image.open(out) as image:
        return tuple(tuple(table) for table in getattr(image, "quantization", {}).values())


def _text_chunks(photo: Photo) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in photo.text.items():
        chunks.add_text(key, value)  # as international text where Latin-1 cannot hold it
    if photo.iptc:
        chunks.add_text(iptc.PNG_KEY, iptc.png_text(photo.iptc), zip=True)
    if photo.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", photo.xmp.decode("utf-8", "replace"))
    return chunks
