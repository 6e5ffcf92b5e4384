"""A film that is written: encoded frames, and the other streams of its source as they were."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from pellucid.errors import ImageError
from pellucid.imaging.writer import place, refuse_input
from pellucid.video.encoders import encoder_for, stored_as
from pellucid.video.frames import Frame, encoded, has_alpha, turned
from pellucid.video.kinds import Target
from pellucid.video.sources import Animation, Film, said

LOOPS = {"gif": "loop", "apng": "plays", "webp": "loop"}  # the muxers' names of it


class Writer:
    """Writes a film under a temporary name; `finish` gives it its own.

    Args:
        path: the result.
        target: its container.
        source: what it is made from: codec, colours, rotation, streams.
        quality: 1..100 of the picture; 95 if None.
        shift: in seconds, taken from all times.
        overwrite: replace a file of that name.
        ending: duration of the last frame in seconds.

    Raises:
        ImageError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        target: Target,
        source: Film | Animation,
        quality: int | None = None,
        shift: Fraction = Fraction(0),
        overwrite: bool = False,
        ending: Fraction = Fraction(0),
    ):
        self.path, self.source, self.overwrite, self.shift = path, source, overwrite, shift
        self.notes: list[str] = []
        self.written = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = path.with_name(f".pellucid-{secrets.token_hex(8)}.tmp")
        options = {}
        if target.muxer in LOOPS and source.loop is not None:
            options[LOOPS[target.muxer]] = str(source.loop)
        if target.muxer in ("gif", "apng") and ending:  # the others take it from the frame
            delay = round(100 * ending)
            options["final_delay"] = f"{delay}" if target.muxer == "gif" else f"{delay}/100"
        with self._failing():
            self.container = av.open(
                str(self.temporary), "w", format=target.muxer, container_options=options
            )
        writable = self.container.supported_codecs
        usual = target.codec
        if usual == "webp" and has_alpha(source.colours.format):
            usual = "webp-alpha"
            self.notes.append("the last frame is shown as long as the others on average")
        encoder = encoder_for(source.codec, writable, usual)
        self.colours = stored_as(source.colours, encoder, source.stored)
        self.video = self._video(encoder.name, encoder.settings(quality), target)
        format = self.colours.format
        self.transparent = format == "pal8" or has_alpha(format)
        self.opaque = False  # whether transparency was lost, and said
        self.durations: dict[int, int] = {}  # of frames in the encoder, by their times
        self.others: dict[int, Any] = {}

    def _video(self, name: str, options: dict[str, str], target: Target) -> Any:
        source = self.source
        stream: Any = self.container.add_stream(
            name, rate=source.rate.limit_denominator(65535), options=options
        )
        stream.width, stream.height = source.stored
        stream.pix_fmt = self.colours.format
        context = stream.codec_context
        base = Fraction(1, 100) if target.muxer == "gif" else source.time_base
        if name == "mpeg4" and base.denominator > 65535:
            base = Fraction(1, 65535)
        context.time_base = stream.time_base = base
        context.color_range, context.colorspace = self.colours.range, self.colours.space
        context.color_primaries = self.colours.primaries
        context.color_trc = self.colours.transfer
        if source.aspect:
            context.sample_aspect_ratio = source.aspect
        if source.rotation % 360:
            stream.set_display_rotation(source.rotation)
        context.thread_type = "AUTO"
        return stream

    def copy_streams(self, container: Any, moving: Any, whole: bool) -> list[int]:
        """Let the packets of other streams be copied; returns the indices of those that can be.

        Args:
            container: the source, opened.
            moving: its stream of pictures, of which only names and flags are copied.
            whole: from beginning to end; chapters of a part would be wrong.
        """
        kept = []
        self.container.metadata.update(container.metadata)
        chapters = container.chapters()
        if chapters and whole:
            self.container.set_chapters(chapters)
        elif chapters:
            self.notes.append("left out: chapters, of which only a part was restored")
        for stream in container.streams:
            if stream.index == moving.index:
                self.video.metadata.update(stream.metadata)
                continue
            try:
                mine = self.container.add_stream_from_template(stream, opaque=True)
            except (ValueError, av.error.FFmpegError):
                what = f"{stream.type} ({stream.name})" if stream.name else stream.type
                suffix = self.path.suffix
                self.notes.append(f"left out: {what}, which a {suffix} file cannot hold")
                continue
            mine.metadata.update(stream.metadata)
            with suppress(AttributeError):
                mine.disposition = stream.disposition
            self.others[stream.index] = mine
            kept.append(stream.index)
        return kept

    def copy(self, packet: Any) -> None:
        """Write a packet of another stream."""
        mine = self.others[packet.stream_index]
        if self.shift:
            ticks = round(self.shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        if packet.dts is None:  # Matroska has none
            packet.dts = packet.pts
        packet.stream = mine
        with uninterrupted():
            try:
                self.container.mux(packet)
            except (ValueError, av.error.InvalidDataError, av.error.ArgumentError):
                note = f"a piece of {mine.type} could not be copied"
                self.notes += [note] if note not in self.notes else []
            except OSError as error:
                raise WriteError(f"{self.path}: could not be written ({said(error)})") from error

    def write(self, frame: Frame) -> None:
        """Encode a frame; `frame.pixels` is upright."""
        source, pixels, alpha = self.source, frame.pixels, frame.alpha
        if source.rotation % 360:
            pixels = turned(pixels, -source.rotation)
            alpha = None if alpha is None else turned(alpha, -source.rotation)
        if alpha is not None and not self.transparent and not self.opaque:
            self.opaque = True
            self.notes.append("left out: transparency, which the codec of the result has not")
        picture = encoded(np.ascontiguousarray(pixels), alpha, self.colours)
        base = self.video.codec_context.time_base
        start = frame.pts * source.time_base - self.shift
        picture.time_base = base
        picture.pts = round(start / base)
        if frame.duration:
            picture.duration = round(frame.duration * source.time_base / base)
            self.durations[picture.pts] = picture.duration
        with uninterrupted(), self._failing():
            self._mux(self.video.encode(picture))
            self.written += 1

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:  # most encoders forget durations; the last frame's is in no time
            packet.duration = self.durations.pop(packet.pts, packet.duration)
            self.container.mux(packet)

    def finish(self) -> bool:
        """Give the file its name; False, and no file, if it holds no frame."""
        with uninterrupted():
            if not self.written:
                self.discard()
                return False
            with self._failing():
                self._mux(self.video.encode(None))
                self.container.close()
                place(self.temporary, self.path, self.overwrite)
                self.temporary.unlink(missing_ok=True)
        return True

    def discard(self) -> None:
        """Remove the unfinished file."""
        with suppress(Exception):  # closing writes a trailer, which may fail again
            self.container.close()
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            with suppress(OSError):
                self.temporary.unlink(missing_ok=True)
            raise WriteError(f"{self.path}: could not be written ({said(error)})") from error


def check_target(path: Path, source: Path, overwrite: bool) -> None:
    """`ImageError` if a result must not be written: over its source, or what exists already."""
    refuse_input(source, path)
    if not overwrite and os.path.lexists(path):
        raise ImageError(f"{path}: exists already; choose another name or allow overwriting")


class WriteError(ImageError):
    """The result cannot be written, so that nothing of it is kept."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back while a piece of a file is written, which must be whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *call: came.append(call)) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    for number, frame in came[:1]:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            raise KeyboardInterrupt
