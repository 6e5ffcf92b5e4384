"""Colour profiles (ICC) for pictures that name their colours in another way, and for grey ones.

Sources: ICC.1:2001-04 (the profile), ITU-T H.273 (the numbers of primaries and curves), SMPTE ST
2084 and ITU-R BT.2100 (PQ and HLG), ITU-R BT.2408 (reference white).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import ImageCms

Curve = Callable[[np.ndarray], np.ndarray]  # from stored values to light, both in [0, 1]
Primaries = tuple[float, ...]  # x and y of white, red, green and blue

_D65, _DCI, _C = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT709: Primaries = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
PRIMARIES: dict[int, Primaries] = {  # H.273, table 2
    1: BT709,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (*_DCI, *_P3),
    12: (*_D65, *_P3),
}
ADOBE_RGB: Primaries = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)  # Adobe RGB (1998)
ADOBE_GAMMA = 563 / 256
PQ, HLG = 16, 18
_REFERENCE_WHITE = 203.0  # cd/m2 (BT.2408)
_HLG_PEAK = 1000.0  # cd/m2
_KNEE = 0.75  # light above this share of reference white is compressed; ours
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])
_SAMPLES = 1024  # of a curve


def srgb(values: np.ndarray) -> np.ndarray:
    """sRGB's curve, from stored values to light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def power(exponent: float) -> Curve:
    """The curve `light = value ** exponent`."""
    return lambda values: values**exponent


# The curves of television are shown as sRGB, which is what web browsers do with them.
CURVES: dict[int, Curve] = {4: power(2.2), 5: power(2.8), 8: power(1.0)}


def space(icc: bytes) -> str | None:
    """What a profile is for, "RGB", "GRAY", "CMYK" or "Lab"; None: it is damaged."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()  # pyright: ignore - not in the stub
    except (OSError, ImageCms.PyCMSError, AttributeError, ValueError, TypeError):
        return None


def matrix(primaries: Primaries) -> np.ndarray:
    """`(3, 3)` from linear RGB to XYZ relative to D50 (columns are the colorants)."""
    white, *colours = (np.array([x, y, 1 - x - y]) / y for x, y in _pairs(primaries))
    columns = np.stack(colours, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    gain = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(gain) @ _BRADFORD @ columns


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def rgb_profile(primaries: Primaries, curve: Curve = srgb) -> bytes:
    """A display profile (version 2) of three primaries and one curve."""
    tone = _curve(curve)
    red, green, blue = (_xyz(column) for column in matrix(primaries).T)
    tags = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    return _profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone))


def grey_profile(icc: bytes) -> bytes | None:
    """A profile for grey with the curve of an RGB profile's red (None: it has no such curve)."""
    count = struct.unpack_from(">L", icc, 128)[0] if len(icc) >= 132 else 0
    for i in range(min(count, (len(icc) - 132) // 12)):
        name, start, size = struct.unpack_from(">4sLL", icc, 132 + 12 * i)
        if name == b"rTRC" and icc[start : start + 4] in (b"curv", b"para"):
            made = _profile(b"GRAY", {b"kTRC": icc[start : start + size]})
            return made if space(made) == "GRAY" else None
    return None


def from_numbers(primaries: int, transfer: int) -> bytes | None:
    """The profile of H.273's numbers; None for sRGB and what is shown as such.

    PQ and HLG are to be converted by `to_standard_range` first; their profile is that of the
    result.
    """
    curve = CURVES.get(transfer, srgb)
    known = PRIMARIES.get(primaries, BT709)
    return None if known == BT709 and curve is srgb else rgb_profile(known, curve)


def to_standard_range(pixels: np.ndarray, transfer: int) -> np.ndarray:
    """Values `(H, W, 3)` in PQ or HLG to sRGB's curve, in the same primaries.

    Reference white is 203 cd/m2. Light above three quarters of it is compressed, by the brightest
    channel so that hues stay.
    """
    out = np.empty_like(pixels)
    for start in range(0, len(pixels), 256):  # a band at a time needs little memory
        part = pixels[start : start + 256].astype(np.float64)
        light = (_from_pq(part) if transfer == PQ else _from_hlg(part)) / _REFERENCE_WHITE
        peak = light.max(axis=2, keepdims=True)
        above = np.maximum(peak - _KNEE, 0)
        shown = _KNEE + (1 - _KNEE) * above / (above + 1 - _KNEE)
        light = light * np.where(peak > _KNEE, shown / np.maximum(peak, _KNEE), 1)
        out[start : start + 256] = np.where(
            light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
        )
    return out


def _from_pq(values: np.ndarray) -> np.ndarray:
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = values ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _from_hlg(values: np.ndarray) -> np.ndarray:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return _HLG_PEAK * scene * luminance[..., None] ** 0.2


def _curve(curve: Curve) -> bytes:
    values = np.rint(curve(np.linspace(0, 1, _SAMPLES)) * 65535).astype(">u2")
    return b"curv" + struct.pack(">LL", 0, _SAMPLES) + values.tobytes()


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ " + struct.pack(">L3l", 0, *(round(float(v) * 65536) for v in values))


def _profile(colours: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"Pellucid " + (b"grey" if colours == b"GRAY" else b"RGB") + b"\0"
    description = b"desc" + struct.pack(">LL", 0, len(name)) + name + bytes(78)
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"Public domain\0",
        b"wtpt": _xyz(_D50),
        **tags,
    }
    table, body, places = b"", b"", {}
    offset = 132 + 12 * len(tags)
    for tag, content in tags.items():
        if content not in places:  # equal curves are stored once
            places[content] = offset + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sLL", tag, places[content], len(content))
    header = struct.pack(
        ">L4sL4s4s4s", offset + len(body), b"", 0x02100000, b"mntr", colours, b"XYZ "
    )
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3l", *(round(v * 65536) for v in _D50))
    return header.ljust(128, b"\0") + struct.pack(">L", len(tags)) + table + body
