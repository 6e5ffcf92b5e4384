"""`pellucid restore`: restore files, folders, patterns or a stream."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from pellucid import __version__
from pellucid.cli.batch import STREAM, Job, plan, refuse_existing
from pellucid.cli.parse import Flag, QuietFlag, guarded, parse, understood_of, words_of
from pellucid.cli.progress import Status
from pellucid.cli.start import import_little
from pellucid.cli.terminal import raise_interrupt, read_input
from pellucid.cli.video import restore_videos
from pellucid.errors import UsageError
from pellucid.plural import counted
from pellucid.video.kinds import is_video

if TYPE_CHECKING:
    from pellucid.instruction import Understood

EXAMPLES = """
examples:
  pellucid restore photo.jpg -o clean.jpg            one picture; the format is that of the name
  pellucid restore photo.jpg                         into the folder restored/
  pellucid restore holiday/ -o restored/             all pictures of a folder, its tree mirrored
  pellucid restore 'scans/*.tif' --format png        a pattern; results as PNG
  pellucid restore holiday/ --skip-existing          continue a run that was stopped
  pellucid restore photo.jpg --strength 0.6          keep two fifths of the input
  pellucid restore photo.jpg --words shadowed        the damage, where the model errs
  pellucid restore photo.jpg --ask "take the rain away but keep it dark"
  pellucid restore photo.jpg --missing scratches.png  fill what is white there
  pellucid restore photo.jpg --region 40,60,300,200  restore only there
  pellucid restore photo.jpg --model lite-sde --preset paper --seed 7
  pellucid restore rain.jpg --map --model lite-weather  and show where the damage was
  pellucid restore clip.mp4 -o clean.mp4 --steady    a film; --frames 0:50 tries it on 50 frames
  pellucid restore - -o - < in.jpg > out.jpg         in a pipeline
Inputs are never overwritten. A folder's results keep their format, bit depth, colour profile,
EXIF data and transparency.
"""
START = """\
pellucid restore photo.jpg -o clean.jpg     restore a picture (or a film: clip.mp4)
pellucid restore holiday/ -o restored/      restore all pictures of a folder
pellucid diagnose photo.jpg                 only find what is wrong with it

