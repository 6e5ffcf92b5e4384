import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pellucid.errors import ImageError
from pellucid.imaging import formats


def scene(height=40, width=56, channels=3, bits=8, seed=0):
    """A smooth picture with some noise, so that lossy formats keep it nearly."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = np.stack([0.5 + 0.4 * np.sin(3 * x + 2 * y + c) for c in range(channels)], axis=2)
    values = (waves + rng.normal(0, 0.01, waves.shape)).clip(0, 1)
    return np.rint(values * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def profile(name="sRGB"):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def exif(orientation=None):
    block = Image.Exif()
    block[0x010F] = "Pellucid Camera Works"
    block[0x0132] = "2024:05:06 07:08:09"
    if orientation:
        block[0x0112] = orientation
    block[0x8769] = {0x829A: (1, 125), 0x927C: b"maker's secret", 0x9003: "2024:05:06 07:08:09"}
    block[0x8825] = {1: "N", 2: (48.0, 51.0, 24.5)}
    return block.tobytes()


def saved(array, format, **options):
    image = Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def reference_png16(samples, interlaced=False, extra=(), seed=0):
    """A 16-bit PNG written byte by byte from the specification, with random filters."""
    rng = np.random.default_rng(seed)
    height, width, channels = samples.shape
    step = 2 * channels
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    stream = bytearray()
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size == 0:
            continue
        above = bytes(part.shape[1] * step)
        for row in part:
            line = row.astype(">u2").tobytes()
            kind = int(rng.integers(0, 5))
            stream.append(kind)
            for i, value in enumerate(line):
                a = line[i - step] if i >= step else 0
                b = above[i]
                c = above[i - step] if i >= step else 0
                p = a + b - c
                nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                stream.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
            above = line

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, int(interlaced))
    packed = zlib.compress(bytes(stream))
    chunks = [chunk(b"IHDR", header), *(chunk(k, b) for k, b in extra)]
    chunks += [chunk(b"IDAT", packed[:50]), chunk(b"IDAT", packed[50:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def available(format):
    try:
        formats.BY_NAME[format].load_plugin()
    except ImageError as error:
        pytest.skip(str(error))
    return format


def source(format, array=None, **options):
    """The bytes of a picture in `format`, written by Pillow."""
    available(format)
    if format in ("WEBP",):
        options |= {"lossless": True}
    elif format in ("JPEG", "AVIF", "HEIF", "JXL"):
        options |= {"quality": 95}
    return saved(scene() if array is None else array, format, **options)


def picture(photo):
    return np.rint(photo.pixels * 255).astype(np.uint8)
