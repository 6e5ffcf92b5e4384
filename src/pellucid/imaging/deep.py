"""More than 8 bits a channel where Pillow and its plugins have 8.

HEIC goes by `pillow_heif`; AVIF, JPEG XL and JPEG 2000 by `imagecodecs`, which is optional.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping

import numpy as np

from pellucid.imaging import avif, jxl, png16
from pellucid.imaging.formats import BY_NAME, INSTALL

_BY_CODECS = ("AVIF", "JXL", "JPEG2000")
_SYCC = b"\0\0\0\x0fcolr\x01\0\0\0\0\0\x12"  # JPEG 2000 in YCbCr, which only Pillow converts


def bits_of(data: bytes, format: str) -> int:
    """Bits a channel that a file of `format` says it has; 8 where Pillow reads all there are."""
    if format == "AVIF":
        return avif.bits(data)
    if format == "JXL":
        return jxl.read_header(data).bits or 8
    at = data.find(b"\xff\x4f\xff\x51") if format == "JPEG2000" else -1
    return (data[at + 42] & 127) + 1 if 0 <= at < len(data) - 42 else 8


def writable_bits(format: str) -> int:
    """The most bits a channel that can be written here in `format`."""
    missing = format in _BY_CODECS and not _codecs()
    return 8 if missing else BY_NAME[format].bits


def samples(data: bytes, format: str) -> tuple[np.ndarray, int] | None:
    """Samples uint16 `(H, W, C)` in 0..65535, and their bits; None: 8 bits, or no package for it.

    The orientation that a file names beside the samples is not applied (JPEG XL applies its own).
    """
    if png16.is_deep(data):
        return png16.decode(data), 16
    if format == "HEIF":
        return _heif(data)
    bits = bits_of(data, format)
    if format not in _BY_CODECS or not 8 < bits <= 16 or not _codecs() or _SYCC in data[:4096]:
        return None
    import imagecodecs

    decode = {
        "AVIF": imagecodecs.avif_decode,
        "JXL": imagecodecs.jpegxl_decode,
        "JPEG2000": imagecodecs.jpeg2k_decode,
    }[format]
    values = np.asarray(decode(data))
    values = values[..., None] if values.ndim == 2 else values
    if values.dtype != np.uint16 or values.ndim != 3 or values.shape[2] > 4:
        return None
    wide = values << (16 - bits)
    wide |= values >> (2 * bits - 16)
    return wide, bits


def note(data: bytes, format: str) -> tuple[str, ...]:
    """What is lost where `samples` answers None."""
    bits = bits_of(data, format)
    if bits <= 8:
        return ()
    hint = "" if bits > 16 or _codecs() else f" (to keep them: {INSTALL})"
    return (f"{bits} bits a channel were read as 8{hint}",)


def encode(
    samples: np.ndarray, bits: int, format: str, quality: int, blocks: Mapping[str, bytes]
) -> bytes:
    """A HEIC or AVIF file of samples uint16 `(H, W, C)` in 0..2^bits - 1.

    `blocks` are exif, xmp and icc_profile.
    """
    if format == "HEIF":
        return _encode_heif(samples, bits, quality, blocks)
    import imagecodecs

    if samples.shape[2] == 2:  # the library has no grey with alpha
        samples = samples[..., (0, 0, 0, 1)]
    grey = samples.shape[2] == 1
    coded = imagecodecs.avif_encode(
        samples[..., 0] if grey else samples,
        level=quality,
        bitspersample=bits,
        pixelformat="400" if grey else "444",
    )
    return avif.with_blocks(bytes(coded), grey, blocks)


def _codecs() -> bool:
    return importlib.util.find_spec("imagecodecs") is not None


def _heif(data: bytes) -> tuple[np.ndarray, int] | None:
    import pillow_heif

    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    bits = file.info.get("bit_depth", 8)
    if bits <= 8:
        return None
    values = np.asarray(file)
    return (values[..., None] if values.ndim == 2 else values), bits


def _encode_heif(
    samples: np.ndarray, bits: int, quality: int, blocks: Mapping[str, bytes]
) -> bytes:
    import pillow_heif

    height, width, channels = samples.shape
    if channels == 2:  # the library has no grey with alpha
        samples = samples[..., (0, 0, 0, 1)]
    mode = {1: "L;16", 3: "RGB;16"}.get(channels, "RGBA;16")
    samples = samples << (16 - bits) | samples >> (2 * bits - 16)
    out = io.BytesIO()
    pillow_heif.encode(
        mode,
        (width, height),
        np.ascontiguousarray(samples).tobytes(),
        out,
        quality=quality,
        bit_depth=bits,
        **blocks,
    )
    return out.getvalue()
