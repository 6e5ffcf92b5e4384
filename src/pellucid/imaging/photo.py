"""A photograph in memory: its pixels, and all of its file that must survive restoration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode "L"


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright RGB picture and its file's properties.

    `pixels` is float32 `(H, W, 3)` in [0, 1], in the file's own colour space (`icc` tells
    which; no profile means sRGB). A grey picture has three equal channels and `grey=True`, and is
    written back as grey. `alpha` is float32 `(H, W)` in [0, 1] or None, and is never changed.
    The orientation tag has been applied to the pixels and says "upright" in `exif`. `notes` are
    sentences on what of the file could not be kept as it was.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bit_depth: int = 8  # of the file, 8 to 16
    grey: bool = False
    icc: bytes | None = None
    exif: bytes | None = None  # a TIFF structure, without the "Exif\0\0" that JPEG puts before it
    xmp: bytes | None = None  # one packet, a JPEG's extended XMP merged into it
    iptc: bytes | None = None  # IPTC-IIM datasets
    dpi: tuple[float, float] | None = None
    text: Mapping[str, str] = field(default_factory=dict)  # a PNG's text chunks
    format: str | None = None  # Pillow's name of the format it was read from
    quantisation: tuple[tuple[int, ...], ...] | None = None  # a JPEG's tables
    lossless: bool = False  # a lossless WebP
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.float32:
            raise ValueError(
                f"pixels must be float32 (H, W, 3), not {self.pixels.dtype} {self.pixels.shape}"
            )
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[:2]:
            raise ValueError(f"alpha {self.alpha.shape} does not fit {self.pixels.shape[:2]}")

    @property
    def height(self) -> int:
        """Rows of the upright picture."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns of the upright picture."""
        return self.pixels.shape[1]

    @property
    def luma(self) -> np.ndarray:
        """`(H, W)`: the grey values of the picture."""
        return self.pixels @ LUMA

    def with_pixels(self, pixels: np.ndarray) -> "Photo":
        """The same photograph with other pixels, float32 `(H, W, 3)` in [0, 1]."""
        return replace(self, pixels=pixels)

    def with_notes(self, *notes: str) -> "Photo":
        """The same photograph with more notes; one that it has already is not repeated."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    def samples(self, bits: int) -> np.ndarray:
        """Integers as a file stores them: `(H, W, C)`, uint8 for 8 `bits`, uint16 for more.

        C is 1 for grey and 3 for colour, one more with alpha.
        """
        colour = self.luma[..., None] if self.grey else self.pixels
        channels = [to_integers(colour, bits)]
        if self.alpha is not None:
            channels.append(to_integers(self.alpha[..., None], bits))
        return channels[0] if len(channels) == 1 else np.concatenate(channels, axis=2)


def to_integers(values: np.ndarray, bits: int) -> np.ndarray:
    """Round [0, 1] to uint8 or uint16; values outside are clipped."""
    scaled = np.clip(values, 0, 1) * np.float32(2**bits - 1)
    return np.rint(scaled, out=scaled).astype(np.uint8 if bits == 8 else np.uint16)


def from_samples(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """`(pixels, alpha, grey)` from integers `(H, W, C)` as `Photo.samples` gives them."""
    scale = np.float32(1 / np.iinfo(samples.dtype).max)
    count = samples.shape[2]
    grey = count < 3
    colours = 1 if grey else 3
    pixels = samples[..., :colours] * scale
    if grey:
        pixels = np.repeat(pixels, 3, axis=2)
    alpha = samples[..., -1] * scale if count in (2, 4) else None
    return pixels, alpha, grey
