"""More than 8 bits a channel where Pillow gives 8."""

from __future__ import annotations

import io

import numpy as np

from pellucid.imaging import png16

HEIF_BITS = 10  # a channel, which is what devices show


def samples(data: bytes, format: str) -> np.ndarray | None:
    """Samples uint16 ``(H, W, C)`` of a 16-bit PNG or a 10- or 12-bit HEIC; None: it has 8 bits."""
    if png16.is_deep(data):
        return png16.decode(data)
    if format != "HEIF":
        return None
    import pillow_heif

    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    if file.info.get("bit_depth", 8) <= 8:
        return None
    values = np.asarray(file)
    return values[..., None] if values.ndim == 2 else values


def encode_heif(samples: np.ndarray, quality: int, **blocks: bytes | None) -> bytes:
    """A HEIC file with 10 bits a channel of samples uint16 ``(H, W, C)``.

    ``blocks`` are exif, xmp and icc_profile.
    """
    import pillow_heif

    height, width, channels = samples.shape
    if channels == 2:  # the library has no grey with alpha
        samples = samples[..., (0, 0, 0, 1)]
    mode = {1: "L;16", 3: "RGB;16"}.get(channels, "RGBA;16")
    out = io.BytesIO()
    given = {key: value for key, value in blocks.items() if value}
    pillow_heif.encode(
        mode,
        (width, height),
        np.ascontiguousarray(samples).tobytes(),
        out,
        quality=quality,
        bit_depth=HEIF_BITS,
        **given,
    )
    return out.getvalue()