pellucid restore --help lists everything that can be set.
"""
NO_MAP = "no map: the model {} has none of the damage; --model lite-weather does"
COMPARE, MAP, REPORT = ".compare.jpg", ".map.jpg", ".report.json"
FORMATS = Literal["jpg", "png", "webp", "tif", "bmp", "avif", "heic", "jxl"]


@dataclass
class Restore:
    """Restore pictures: find the degradations of each and write it without them."""

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...", help_behavior_hint="")]
    """Files, folders (searched in all their depth), patterns such as '*.jpg', or - for standard
    input."""
    output: Annotated[
        str | None,
        arg(aliases=["-o"], metavar="OUT", help_behavior_hint="(default: the folder restored)"),
    ] = None
    """File, folder, or - for standard output."""
    model: Annotated[str, arg(aliases=["-m"], metavar="NAME|FILE")] = "auto"
    """A name from `pellucid models`, a file of weights, or auto: for each picture the model whose
    training covers what is wrong with it."""
    tower: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """The DA-CLIP tower that guides a network from a file; if not given, the one its file names."""
    semantics: Annotated[str | None, arg(metavar="FOLDER|FILE", help_behavior_hint="")] = None
    """For Perceive-IR and others that need semantics: a folder with DINOv2, or the file of a CLIP;
    if not given, what the network's file names, or DINOv2 from the Hugging Face Hub."""
    words: Annotated[
        str | None,
        arg(metavar="WORD[,WORD]", help_behavior_hint="(default: what the model finds)"),
    ] = None
    """What is wrong, if you know it better: hazy, or rainy,noisy (`pellucid diagnose` has all)."""
    ask: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """What to remove and what to keep, in English; what was understood is printed."""
    mask: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Restore only where this picture, of the same size as the input, is white; its edge fades."""
    region: Annotated[str | None, arg(metavar="X,Y,W,H", help_behavior_hint="")] = None
    """Restore only this rectangle, in pixels of the upright picture; its edge fades."""
    missing: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Fill the holes that are white in this picture, of the same size as the input."""
    preset: Annotated[
        Literal["paper", "balanced", "fast"] | None,
        arg(metavar="{paper,balanced,fast}", help_behavior_hint="(default: balanced)"),
    ] = None
    """Diffusion models: 100, 20 or 5 network calls a picture."""
    steps: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: the preset's)")
    ] = None
    """Diffusion models: number of network calls."""
    seed: int = 0
    """Diffusion models: the same seed gives the same picture."""
    strength: float = 1.0
    """1 is the restoration, 0 the input, 0.5 half of each."""
    guard: Flag = False
    """Other models, official weights too: judge what the network makes, as for shipped ones."""
    no_guard: Flag = False
    """Models in the package: write what the network makes, even where nothing that can be measured
    in the picture explains the change. Without measurements, auto chooses by the words alone."""
    tile: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: by size)")] = None
    """Longest side of a tile in pixels; smaller needs less memory; 0 never tiles."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps ..."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the computation; auto is bfloat16 where that is faster."""
    engine: Literal["torch", "compile", "onnxruntime", "openvino", "auto"] = "torch"
    """What computes the network; auto is the fastest that is installed, tried once on this machine
    (`pellucid doctor` shows them)."""
    format: Annotated[
        FORMATS | None,
        arg(
            metavar="{jpg,png,webp,tif,bmp,avif,heic,jxl}", help_behavior_hint="(default: as input)"
        ),
    ] = None
    """Of results in a folder or on standard output."""
    quality: Annotated[int | None, arg(metavar="1..100", help_behavior_hint="(default: 95)")] = None
    """Of JPEG, WebP, AVIF, HEIC, JPEG XL. If not given, a JPEG is never coarser than its input."""
    frames: Annotated[str | None, arg(metavar="A:B", help_behavior_hint="(default: all)")] = None
    """Films: frame A, counted from 0, up to but not including B."""
    steady: Flag = False
    """Films: average what is left of noise, rain and snow along the motion."""
    compare: Flag = False
    """Write a before/after picture beside each result (NAME.compare.jpg)."""
    map: Flag = False
    """Write where the picture was damaged beside each result (NAME.map.jpg), for a model with a map
    of it."""
    report: Annotated[Literal["json"] | None, arg(metavar="{json}", help_behavior_hint="")] = None
    """Write what was found and done beside each result (NAME.report.json)."""
    overwrite: Flag = False
    """Replace results that exist already."""
    skip_existing: Flag = False
    """Leave out pictures whose result exists already."""
    max_pixels: int = 100_000_000
    """Refuse larger pictures: a small file can claim to be a huge picture."""
    quiet: QuietFlag = False
    """Print errors only."""
    json: Flag = False
    """Print one line of JSON a picture on standard output."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if a picture failed."""
    if not argv:
        print(START, end="", file=sys.stderr)
        return 2
    args = parse(Restore, argv, "restore", EXAMPLES)
    _check(args)
    asked = understood_of(args.ask, args.words, args.quiet)
    if any(map(is_video, args.inputs)):
        return restore_videos(args, words_of(args.words), asked)
    if args.frames or args.steady:
        raise UsageError("--frames and --steady are for films")
    endings = _endings(args)
    jobs = plan(args.inputs, args.output, args.format and f".{args.format}", endings)
    to_stream = jobs[0].target is None
    _check_stream(args, to_stream)
    skipped = 0
    if not to_stream:
        if args.skip_existing:
            waiting = [job for job in jobs if job.target and not os.path.exists(job.target)]
            jobs, skipped = waiting, len(jobs) - len(waiting)
        elif not args.overwrite:
            names = ("", *endings)
            refuse_existing(
                [_beside(job.target, name) for job in jobs if job.target for name in names]
            )
    if not jobs:
        if not args.quiet:
            print(f"nothing to do: {counted(skipped, 'result')} existed already", file=sys.stderr)
        return 0
    if args.quiet:
        logging.getLogger("pellucid").setLevel(logging.ERROR)

    import_little(args.model, args.engine, args.semantics)

    from pellucid.loading import load

    guard = guarded(args.guard, args.no_guard)
    restorer = load(
        args.model, args.device, args.dtype, args.tower, args.semantics, guard, args.engine
    )
    restorer.check(
        args.steps, args.preset, args.strength, args.tile, words_of(args.words), args.seed
    )
    if asked:
        restorer.check(words=[*asked.wanted, *asked.kept])
    if args.map and not restorer.maps_damage:
        raise UsageError(
            f"the model {restorer.name} has no map of the damage (--map); lite-weather has"
        )
    with Status(len(jobs), args.quiet) as status:
        for job in jobs:
            try:
                record = _restore(job, args, restorer, asked, status.progress)
            except UsageError:
                raise
            except Exception as error:  # whatever one picture throws, the batch goes on
                raise_interrupt()
                status.failed(str(job), error)
                record = {"input": str(job), "ok": False, "error": str(error)}
            else:
                status.done(str(job), str(job.target or STREAM), record)
            if args.json:
                print(json.dumps(record), flush=True)
        return status.summary(skipped)


