"""A frame of a film, and its way from and to PyAV's frames: colours, depth, orientation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

# Chroma is interpolated, not repeated, and sums are rounded rather than cut off.
SCALING = int(
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
)
UNSPECIFIED = 2  # of FFmpeg's AVColorSpace, and of its transfers and primaries
RGB = 0
HD = 720  # rows from which an untagged film is taken for BT.709; below it for BT.601


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright picture of a film.

    `pixels` is float32 `(H, W, 3)` in [0, 1], in the film's own transfer curve and primaries;
    `alpha` is float32 `(H, W)` or None, and is never changed. `pts` and `duration` are in
    units of the film's time base; a duration of 0 is unknown.
    """

    index: int
    pixels: np.ndarray
    pts: int
    duration: int
    alpha: np.ndarray | None = None

    def with_pixels(self, pixels: np.ndarray) -> Frame:
        """The same frame with other pixels."""
        return replace(self, pixels=pixels)


@dataclass(frozen=True)
class Colours:
    """How a film stores colours; numbers are FFmpeg's (ITU-T H.273)."""

    format: str
    """Pixel format, such as "yuv420p10le"."""
    space: int = UNSPECIFIED
    range: int = int(ColorRange.UNSPECIFIED)
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @classmethod
    def of(cls, frame: VideoFrame) -> Colours:
        """Those of a decoded frame."""
        name = frame.format.name
        full = name.startswith("yuvj")  # the old way to say "full range"
        return cls(
            name.replace("yuvj", "yuv"),
            int(frame.colorspace),
            int(ColorRange.JPEG) if full else int(frame.color_range),
            int(frame.color_primaries),
            int(frame.color_trc),
        )

    def matrix(self, height: int) -> int:
        """swscale's number of the matrix between RGB and YUV."""
        if self.space in (UNSPECIFIED, RGB):
            return int(Colorspace.ITU709 if height >= HD else Colorspace.ITU601)
        # 6 is SMPTE 170M, the matrix of BT.601 by another name
        return int(Colorspace.ITU601) if self.space == 6 else self.space


def depth(format: str) -> int:
    """Bits of a pixel format's first component."""
    return VideoFormat(format).components[0].bits


def has_alpha(format: str) -> bool:
    """Whether a pixel format has an alpha plane."""
    return any(component.is_alpha for component in VideoFormat(format).components)


def turned(picture: np.ndarray, degrees: int) -> np.ndarray:
    """A picture `(H, W, ...)` turned counter-clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(picture, round(degrees / 90) % 4))


def decoded(frame: VideoFrame, colours: Colours) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and alpha of a decoded frame, float32 in [0, 1], as they are stored (not turned)."""
    alpha = has_alpha(colours.format)
    rgb = frame.reformat(
        format="rgba64le" if alpha else "rgb48le",
        src_colorspace=colours.matrix(frame.height),
        src_color_range=colours.range,
        dst_color_range=ColorRange.JPEG,
        interpolation=SCALING,
        threads=1,
    ).to_ndarray()
    values = rgb.astype(np.float32)
    values *= np.float32(1 / 65535)
    if not alpha:
        return values, None
    return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3])


def thumbnail(frame: VideoFrame, width: int, height: int) -> np.ndarray:
    """A small picture, float32 `(height, width, 3)` in [0, 1]; colours are near enough."""
    small = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray().astype(np.float32) / 255


def encoded(pixels: np.ndarray, alpha: np.ndarray | None, colours: Colours) -> VideoFrame:
    """A frame for an encoder, of pixels as they are to be stored (turned back)."""
    if colours.format == "pal8":
        return _with_palette(pixels, alpha)
    wide = has_alpha(colours.format)
    if wide:
        opaque = np.ones(pixels.shape[:2], np.float32)
        pixels = np.dstack([pixels, opaque if alpha is None else alpha])
    values = np.rint(np.clip(pixels, 0, 1) * np.float32(65535)).astype(np.uint16)
    rgb = VideoFrame.from_ndarray(values, format="rgba64le" if wide else "rgb48le")
    rgb.color_range = ColorRange.JPEG
    to_yuv: dict[str, Any] = {}
    if not VideoFormat(colours.format).is_rgb:
        to_yuv = {
            "dst_colorspace": colours.matrix(pixels.shape[0]),
            "dst_color_range": colours.range or ColorRange.MPEG,
        }
    frame = rgb.reformat(format=colours.format, interpolation=SCALING, threads=1, **to_yuv)
    frame.color_range, frame.colorspace = colours.range, colours.space
    frame.color_primaries, frame.color_trc = colours.primaries, colours.transfer
    return frame


def _with_palette(pixels: np.ndarray, alpha: np.ndarray | None) -> VideoFrame:
    """A GIF's frame: 255 colours, chosen without dither (its pattern would flicker), and one
    that is transparent."""
    image = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    image = image.quantize(255, method=Image.Quantize.MEDIANCUT)
    indices = np.array(image)
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[:255]
    palette = np.zeros((256, 4), np.uint8)  # alpha, red, green, blue
    palette[:, 0] = 255
    palette[: len(colours), 1:] = colours
    palette[255] = 0
    if alpha is not None:
        indices[alpha < 0.5] = 255
    return VideoFrame.from_ndarray((indices, palette), format="pal8")  # pyright: ignore
