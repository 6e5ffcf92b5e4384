"""Zeros in a JPEG where a disk or a download lost its bytes, which libjpeg decodes without an
error."""

from __future__ import annotations

import re

MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # of a JPEG, but for those in its scans
_HOLE = re.compile(rb"\x00{256,}")
_SEQUENTIAL, _TABLES, _SCAN, _END = (0xC0, 0xC1), 0xC4, 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {_TABLES, 0xC8, 0xCC}


def lost(data: bytes) -> int:
    """Zero bytes, in runs of 256 and more, that cannot be a part of the picture; 0 for none.

    In a scan with Huffman codes, zeros are a symbol, again and again. A picture has that only where
    the symbol is of an even area: no difference of DC, then the end of the block. Where the file's
    own tables say so, as optimised ones may, nothing is lost. Nor is told what progressive and
    arithmetic files have lost, nor zeros at the end of a scan, with which it may be filled up.
    """
    symbols: dict[int, int] = {}
    found, at = 0, 2
    while match := MARKER.search(data, at):
        kind, start = match[0][1], match.end()
        at = start + int.from_bytes(data[start : start + 2], "big")
        body = data[start + 2 : at]
        if kind == _END or (kind in _FRAMES and kind not in _SEQUENTIAL):
            break
        if kind == _TABLES:
            symbols |= _of_zeros(body)
        elif kind == _SCAN and not _even(body, symbols):
            following = MARKER.search(data, at)
            end = following.start() if following else len(data)
            holes = _HOLE.finditer(data, at, end)
            found += sum(len(hole[0]) for hole in holes if hole.end() < end)
    return found


def _of_zeros(body: bytes) -> dict[int, int]:
    """Of each Huffman table (class and number) the symbol whose code is zeros: the first."""
    symbols = {}
    while len(body) > 17:
        symbols[body[0]] = body[17]
        body = body[17 + sum(body[1:17]) :]
    return symbols


def _even(body: bytes, symbols: dict[int, int]) -> bool:
    """Whether zeros are an even area in all components of a scan."""
    tables = body[2 : 1 + 2 * body[0] : 2] if body else b""
    return all(symbols.get(t >> 4) == 0 and symbols.get(0x10 | t & 15) == 0 for t in tables)
