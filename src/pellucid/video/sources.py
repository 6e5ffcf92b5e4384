"""Frames of a film (PyAV) or of an animation (Pillow), one at a time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.error
import av.stream
import numpy as np
from av.container import InputContainer
from PIL import Image, ImageSequence

from pellucid.errors import ImageError
from pellucid.imaging.formats import check_size
from pellucid.video.frames import Colours, Frame, decoded, depth, thumbnail, turned
from pellucid.video.kinds import ANIMATIONS

USUAL_RATE = Fraction(25)  # frames a second where a film does not say
log = logging.getLogger(__name__)


class FrameSource(Protocol):
    """What films and animations have in common. `size` is (width, height) of upright frames."""

    path: Path
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    codec: str
    colours: Colours
    rotation: int
    notes: list[str]

    def thumbnails(self, width: int, height: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Time, duration and a small picture `(height, width, 3)` of each frame."""
        ...

    def frames(self, wanted: Collection[int]) -> Iterator[Frame]:
        """The frames with these indices, in order."""
        ...


def opened(path: Path, max_pixels: int) -> Film | Animation:
    """Open a film or an animation, by its content.

    Raises:
        ImageError: it cannot be read, holds no picture, or its frames are too large.
    """
    if not path.is_file():
        what = "is no regular file" if path.exists() else "there is no such file"
        raise ImageError(f"{path}: {what}")
    source = Animation(path) if path.suffix.lower() in ANIMATIONS else Film(path)
    try:
        check_size(source.size[0], source.size[1], max_pixels)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    return source


