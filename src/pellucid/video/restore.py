"""Restore a film: find its shots, diagnose each, restore its frames one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.imaging.io import MAX_PIXELS
from pellucid.instruction import Understood, understand
from pellucid.plural import counted
from pellucid.restorer import Restorer
from pellucid.video.frames import Frame
from pellucid.video.kinds import target_of
from pellucid.video.shots import SAMPLES, THUMBNAIL, Shot, cuts, diagnosed, spread
from pellucid.video.sources import Animation, Film, opened
from pellucid.video.writer import WriteError, Writer, check_target


class Done(NamedTuple):
    """How far a film is; `phase` is "cuts", "diagnosis" or "frames".

    `total` is 0 as long as it is not known.
    """

    phase: str
    done: int
    total: int


Progress = Callable[[Done], None]


@dataclass
class Report:
    """What was found and done in a film."""

    frames: int = 0
    """Frames that were written."""
    shots: list[Shot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences on what of the film could not be kept as it was."""
    seconds: float = 0.0
    """Wall time of restoring and writing."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the upright frames."""

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0


def restore_video(
    source: str | Path,
    target: str | Path,
    restorer: Restorer,
    *,
    frames: tuple[int | None, int | None] = (None, None),
    steady: bool = False,
    words: Sequence[str] = (),
    ask: str | Understood | None = None,
    strength: float = 1.0,
    quality: int | None = None,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    report: Report | None = None,
    **options: Any,
) -> Report:
    """Restore a film or an animation into a file of its own; the first stream of pictures.

    Sound, subtitles and other streams are copied as they are. Rotation, tags of colour, bit depth,
    frame times and, where the container can hold it, the codec are those of the source. All frames
    of a shot have one guidance and one strength. If it is interrupted (`KeyboardInterrupt`), what
    is done is a whole film under its name.

    Args:
        source: a film that FFmpeg can decode, a GIF, an animated WebP or an APNG.
        target: its suffix names the container.
        restorer: from `pellucid.load`.
        frames: the first frame and the one after the last, from 0; None is the beginning or end.
            Sound is cut at the same times, and times begin at 0.
        steady: average what is left of noise, rain and snow along the motion; needs OpenCV.
        words: the degradations of all frames, if they are known.
        ask: an instruction, see `Restorer.run`.
        strength: see `Restorer.run`.
        quality: 1..100 of the picture's encoder; 95 if None.
        overwrite: replace a file that exists.
        max_pixels: largest frame that is read.
        progress: is called with how far it is.
        report: is filled in as it goes, for who interrupts.
        options: `steps`, `preset`, `seed` and `tile`, see `Restorer.run`.

    Returns:
        The report.

    Raises:
        ImageError: the source cannot be read or the result cannot be written. If frames were done,
            they are a whole film under its name, and the sentence says so.
        UsageError: an argument is out of range.
    """
    source, target, report = Path(source), Path(target), report or Report()
    unknown = set(options) - {"steps", "preset", "seed", "tile"}
    if unknown:
        raise TypeError(f"restore_video has no option {', '.join(sorted(unknown))}")
    restorer.check(
        options.get("steps"), options.get("preset"), strength, options.get("tile"), words
    )
    asked = understand(ask) if isinstance(ask, str) else ask
    container = target_of(target)
    check_target(target, source, overwrite)
    film = opened(source, max_pixels)
    report.size = film.size
    say = progress or (lambda done: None)
    steady_frames = _steadier() if steady else None

    first, last, times, ending, starts = _scouted(film, frames, say)
    bounds = [first, *starts, last]
    report.shots = _diagnosed(film, bounds, say, restorer, words, asked, strength, **options)

    began = time.perf_counter()
    cut = frames != (None, None)
    shift = times[0] if cut else Fraction(0)
    writer = Writer(target, container, film, quality, shift, overwrite, ending)
    try:
        span = times if cut else None
        items = _items(film, writer, range(first, last), span)
        pictures = _restored(items, report.shots, options)
        if steady_frames is not None:
            pictures = steady_frames(pictures, starts)
        for frame in pictures:
            writer.write(frame)
            report.frames, report.seconds = writer.written, time.perf_counter() - began
            say(Done("frames", writer.written, last - first))
        writer.finish()
    except WriteError:
        writer.discard()
        raise
    except KeyboardInterrupt:
        writer.finish()
        report.frames = writer.written  # a signal may come between a frame and its count
        raise
    except Exception as error:
        kept = writer.finish()
        more = f"; {counted(writer.written, 'frame')} before it in {target}" if kept else ""
        what = str(error) if isinstance(error, PellucidError) else f"{error or type(error)}"
        raise ImageError(
            f"{source}: stopped at frame {first + writer.written}: {what}{more}"
        ) from (error)
    finally:
        writer.discard()
        report.notes += [*film.notes, *writer.notes]
    return report


