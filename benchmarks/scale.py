"""Work out what very many photographs need, from figures measured here and before; prints Markdown.

    python benchmarks/scale.py [--photo FILE] [--megabytes 4] [--core-seconds 50] [--tflop 2.76] ...

Measured here, in processor seconds, which a busy machine changes little: decoding and encoding of a
12 MP JPEG, the guard's measurement of it, the driver's memory and the size of the lists for a loose
picture, the size of a row of reports. Everything else is an argument: the network's time is that of
docs/measurements/speed.md, prices and rates are assumptions. docs/scale.md explains the table.
"""

import argparse
import io
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from pellucid.bulk import reports
from pellucid.bulk.parts import PICTURES, Part, source_of
from pellucid.degradations import CLASSES
from pellucid.imaging.evidence import measure
from pellucid.imaging.io import encode, read
from pellucid.places import Place

COUNTS = (10**6, 10**8, 10**9)
LISTED = 40_000


def report(seed: int) -> dict[str, Any]:
    """What is reported of a picture, with numbers that differ from picture to picture."""
    rng = np.random.default_rng(seed)
    shares = {word: float(value) for word, value in zip(CLASSES, rng.random(11), strict=True)}
    quality = {
        when: {word: float(rng.random()) for word in ("good", "fair", "bad")}
        for when in ("before", "after")
    }
    size = {"width": 4000, "height": 3000, "notes": [], "seconds": float(rng.random())}
    chosen = {"words": [max(shares, key=lambda word: shares[word])], "model": "lite"}
    return {**chosen, **size, "probabilities": shares, "quality": quality, "decision": "kept"}


def timed(step: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    made = step()
    return time.process_time() - began, made


def photograph(path: str | None) -> bytes:
    """A JPEG of 12 MP: a file, enlarged, with a little noise, as a camera leaves it."""
    image = Image.open(path).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 2, (3000, 4000, 1))
    buffer = io.BytesIO()
    noisy = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def of_a_photograph(data: bytes) -> dict[str, float]:
    """Processor seconds of a JPEG of 12 MP, without network and towers."""
    decoding, photo = timed(lambda: read(data))
    encoding, _ = timed(lambda: encode(photo, "JPEG"))
    pixels = photo.pixels.astype(np.float32) / 255
    guarding, _ = timed(lambda: measure(pixels))
    return {"decode": decoding, "encode": encoding, "guard": guarding, "MB": len(data) / 1e6}


def of_a_name() -> dict[str, float]:
    """Bytes of a loose picture: of the driver, in Ray's object store, in the table of reports."""
    with TemporaryDirectory() as folder:
        for i in range(LISTED):
            path = Path(folder) / f"photographs/2026/{i // 1000:04d}/IMG_{i:08d}.jpg"
            if i % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.touch()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        names = tuple(source_of(folder).names)
        driver = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / LISTED
        some = names[:PICTURES]
        store = len(Part("part-0000000", some, some).packed()["names"]) / PICTURES
        target = Place(f"{folder}/out")
        reports.write(target, "p", [reports.row(n, n, report(i)) for i, n in enumerate(some)])
        table = len(target.read(f"{reports.FOLDER}/p.parquet")) / PICTURES
    return {"driver": driver, "store": store, "table": table}


def rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", default="examples/as-it-is.jpg")
    parser.add_argument("--megabytes", type=float, default=4.0, help="of a 12 MP JPEG")
    parser.add_argument("--core-seconds", type=float, default=50.0, help="of lite, 12 MP, AVX2")
    parser.add_argument("--tflop", type=float, default=2.76, help="of lite, 12 MP")
    parser.add_argument("--gpu-tflops", type=float, default=40.0, help="sustained, of one GPU")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gpu-hour", type=float, default=2.5, help="price")
    parser.add_argument("--tb-month", type=float, default=23.0, help="price")
    parser.add_argument("--per-million", type=float, default=5.4, help="price of a PUT and a GET")
    args = parser.parse_args()
    torch.set_num_threads(1)
    name = of_a_name()  # first, while the peak of memory is low
    one = of_a_photograph(photograph(args.photo))
    print("| measured for one photograph | |\n|---|---|")
    print(
        f"| decode, encode, guard: core-seconds | {one['decode']:.2f}, {one['encode']:.2f}, ",
        end="",
    )
    print(f"{one['guard']:.2f} |\n| size of this JPEG, MB | {one['MB']:.1f} |")
    print(f"| driver's memory for a loose picture, bytes | {name['driver']:.0f} |")
    print(f"| Ray's object store for a loose picture, bytes | {name['store']:.1f} |")
    print(f"| a row of reports, bytes | {name['table']:.0f} |\n")

    coded = one["decode"] + one["encode"]
    alone, beside = args.core_seconds + coded, one["guard"] + coded
    gpu = args.tflop / args.gpu_tflops
    rows: dict[str, Callable[[float], float]] = {
        "core-hours, CPU only": lambda n: n * alone / 3600,
        "days on 1000 cores": lambda n: n * alone / 8.64e7,
        f"GPU-hours at {args.gpu_tflops:g} TFLOP/s": lambda n: n * gpu / 3600,
        "core-hours beside the GPU": lambda n: n * beside / 3600,
        "cores that feed one GPU": lambda n: beside / gpu,
        "source and results, TB": lambda n: 2 * n * args.megabytes / 1e6,
        "traffic on 1000 cores, MB/s": lambda n: 2000 * args.megabytes / alone,
        "traffic of one GPU, MB/s": lambda n: 2 * args.megabytes / gpu,
        "loose: requests to list": lambda n: n / 1000,
        "loose: driver's memory, GB": lambda n: n * name["driver"] / 1e9,
        "loose: names in Ray's store, GB": lambda n: n * name["store"] / 1e9,
        "loose: files of reports": lambda n: n / PICTURES,
        "tars of 1000: files of reports": lambda n: n / 1000,
        "tars of 1000: driver's memory, GB": lambda n: n / 1000 * name["driver"] / 1e9,
        "table of reports, GB": lambda n: n * name["table"] / 1e9,
        "price, cores alone": lambda n: n * alone / 3600 * args.core_hour,
        "price, GPUs and the cores beside": lambda n: (
            n * (gpu * args.gpu_hour + beside * args.core_hour) / 3600
        ),
        "price, requests for loose pictures": lambda n: n / 1e6 * args.per_million,
        "price, storage for a month": lambda n: 2 * n * args.megabytes / 1e6 * args.tb_month,
    }
    print("| 12 MP photographs | " + " | ".join(f"{n:.0e}" for n in COUNTS) + " |")
    print("|---|" + "---|" * len(COUNTS))
    for title, value in rows.items():
        print(f"| {title} | " + " | ".join(rounded(value(n)) for n in COUNTS) + " |")


if __name__ == "__main__":
    sys.exit(main())
