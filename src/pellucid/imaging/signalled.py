"""Colours that a file names without a profile: chunks of PNG, boxes of AVIF and HEIC.

Sources: the PNG specification, third edition, section 11.3.2; ISO/IEC 14496-12 (colr) and the
AV1 image file format (av1C).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pellucid.imaging import profiles

_SRGB_GAMMA = 1 / 2.2
_CURVE_NAMES = {profiles.PQ: "PQ", profiles.HLG: "HLG"}
_BOXES = 1 << 20  # bytes from the beginning in which boxes are searched


class Colours(NamedTuple):
    """`icc` describes the pixels, None means sRGB; `hdr` is PQ or HLG (H.273) or None."""

    icc: bytes | None = None
    hdr: int | None = None
    notes: tuple[str, ...] = ()


def colours(data: bytes, format: str, info: Mapping[Any, Any]) -> Colours:
    """What a file of `format` says, `info` being what Pillow found in it.

    Numbers (cICP, nclx) say more than a profile where they name PQ or HLG; in PNG always.
    """
    icc = info.get("icc_profile") or None
    if format == "PNG":
        return _png(data, icc)
    if format == "AVIF":
        at = data.find(b"colrnclx", 0, _BOXES)
        numbers = struct.unpack_from(">HH", data, at + 8) if 0 <= at <= len(data) - 12 else None
    elif format == "HEIF":
        named = info.get("nclx_profile") or {}
        numbers = (named.get("color_primaries", 2), named.get("transfer_characteristics", 2))
    else:
        numbers = None
    if numbers is None or (icc and numbers[1] not in _CURVE_NAMES):
        return Colours(icc)
    return _numbered(*numbers)


def _numbered(primaries: int, transfer: int) -> Colours:
    hdr = transfer if transfer in _CURVE_NAMES else None
    notes = ()
    if hdr:
        notes = (f"high dynamic range ({_CURVE_NAMES[hdr]}) was converted to standard range",)
    return Colours(profiles.from_numbers(primaries, transfer), hdr, notes)


def _png(data: bytes, icc: bytes | None) -> Colours:
    chunks = _colour_chunks(data)
    if len(cicp := chunks.get(b"cICP", b"")) == 4:
        if cicp[2] == 0 and cicp[3] == 1:
            return _numbered(cicp[0], cicp[1])
        return Colours(icc, notes=("colours in a cICP chunk of limited range were not understood",))
    if icc or b"sRGB" in chunks:
        return Colours(icc)
    gamma, primaries = _SRGB_GAMMA, profiles.BT709
    if len(chunks.get(b"gAMA", b"")) == 4:
        gamma = struct.unpack(">L", chunks[b"gAMA"])[0] / 1e5
    if len(chunks.get(b"cHRM", b"")) == 32:
        primaries = tuple(v / 1e5 for v in struct.unpack(">8L", chunks[b"cHRM"]))
    usual = np.allclose(primaries, profiles.BT709, atol=0.002)
    if usual and abs(gamma - _SRGB_GAMMA) < 0.01:
        return Colours()
    try:
        if not 0.1 <= gamma <= 10:
            raise ValueError
        curve = profiles.power(1 / gamma)
        return Colours(profiles.rgb_profile(profiles.BT709 if usual else primaries, curve))
    except (ValueError, ArithmeticError, np.linalg.LinAlgError, struct.error):
        return Colours(notes=("its gAMA or cHRM chunk makes no sense and was left out",))


def _colour_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks before the samples of a PNG file that are about colours."""
    found, at = {}, 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        if kind == b"IDAT":
            break
        if kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM"):
            found[kind] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found