def _check(args: Restore) -> None:
    if args.overwrite and args.skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    if args.quality is not None and not 1 <= args.quality <= 100:
        raise UsageError(f"--quality {args.quality} is not in 1..100")
    if args.max_pixels < 1:
        raise UsageError("--max-pixels must be positive")
    if args.mask is not None and args.region is not None:
        raise UsageError("give --mask or --region, not both")
    for name, path in (("mask", args.mask), ("missing", args.missing)):
        if path is not None and not path.is_file():
            raise UsageError(f"--{name} {path}: there is no such file")
    _region(args)


def _region(args: Restore) -> tuple[int, ...] | None:
    if args.region is None:
        return None
    try:
        x, y, width, height = (int(value) for value in args.region.split(","))
    except ValueError:
        raise UsageError(f"--region {args.region} is not X,Y,W,H, such as 40,60,300,200") from None
    return x, y, width, height


def _check_stream(args: Restore, to_stream: bool) -> None:
    if not to_stream:
        return
    for name in ("compare", "map", "report", "json"):
        if getattr(args, name):
            raise UsageError(f"--{name} is impossible when the picture goes to standard output")
    if sys.stdout is None:
        raise UsageError("standard output is closed; name a file with -o, or redirect it")
    if sys.stdout.isatty():
        raise UsageError("standard output is a terminal; name a file with -o, or redirect it")


def _endings(args: Restore) -> list[str]:
    """Suffixes of the files that are written beside a result."""
    wanted = {COMPARE: args.compare, MAP: args.map, REPORT: args.report}
    return [ending for ending, asked in wanted.items() if asked]


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(target.name + ending)


def _restore(
    job: Job,
    args: Restore,
    restorer: Any,
    asked: Understood | None,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Read, restore and write one picture; return its report."""
    from pellucid.imaging.compare import side_by_side
    from pellucid.imaging.heat import heat
    from pellucid.imaging.io import BY_NAME, encode, fit, output_format, read, write_all
    from pellucid.imaging.libtiff import library_notes
    from pellucid.report import report_of

    data = read_input(args.max_pixels) if job.source is None else job.source
    with library_notes() as said:
        photo = read(data, args.max_pixels)
    photo = photo.with_notes(*said)
    if job.target is None:
        own = BY_NAME[photo.format or "PNG"]
        format = output_format(f"x.{args.format}") if args.format else own
        format = format if format.writable else BY_NAME["PNG"]
    else:
        format = output_format(job.target)
    photo = fit(photo, format.name)  # says before the work what the result will lack
    options = {
        name: getattr(args, name) for name in ("steps", "preset", "strength", "seed", "tile")
    }
    found = restorer.run(
        photo,
        words=words_of(args.words),
        ask=asked,
        mask=args.mask,
        region=_region(args),
        missing=args.missing,
        damage=args.map,
        quality=bool(args.report),
        progress=progress,
        **options,
    )
    restored, guidance = found.picture, found.guidance
    unmapped = args.map and found.damage is None  # an instruction left nothing to do
    record = {
        "input": str(job),
        "output": STREAM if job.target is None else str(job.target),
        "ok": True,
        **report_of(photo, found),
    }
    if unmapped:
        record["notes"].append(NO_MAP.format(found.model))
    data = encode(restored, format.name, args.quality)
    if job.target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return record
    files = {job.target: data}
    if args.compare:
        files[_beside(job.target, COMPARE)] = encode(side_by_side(photo, restored), "JPEG", 92)
    if found.damage is not None:
        files[_beside(job.target, MAP)] = encode(heat(photo, found.damage), "JPEG", 92)
    if args.report:
        files[_beside(job.target, REPORT)] = _report(args, restorer, guidance, record)
    write_all(files, args.overwrite, photo.path)
    return record


def _report(args: Restore, restorer: Any, guidance: Any, record: dict[str, Any]) -> bytes:
    import platform

    import torch

    from pellucid.engine import DEFAULT_PRESET

    settings = {name: getattr(args, name) for name in ("strength", "tile", "seed")}
    by_hand = {name: getattr(args, name) for name in ("mask", "region", "missing")}
    settings |= {name: str(given) for name, given in by_hand.items() if given is not None}
    if restorer.is_diffusion:
        preset = args.preset or DEFAULT_PRESET
        settings |= {"preset": preset, "steps": args.steps}
    used = restorer.route(guidance)
    settings |= {"device": str(used.device), "dtype": str(used.dtype).split(".")[-1]}
    settings |= {"engine": used.engine}
    versions = {
        "pellucid": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    text = json.dumps({**record, "settings": settings, "versions": versions}, indent=2)
    return text.encode() + b"\n"
