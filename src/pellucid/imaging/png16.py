"""PNG with 16 bits a channel, bit-exact; Pillow reads and writes all but plain grey as 8 bits.

Source: the PNG specification, third edition, sections 7 to 11. Metadata chunks are left to Pillow:
`encode` puts the samples into a file that Pillow wrote with all the metadata and one pixel.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from pellucid.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type -> channels
_COLOUR_TYPES = {channels: colour for colour, channels in _CHANNELS.items()}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_ROWS_AT_ONCE = 64


def is_deep(data: bytes) -> bool:
    """Whether this is a PNG with 16 bits a channel."""
    return data.startswith(SIGNATURE) and data[24:25] == b"\x10"


def decode(data: bytes) -> np.ndarray:
    """Samples uint16 `(H, W, C)`: grey, grey+alpha, RGB or RGBA; `ImageError` if damaged.

    A transparent colour (tRNS) becomes an alpha channel.
    """
    header, transparent, packed = None, None, []
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"tRNS":
            transparent = np.frombuffer(body, ">u2")
        elif kind == b"IDAT":
            packed.append(body)
    if header is None or header[2] != 16 or header[3] not in _CHANNELS:
        raise ImageError("not a 16-bit PNG")
    width, height, _, colour, _, _, interlaced = header
    pixel = 2 * _CHANNELS[colour]  # bytes
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [
        ((height - y + dy - 1) // dy if x < width else 0, -((x - width) // dx) if y < height else 0)
        for x, y, dx, dy in passes
    ]
    lines = _inflate(b"".join(packed), sum(h * (1 + w * pixel) for h, w in sizes if h and w))
    samples = np.empty((height, width, pixel // 2), np.uint16)
    start = 0
    for (x, y, dx, dy), (h, w) in zip(passes, sizes, strict=True):
        if h and w:
            end = start + h * (1 + w * pixel)
            block = lines[start:end].reshape(h, 1 + w * pixel)
            samples[y::dy, x::dx] = _unfilter(block, pixel).view(">u2")
            start = end
    if transparent is not None and colour in (0, 2):
        opaque = (samples != transparent[: samples.shape[2]]).any(axis=2, keepdims=True)
        samples = np.concatenate([samples, opaque * np.uint16(65535)], axis=2)
    return samples


def encode(samples: np.ndarray, template: bytes, level: int = 4) -> bytes:
    """A PNG file of uint16 samples `(H, W, C)`, its other chunks from the file `template`."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    out, pending = [SIGNATURE], True
    for kind, body in _chunks(template):
        if kind == b"IHDR":
            out.append(_chunk(kind, header))
        elif kind != b"IDAT":
            out.append(_chunk(kind, body))
        elif pending:
            out.extend(_chunk(kind, part) for part in _deflate(samples, level))
            pending = False
    return b"".join(out)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        check = data[position + 8 + length : position + 12 + length]
        if len(check) < 4:
            break
        if zlib.crc32(kind + body) != int.from_bytes(check, "big"):
            raise ImageError(f"damaged PNG: wrong checksum in chunk {kind.decode('latin-1')}")
        yield kind, body
        if kind == b"IEND":
            return
        position += 12 + length
    raise ImageError("truncated PNG: the end is missing")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _inflate(packed: bytes, size: int) -> np.ndarray:
    """Exactly `size` bytes, never more, however much the stream would give."""
    try:
        raw = zlib.decompressobj().decompress(packed, size)
    except zlib.error as error:
        raise ImageError(f"damaged PNG: {error}") from error
    if len(raw) < size:
        raise ImageError(f"truncated PNG: {size - len(raw)} of {size} bytes of samples are missing")
    return np.frombuffer(raw, np.uint8)


def _unfilter(lines: np.ndarray, pixel: int) -> np.ndarray:
    """Undo the filters of `lines` `(H, 1 + W * pixel)`; the result is `(H, W, pixel)` bytes.

    A pixel depends on its left, upper and upper left neighbours, so those on one rising diagonal do
    not depend on each other: the loop runs over the H + W diagonals. In a row-major array with one
    column of zeros more than the picture has, a diagonal is a slice with step W.
    """
    height, width = len(lines), (lines.shape[1] - 1) // pixel
    filters = lines[:, :1].astype(np.int16)
    if filters.max() > 4:
        raise ImageError("damaged PNG: unknown filter")
    padded = np.zeros((height + 1, width + 1, pixel), np.uint8)
    padded[1:, 1:] = lines[:, 1:].reshape(height, width, pixel)
    flat = padded.reshape(-1, pixel)
    for diagonal in range(height + width - 1):
        top = max(0, diagonal - width + 1)
        bottom = min(height, diagonal + 1)
        here = (top + 1) * (width + 1) + diagonal - top + 1

        def along(offset: int, here=here, count=bottom - top) -> np.ndarray:
            return flat[here + offset : here + offset + (count - 1) * width + 1 : width]

        left = along(-1).astype(np.int16)
        up = along(-width - 1).astype(np.int16)
        corner = along(-width - 2).astype(np.int16)
        kind = filters[top:bottom]
        guess = np.where(kind == 4, _paeth(left, up, corner), (left + up) >> 1)
        guess = np.where(kind == 2, up, guess)
        guess = np.where(kind == 1, left, guess)
        guess *= kind != 0
        along(0)[...] += guess.astype(np.uint8)
    return np.ascontiguousarray(padded[1:, 1:])


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The neighbour (int16) nearest to `left + up - corner`; ties go left, then up."""
    from_left, from_up = up - corner, left - corner
    from_corner = np.abs(from_left + from_up)
    from_left, from_up = np.abs(from_left), np.abs(from_up)
    guess = np.where(from_up <= from_corner, up, corner)
    return np.where((from_left <= from_up) & (from_left <= from_corner), left, guess)


def _deflate(samples: np.ndarray, level: int) -> Iterator[bytes]:
    """The compressed lines, each with the Paeth filter, a block of rows at a time."""
    height, width, channels = samples.shape
    packer = zlib.compressobj(level, strategy=zlib.Z_FILTERED)
    above = np.zeros((1, width + 1, 2 * channels), np.int16)
    for start in range(0, height, _ROWS_AT_ONCE):
        rows = np.ascontiguousarray(samples[start : start + _ROWS_AT_ONCE].astype(">u2"))
        block = rows.view(np.uint8).reshape(len(rows), width, 2 * channels).astype(np.int16)
        block = np.pad(block, ((0, 0), (1, 0), (0, 0)))
        block = np.concatenate([above, block])
        guess = _paeth(block[1:, :-1], block[:-1, 1:], block[:-1, :-1])
        lines = np.full((len(rows), 1 + 2 * channels * width), 4, np.uint8)
        lines[:, 1:] = (block[1:, 1:] - guess).astype(np.uint8).reshape(len(rows), -1)
        above = block[-1:]
        if part := packer.compress(lines.tobytes()):
            yield part
    yield packer.flush()