def _steadier() -> Callable[[Iterator[Frame], Sequence[int]], Iterator[Frame]]:
    try:
        from pellucid.video.steady import steadied
    except ModuleNotFoundError as error:
        raise UsageError(f"steady frames need {error.name}: pip install 'pellucid[video]'") from (
            error
        )
    return steadied


def _scouted(
    film: Film | Animation, frames: tuple[int | None, int | None], say: Progress
) -> tuple[int, int, tuple[Fraction, Fraction], Fraction, list[int]]:
    """The first frame, the one after the last, their times, and where shots begin between.

    The fourth is the duration of the last frame; times are in seconds.
    """
    first, last = frames[0] or 0, frames[1]
    if first < 0 or (last is not None and last <= first):
        raise UsageError(f"frames {first}:{last} are none: the first is 0, the last is after it")
    times: list[int] = []
    durations: list[int] = []

    def thumbnails() -> Iterator[Any]:
        for pts, duration, small in film.thumbnails(*THUMBNAIL):
            times.append(pts)
            durations.append(duration)
            say(Done("cuts", len(times), 0))
            if last is not None and len(times) > last:
                return
            yield small

    starts = cuts(thumbnails())
    if first >= len(times):
        raise UsageError(
            f"{film.path}: has {counted(len(times), 'frame')}; frame {first} is after its end"
        )
    last = len(times) if last is None else min(last, len(times))
    if last < len(times):
        ending = times[last] - times[last - 1]
    else:
        ending = durations[-1] or round(1 / (film.rate * film.time_base))
    span = times[first] * film.time_base, (times[last - 1] + ending) * film.time_base
    starts = [i for i in starts if first < i < last]
    return first, last, span, ending * film.time_base, starts


def _diagnosed(
    film: Film | Animation,
    bounds: Sequence[int],
    say: Progress,
    restorer: Restorer,
    *arguments: Any,
    **options: Any,
) -> list[Shot]:
    """The shots between these frames, by one pass through the film."""
    spans = list(pairwise(bounds))
    wanted = [spread(a, b, SAMPLES) for a, b in spans]
    found = film.frames({i for picked in wanted for i in picked})
    shots = []
    for (a, b), picked in zip(spans, wanted, strict=True):
        samples = list(islice(found, len(picked)))
        if not samples:
            raise ImageError(f"{film.path}: changed while it was read")
        shots.append(diagnosed(a, b, samples, restorer, *arguments, **options))
        say(Done("diagnosis", len(shots), len(spans)))
    return shots


def _items(
    film: Film | Animation, writer: Writer, wanted: range, span: tuple[Fraction, Fraction] | None
) -> Iterator[Frame]:
    """The frames; packets of other streams within a span of time go past them to the writer."""
    if isinstance(film, Animation):
        yield from film.frames(wanted)
        return
    with film.container() as (container, moving):
        others = writer.copy_streams(container, moving, whole=span is None)
    for item in film.interleaved(wanted, others):
        if isinstance(item, Frame):
            yield item
            continue
        at = item.pts if item.pts is not None else item.dts or 0
        if span is None or span[0] <= at * item.time_base < span[1]:
            writer.copy(item)


def _restored(
    frames: Iterator[Frame], shots: Sequence[Shot], options: dict[str, Any]
) -> Iterator[Frame]:
    following = iter(shots)
    shot = next(following)
    for frame in frames:
        while frame.index >= shot.last:
            shot = next(following)
        yield frame.with_pixels(shot.restored(frame, **options))
