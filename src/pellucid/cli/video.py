"""`pellucid restore` of films and animations: targets, progress, what is printed."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pellucid.cli.batch import STREAM, refuse_empty, refuse_existing, refuse_place
from pellucid.cli.parse import guarded
from pellucid.cli.progress import UNPRINTABLE
from pellucid.cli.terminal import plain, raise_interrupt
from pellucid.errors import UsageError
from pellucid.plural import counted
from pellucid.video.kinds import TARGETS, is_video, target_of

if TYPE_CHECKING:
    from pellucid.cli.restore import Restore
    from pellucid.instruction import Understood
    from pellucid.video.restore import Done, Report

PICTURES_ONLY = ("compare", "map", "report", "format", "mask", "region", "missing")
PHASES = {"cuts": "finding cuts", "diagnosis": "diagnosing shots", "frames": "restoring"}
LISTED = 6  # shots that are printed each


def restore_videos(args: Restore, words: Sequence[str], asked: Understood | None) -> int:
    """Restore the films that a command line names; returns 0, or 1 if one failed."""
    for name in PICTURES_ONLY:
        if getattr(args, name):
            raise UsageError(f"--{name} is for pictures, not for films")
    jobs, skipped = _jobs(args)
    if not jobs:
        if not args.quiet:
            print(f"nothing to do: {counted(skipped, 'result')} existed already", file=sys.stderr)
        return 0
    span = span_of(args.frames)
    if args.quiet:
        logging.getLogger("pellucid").setLevel(logging.ERROR)

    from pellucid.loading import load

    guard = guarded(args.guard, args.no_guard)
    restorer = load(
        args.model, args.device, args.dtype, args.tower, args.semantics, guard, args.engine
    )
    restorer.check(args.steps, args.preset, args.strength, args.tile, words, args.seed)
    if asked:
        restorer.check(words=[*asked.wanted, *asked.kept])
    failed = 0
    console = Console(stderr=True, soft_wrap=True)
    for source, target in jobs:
        record: dict[str, Any] = {"input": str(source), "output": str(target)}
        try:
            told = {"words": words, "ask": asked}
            record |= _restored(args, restorer, source, target, span, told, console)
        except UsageError:
            raise
        except Exception as error:  # whatever one film throws, the others go on
            raise_interrupt()
            failed += 1
            record |= {"ok": False, "error": str(error)}
            reason = str(error).removeprefix(f"{source}: ") or type(error).__name__
            _say(console, f"not restored: {source}: {reason}")
        if args.json:
            try:
                print(json.dumps(record), flush=True)
            except OSError:
                done = f"{jobs.index((source, target)) + 1} of {len(jobs)} films were tried"
                _say(console, f"{UNPRINTABLE}: {done}")
                raise
    return 1 if failed else 0


def span_of(text: str | None) -> tuple[int | None, int | None]:
    """First frame and the one after the last of a text such as 100:250, :250 or 100:."""
    if text is None:
        return None, None
    parts = text.split(":")
    if len(parts) != 2 or not all(part.strip().isdecimal() or not part.strip() for part in parts):
        raise UsageError(f"--frames {text} is not of the form A:B, such as 100:250, :250 or 100:")
    first, last = (int(part) if part.strip() else None for part in parts)
    return first, last


def _jobs(args: Restore) -> tuple[list[tuple[Path, Path]], int]:
    """Sources and targets, and how many are left out since they exist."""
    for text in args.inputs:
        if text == STREAM or not is_video(text):
            raise UsageError(f"{text} is no film: restore pictures and films one after the other")
        if not Path(text).exists():
            raise UsageError(f"{text}: there is no such file or folder")
    sources = list(dict.fromkeys(map(Path, args.inputs)))
    if args.output == STREAM:
        raise UsageError("a film cannot go to standard output; name a file with -o")
    refuse_empty(args.output)
    output = Path(args.output or "restored")
    refuse_place(output)
    into_file = bool(output.suffix) and not output.is_dir() and args.output is not None
    if into_file:
        target_of(output)
        if len(sources) > 1:
            raise UsageError(
                f"{len(sources)} films cannot all go into {output}; name a folder with -o"
            )
        jobs = [(sources[0], output)]
    else:
        jobs = [(source, output / _name(source)) for source in sources]
    for target, count in Counter(target for _, target in jobs).items():
        if count > 1:
            raise UsageError(f"{count} films would become {target}; use different folders")
    for source, target in jobs:
        if target.exists() and target.samefile(source):
            raise UsageError(f"{target} would overwrite the input; choose another output (-o)")
    if args.skip_existing:
        waiting = [job for job in jobs if not job[1].exists()]
        return waiting, len(jobs) - len(waiting)
    if not args.overwrite:
        refuse_existing([target for _, target in jobs])
    return jobs, 0


def _name(source: Path) -> str:
    """A film that cannot be written as what it is becomes Matroska, which holds almost all."""
    return source.name if source.suffix.lower() in TARGETS else f"{source.stem}.mkv"


def _restored(
    args: Restore,
    restorer: Any,
    source: Path,
    target: Path,
    span: tuple[int | None, int | None],
    told: dict[str, Any],
    console: Console,
) -> dict[str, Any]:
    from pellucid.report import asked_of
    from pellucid.video.restore import Report, restore_video

    report = Report()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=args.quiet or not console.is_terminal,
    )
    task = bar.add_task("", total=None, speed="")

    def show(done: Done) -> None:
        if bar.tasks[0].description != PHASES[done.phase]:
            bar.reset(task, description=PHASES[done.phase])
        speed = f"{report.rate:.3g} frames/s" if done.phase == "frames" else ""
        bar.update(task, completed=done.done, total=done.total or None, speed=speed)

    options = {name: getattr(args, name) for name in ("steps", "preset", "seed", "tile")}
    try:
        with bar:
            restore_video(
                source,
                target,
                restorer,
                frames=span,
                steady=args.steady,
                **told,
                strength=args.strength,
                quality=args.quality,
                overwrite=args.overwrite,
                max_pixels=args.max_pixels,
                progress=show,
                report=report,
                **options,
            )
    except KeyboardInterrupt:
        kept = f"{counted(report.frames, 'frame')} in {target}"
        _say(console, f"interrupted: {kept if report.frames else 'nothing was written'}")
        raise
    except ModuleNotFoundError as error:
        raise UsageError(f"films need {error.name}: pip install 'pellucid[video]'") from error
    if not args.quiet:
        _print(console, source, target, report)
    asked = told["ask"]
    return _record(report) | ({"asked": asked_of(asked)} if asked else {})


def _print(console: Console, source: Path, target: Path, report: Report) -> None:
    count = len(report.shots)
    shots = f"{counted(report.frames, 'frame')}, {counted(count, 'shot')}"
    rate = f"{report.rate:.3g} frames a second"
    _say(console, f"{source} -> {target}  ({shots}, {rate})")
    for row in _record(report)["shots"][:LISTED]:
        found = ", ".join(row["words"]) or "clean"
        line = f"  frames {row['first']}:{row['last']}: {found}, {row['model']}"
        if row["decision"] != "kept":
            line += f"; {row['decision']}: {row['reason']}"
        _say(console, line)
    if count > LISTED:
        _say(console, f"  and {counted(count - LISTED, 'more shot')} (--json lists all)")
    for note in report.notes:
        _say(console, f"  note: {note}")


def _record(report: Report) -> dict[str, Any]:
    return {
        "ok": True,
        "frames": report.frames,
        "width": report.size[0],
        "height": report.size[1],
        "seconds": round(report.seconds, 3),
        "notes": report.notes,
        "shots": [
            {
                "first": shot.first,
                "last": shot.last,
                "words": list(shot.guidance.words),
                "probabilities": shot.guidance.probabilities,
                "model": getattr(shot.restorer, "default", shot.restorer.name),
                "strength": shot.strength,
                "decision": shot.decision,
                "reason": shot.reason,
            }
            for shot in report.shots
        ],
    }


def _say(console: Console, text: str) -> None:
    console.print(plain(text), markup=False, highlight=False)