class Film:
    """A film file; what its streams hold beside the picture is in `others`."""

    loop: int | None = None

    def __init__(self, path: Path):
        self.path, self.notes, self.broken = path, [], 0
        with self._opened() as container:
            stream = _video(container, path)
            context = stream.codec_context
            self.time_base = stream.time_base or Fraction(1, 90_000)
            self.rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
            self.codec = context.name if context is not None else ""
            self.aspect = stream.sample_aspect_ratio
            check = (context.width, context.height) if context is not None else (0, 0)
            if not all(check):
                raise ImageError(f"{path}: its frames have no size; is the file damaged?")
            frame = next(self._decoded(container, stream), None)
            if frame is None:
                raise ImageError(f"{path}: holds no frame that can be decoded")
            self.colours = Colours.of(frame)
            self.rotation = int(frame.rotation)
            if frame.interlaced_frame:
                self.notes.append("interlaced: restored as whole frames; deinterlace it before")
        wide = self.rotation % 180 == 0
        self.stored = frame.width, frame.height
        self.size = self.stored if wide else self.stored[::-1]
        if depth(self.colours.format) > 8 and self.colours.transfer in (16, 18):
            self.notes.append("HDR: tags of colour are kept, mastering metadata is not")

    @contextmanager
    def container(self) -> Iterator[tuple[InputContainer, Any]]:
        """The opened file and its stream of moving pictures."""
        with self._opened() as container:
            yield container, _video(container, self.path)

    def _opened(self) -> InputContainer:
        try:
            return av.open(str(self.path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ImageError(f"{self.path}: not a film that can be read ({said(error)})") from error

    def _decoded(
        self, container: InputContainer, stream: Any, others: Sequence[int] = ()
    ) -> Iterator[Any]:
        """Frames of the stream, and packets of the streams with these indices."""
        wanted = [stream, *(container.streams[i] for i in others)]
        stream.thread_type = "AUTO"
        packets = container.demux(*wanted)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:  # the rest of the file is lost
                log.warning("%s: broken off by damage (%s)", self.path, said(error))
                packet = None
            if packet is not None and packet.stream_index != stream.index:
                if packet.size:
                    yield packet
                continue
            try:
                frames = stream.decode(packet)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.broken += 1
                frames = []
            for frame in frames:
                if frame.is_corrupt:
                    self.broken += 1
                else:
                    yield frame
            if packet is None or (packet.dts is None and packet.size == 0):
                return

    def items(self, others: Sequence[int] = ()) -> Iterator[Any]:
        """(time, PyAV's frame) of each frame, and in between packets of the other streams.

        Times grow strictly; where the file has none, or the same again, they are made.
        """
        self.broken = 0
        step = max(1, round(1 / (self.rate * self.time_base)))
        last: int | None = None
        with self._opened() as container:
            for item in self._decoded(container, _video(container, self.path), others):
                if isinstance(item, av.Packet):
                    yield item
                    continue
                pts = item.pts
                if pts is None or (last is not None and pts <= last):
                    pts = 0 if last is None else last + step
                last = pts
                yield pts, item

    def thumbnails(self, width: int, height: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """See `FrameSource`."""
        for pts, frame in self.items():
            yield pts, frame.duration or 0, thumbnail(frame, width, height)
        if self.broken:
            self.notes.append(f"{self.broken} damaged pieces could not be decoded and are missing")

    def frames(self, wanted: Collection[int]) -> Iterator[Frame]:
        """See `FrameSource`."""
        yield from self.interleaved(wanted)  # pyright: ignore[reportReturnType]

    def interleaved(
        self, wanted: Collection[int], others: Sequence[int] = ()
    ) -> Iterator[Frame | av.Packet]:
        """The frames with these indices and, between them, packets of the other streams."""
        index, last = 0, max(wanted)
        for item in self.items(others):
            if isinstance(item, av.Packet):
                yield item
                continue
            if index > last and not others:
                return
            if index in wanted:
                yield self._frame(index, *item)
            index += 1

    def _frame(self, index: int, pts: int, frame: Any) -> Frame:
        if (frame.width, frame.height) != self.stored:
            frame = frame.reformat(*self.stored)
        pixels, alpha = decoded(frame, self.colours)
        if self.rotation % 360:
            pixels = turned(pixels, self.rotation)
            alpha = None if alpha is None else turned(alpha, self.rotation)
        return Frame(index, pixels, pts, frame.duration or 0, alpha)


class Animation:
    """A GIF, animated WebP or APNG. Its time base is a millisecond."""

    time_base = Fraction(1, 1000)
    rotation, aspect = 0, None

    def __init__(self, path: Path):
        self.path, self.notes = path, []
        with self._opened() as image:
            self.size = self.stored = image.size
            self.loop: int | None = image.info.get("loop")
            self.codec = {"GIF": "gif", "PNG": "apng", "WEBP": "webp"}[image.format or "GIF"]
            count = getattr(image, "n_frames", 1)
            alpha = "A" in image.mode or "transparency" in image.info or image.format == "GIF"
        self.rate = USUAL_RATE
        self.colours = Colours("rgba" if alpha else "rgb24")
        if count < 2:
            self.notes.append("one frame only")

    def _opened(self) -> Image.Image:
        try:
            return Image.open(self.path, formats=("GIF", "PNG", "WEBP"))
        except Exception as error:  # a damaged file may raise anything
            raise ImageError(
                f"{self.path}: not an animation that can be read ({said(error)})"
            ) from error

    def _pictures(self) -> Iterator[tuple[int, int, Image.Image]]:
        """Time, duration and picture of each frame."""
        with self._opened() as image:
            pts = 0
            try:
                for picture in ImageSequence.Iterator(image):
                    whole = picture.convert("RGBA")
                    # browsers show frames without a duration, or one of 10 ms, for 100 ms
                    duration = round(picture.info.get("duration") or 100)
                    yield pts, duration, whole
                    pts += duration
            except ImageError:
                raise
            except Exception as error:
                if not pts:
                    raise ImageError(f"{self.path}: damaged ({said(error)})") from error
                self.notes.append("its end is damaged and is missing")

    def thumbnails(self, width: int, height: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """See `FrameSource`."""
        for pts, duration, picture in self._pictures():
            small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
            yield pts, duration, np.asarray(small, np.float32) / 255

    def frames(self, wanted: Collection[int]) -> Iterator[Frame]:
        """See `FrameSource`."""
        last = max(wanted)
        for index, (pts, duration, picture) in enumerate(self._pictures()):
            if index in wanted:
                values = np.asarray(picture, np.float32) / 255
                alpha = np.ascontiguousarray(values[..., 3])
                pixels = np.ascontiguousarray(values[..., :3])
                yield Frame(index, pixels, pts, duration, None if alpha.min() == 1 else alpha)
            if index >= last:
                return


def _video(container: InputContainer, path: Path) -> Any:
    """The stream of moving pictures; covers are none."""
    for stream in container.streams.video:
        cover = stream.disposition & av.stream.Disposition.attached_pic
        if not cover and stream.codec_context is not None:
            return stream
    raise ImageError(f"{path}: holds no moving pictures")


def said(error: BaseException) -> str:
    """An error of a library in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
