"""The encoder of a film: the codec of its source where it can be written, and its pixel format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import av
import av.codec.codec
from av.codec import Codec
from av.video.format import VideoFormat

from pellucid.errors import ImageError
from pellucid.video.frames import RGB, UNSPECIFIED, Colours, depth, has_alpha

USUAL_QUALITY = 95


@dataclass(frozen=True)
class Encoder:
    """FFmpeg's encoder of a codec.

    `factor` is (value at quality 100, steps of quality a step of it): a constant rate factor, or
    None for codecs without one. `even` says that 4:2:0 needs even sides.
    """

    name: str
    factor: tuple[float, float] | None = None
    options: tuple[tuple[str, str], ...] = ()
    even: bool = True

    def settings(self, quality: int | None) -> dict[str, str]:
        """The encoder's options at a quality in 1..100; None is the usual one."""
        values = dict(self.options)
        if self.factor is not None:
            best, steps = self.factor
            values["crf"] = str(round(best + (100 - (quality or USUAL_QUALITY)) / steps))
        if self.name.startswith("libwebp"):
            values["quality"] = str(quality or USUAL_QUALITY)
        return values


ENCODERS = {
    "h264": Encoder("libx264", (14, 2.8)),
    "hevc": Encoder("libx265", (15, 2.8), (("x265-params", "log-level=error"),)),
    "vp8": Encoder("libvpx", (6, 2.2), (("b", "0"), ("cpu-used", "2")), even=False),
    "vp9": Encoder("libvpx-vp9", (15, 2.2), (("b", "0"), ("cpu-used", "2")), even=False),
    "av1": Encoder("libsvtav1", (16, 2.2), (("preset", "7"),)),
    "ffv1": Encoder("ffv1", even=False),
    "prores": Encoder("prores_ks"),
    "mjpeg": Encoder("mjpeg", None, (("qmin", "2"), ("qmax", "2"))),
    "gif": Encoder("gif", None, (("gifflags", "-offsetting-transdiff"),), even=False),
    "apng": Encoder("apng", None, (("pred", "mixed"),), even=False),
    "webp": Encoder("libwebp", even=False),
    # of a WebP with alpha: plain frames would be laid over each other; it holds them to the end
    "webp-alpha": Encoder("libwebp_anim", even=False),
}
_BY_DECODER = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}


def encoder_for(codec: str, writable: set[str], fallback: str) -> Encoder:
    """The encoder of a source's codec, or of the container's usual one.

    Args:
        codec: FFmpeg's name of the source's decoder.
        writable: names of the codecs that the container can hold.
        fallback: the codec where the source's is not written.

    Raises:
        ImageError: this PyAV was built without it.
    """
    codec = _BY_DECODER.get(codec, codec)
    if fallback == "webp-alpha":
        codec = fallback
    if codec not in ENCODERS or not {codec, ENCODERS[codec].name} & writable:
        codec = fallback
    found = ENCODERS[codec]
    try:
        Codec(found.name, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise ImageError(f"this PyAV was built without the encoder {found.name}") from error
    return found


def stored_as(source: Colours, encoder: Encoder, size: tuple[int, int]) -> Colours:
    """The pixel format, nearest to the source's, that an encoder takes, with the source's tags.

    Nothing is lost where the encoder allows it: alpha, bits, RGB, resolution of chroma, in this
    order. Sides that are odd need chroma of full resolution in encoders that halve only even ones.
    """
    if encoder.name == "gif":
        return replace(source, format="pal8", space=RGB)
    if encoder.name.startswith("libwebp"):  # its lossy YUV has half the chroma, which libwebp makes
        return Colours("bgra", RGB)
    odd = encoder.even and any(side % 2 for side in size)
    known = [f for f in _formats(encoder.name) if not odd or not _halved(f)]
    if not known:
        raise ImageError(f"{encoder.name} cannot write frames of {size[0]} x {size[1]}")
    format = min(known, key=lambda name: _loss(source.format, name))
    was_rgb = VideoFormat(source.format).is_rgb
    if VideoFormat(format).is_rgb:
        return replace(source, format=format, space=RGB)
    if was_rgb:  # from now on YUV: say how
        return Colours(format, space=1, range=1, primaries=1, transfer=1)
    space = UNSPECIFIED if source.space == RGB else source.space
    return replace(source, format=format, space=space)


@lru_cache
def _formats(encoder: str) -> tuple[str, ...]:
    formats = Codec(encoder, "w").video_formats or []
    # yuvj is yuv with a tag, which is set by itself; big-endian ones cannot be made here
    return tuple(f.name for f in formats if not f.name.startswith("yuvj") and f.name[-2:] != "be")


def _halved(name: str) -> bool:
    return _chroma(name) != (1, 1)


def _chroma(name: str) -> tuple[int, int]:
    """How many pixels of a row and of a column share a sample of chroma."""
    format = VideoFormat(name, 64, 64)
    return 64 // format.chroma_width(), 64 // format.chroma_height()


def _loss(source: str, name: str) -> tuple[float, ...]:
    a, b = VideoFormat(source), VideoFormat(name)
    rows_a, rows_b = _chroma(source), _chroma(name)
    grey_a, grey_b = len(a.components) < 3, len(b.components) < 3
    return (
        has_alpha(source) and not has_alpha(name),
        grey_b and not grey_a,
        max(0, min(depth(source), 16) - depth(name)),
        a.is_rgb != b.is_rgb,
        sum(max(0, y - x) for x, y in zip(rows_a, rows_b, strict=True)),
        # what is more than the source has, costs
        depth(name) - depth(source),
        sum(abs(y - x) for x, y in zip(rows_a, rows_b, strict=True)),
        grey_a != grey_b,
        has_alpha(name),
        len({p for p in b.components if p.plane}) - len({p for p in a.components if p.plane}),
        name.startswith("nv"),
    )
