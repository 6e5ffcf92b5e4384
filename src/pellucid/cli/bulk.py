"""`pellucid bulk`: restore very many pictures, on one machine or a cluster."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from pellucid import zoo
from pellucid.cli.parse import Flag, QuietFlag, guarded, parse, words_of
from pellucid.cli.restore import FORMATS
from pellucid.cli.terminal import plain
from pellucid.errors import UsageError
from pellucid.plural import counted

if TYPE_CHECKING:
    from pellucid.bulk.run import Summary, Total

EXAMPLES = """
examples:
  pellucid bulk photos/ -o restored/                 a folder, its tree mirrored
  pellucid bulk s3://bucket/photos -o s3://bucket/restored
  pellucid bulk 'https://host/shards/{000..099}.tar' -o restored/     WebDataset
  pellucid bulk tables/ -o restored/ --column photo  Parquet
  pellucid bulk s3://a/in -o s3://b/out --address host:6379 --workers 64
The same command goes on with a run that was stopped or killed; --retry-failed also tries again
what failed. a.jpg becomes TARGET/a.jpg, 000.tar becomes TARGET/000.tar.
TARGET/_reports is a Parquet table with one row per picture: diagnosis, quality, decision, seconds.
What could not be restored has its reason in the column `error`:
  python -c "import pyarrow.parquet as p; print(p.read_table('restored/_reports',
      columns=['name', 'error'], filters=[('error', '!=', '')]).to_pylist())"
S3 and GCS take credentials from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_DEFAULT_REGION, AWS_ENDPOINT_URL ...). With --address it is the environment of the cluster's
machines: pellucid must be installed there, too, and folders must be on a disk that all share.
What a million pictures need: docs/scale.md
"""


@dataclass
class Bulk:
    """Restore very many pictures: a folder, WebDataset tars or Parquet, local, on S3, GCS or HTTP.

    Runs on Ray Data; needs pip install 'pellucid[bulk]'.
    """

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """A folder of pictures, of .tar or of .parquet files (path or URI), one such file, or a pattern
    such as x/{00..99}.tar."""
    output: Annotated[str, arg(aliases=["-o"], metavar="TARGET")]
    """A folder (path or URI), empty or with an earlier part of the same run."""
    model: Annotated[str, arg(aliases=["-m"], metavar="NAME|FILE")] = "auto"
    """A name from `pellucid models`, a file of weights, or auto."""
    words: Annotated[
        str | None,
        arg(metavar="WORD[,WORD]", help_behavior_hint="(default: what the model finds)"),
    ] = None
    """What is wrong with every picture, if you know it: hazy, or rainy,noisy."""
    strength: float = 1.0
    """1 is the restoration, 0 the input, 0.5 half of each."""
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
    guard: Flag = False
    """Other models than those in the package: judge what the network makes, too."""
    no_guard: Flag = False
    """Write what the network makes, even where nothing that can be measured explains the change."""
    no_rating: Flag = False
    """Do not measure the quality before and after."""
    format: Annotated[
        FORMATS | None,
        arg(
            metavar="{jpg,png,webp,tif,bmp,avif,heic,jxl}", help_behavior_hint="(default: as input)"
        ),
    ] = None
    """Of the results."""
    quality: Annotated[int | None, arg(metavar="1..100", help_behavior_hint="(default: 95)")] = None
    """Of JPEG, WebP, AVIF, HEIC, JPEG XL. If not given, a JPEG is never coarser than its input."""
    column: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: image)")] = None
    """Parquet: the column with the pictures, bytes or a struct with bytes and path."""
    max_pixels: int = 100_000_000
    """Refuse larger pictures: a small file can claim to be a huge picture."""
    device: str = "auto"
    """auto, cpu, cuda, mps ..."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the computation; auto is bfloat16 where that is faster."""
    engine: Literal["torch", "compile", "onnxruntime", "openvino", "auto"] = "torch"
    """What computes the network."""
    tile: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: by size)")] = None
    """Longest side of a tile in pixels; smaller needs less memory; 0 never tiles."""
    workers: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: one a GPU, or 4 cores)")
    ] = None
    """Processes that hold the model."""
    cpus: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Cores of this machine to be used."""
    address: Annotated[str | None, arg(metavar="HOST:PORT", help_behavior_hint="")] = None
    """Of a running Ray cluster; if not given, Ray is started on this machine for the run."""
    retry_failed: Flag = False
    """Try again what failed in an earlier run."""
    quiet: QuietFlag = False
    """Print errors only."""
    json: Flag = False
    """Print a summary as one line of JSON on standard output."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if a picture failed."""
    args = parse(Bulk, argv, "bulk", EXAMPLES)
    if args.quality is not None and not 1 <= args.quality <= 100:
        raise UsageError(f"--quality {args.quality} is not in 1..100")
    for name in ("max_pixels", "workers", "cpus"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be positive")
    if args.quiet:
        logging.getLogger("pellucid").setLevel(logging.ERROR)
    for module in ("pyarrow", "ray"):
        importlib.import_module(module)  # said before anything is listed

    from pellucid.bulk.parts import source_of
    from pellucid.bulk.run import Cluster, bulk
    from pellucid.bulk.worker import Machine, Settings
    from pellucid.places import Place

    is_file = args.model not in zoo.MODELS and os.path.isfile(args.model)
    settings = Settings(
        model=os.path.abspath(args.model) if is_file else args.model,  # workers are elsewhere
        words=tuple(words_of(args.words)),
        strength=args.strength,
        preset=args.preset,
        steps=args.steps,
        seed=args.seed,
        guard=guarded(args.guard, args.no_guard),
        format=args.format and f".{args.format}",
        quality=args.quality,
        rate=not args.no_rating,
        max_pixels=args.max_pixels,
        column=args.column,
    )
    done = bulk(
        source_of(args.source),
        Place(args.output),
        settings,
        Machine(args.device, args.dtype, args.engine, args.tile),
        Cluster(args.address, args.workers, args.cpus),
        args.retry_failed,
        (lambda done, total: None)
        if args.quiet
        else (lambda done, total: _say(progress(done, total))),
    )
    if not args.quiet:
        _say(f"{_counts(done)} in {done.seconds:.0f} s; reports are in {args.output}/_reports")
        if done.failed:
            _say("why they failed is in its column `error`")
    if args.json:
        print(json.dumps(asdict(done)), flush=True)
    return 1 if done.failed else 0


def progress(done: Summary, total: Total) -> str:
    """A line such as "120/2000 pictures, 1 failed, 0.53 a second, about 59 min left"."""
    pictures = done.pictures + done.held
    if total.pictures is not None:
        first = f"{pictures}/{counted(total.pictures, 'picture')}"
        left = (total.pictures - pictures) / max(done.pictures, 1)  # times what was done
    else:
        first = f"{counted(pictures, 'picture')}, {done.parts}/{counted(total.parts, 'shard')}"
        left = (total.parts - done.parts) / max(done.parts, 1)
    line = [first, *([f"{done.failed} failed"] if done.failed else [])]
    line.append(f"{done.pictures / done.seconds:.2f} a second")
    if done.pictures and (done.parts or total.pictures is not None):
        line.append(f"about {_span(left * done.seconds)} left")
    return ", ".join(line)


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _counts(done: Summary) -> str:
    counts = [f"{done.restored} restored"]
    counts += [f"{done.failed} failed"] if done.failed else []
    counts += [f"{done.held} done before"] if done.held else []
    return ", ".join(counts)


def _say(text: str) -> None:
    print(plain(text), file=sys.stderr, flush=True)
