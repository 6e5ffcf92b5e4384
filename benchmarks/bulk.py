"""Measure what `pellucid bulk` costs beside `pellucid restore` on this machine; prints Markdown.

    python benchmarks/bulk.py [--few 4] [--many 16] [--megapixels 1] [--workers 1 2]

Each command restores few pictures, then many, into new folders; the difference, divided by the
pictures between, is the time of one picture. So the start of Python and of Ray does not count; the
table says it apart. Bulk also rates the quality of each picture before and after unless told not
to; here it does not, as `restore` does not. Run it on an idle machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from speed import photograph


def pictures(folder: Path, count: int, megapixels: float) -> None:
    pixels = photograph(megapixels)[0]
    noise = torch.Generator().manual_seed(1)
    for i in range(count):
        noisy = pixels + 0.08 * torch.randn(pixels.shape, generator=noise)
        values = (255 * noisy.clamp(0, 1)).byte().permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(values).save(folder / f"{i:05d}.jpg", quality=95)


def seconds(command: list[str], count: int, megapixels: float) -> float:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "in").mkdir()
        pictures(folder / "in", count, megapixels)
        began = time.perf_counter()
        whole = [sys.executable, "-m", "pellucid", *command[:1], str(folder / "in")]
        whole += ["-o", str(folder / "out"), "--device", "cpu", "--quiet", *command[1:]]
        subprocess.run(whole, check=True, env=os.environ)
        took = time.perf_counter() - began
        assert len(list((folder / "out").glob("*.jpg"))) == count
        shutil.rmtree(folder / "out")
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=4)
    parser.add_argument("--many", type=int, default=16)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    cores = str(len(os.sched_getaffinity(0)))
    rows = {"restore": ["restore", "--model", "lite"]}
    for count in args.workers:
        options = ["--model", "lite", "--no-rating", "--cpus", cores, "--workers", str(count)]
        rows[f"bulk, {count} workers"] = ["bulk", *options]
    print(f"{args.megapixels:g} MP, {cores} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    print("| command | seconds a picture | beside restore | start, s |\n|---|---|---|---|")
    plain = None
    for name, command in rows.items():
        few = seconds(command, args.few, args.megapixels)
        many = seconds(command, args.many, args.megapixels)
        each = (many - few) / (args.many - args.few)
        plain = plain or each
        print(f"| {name} | {each:.2f} | {each / plain - 1:+.0%} | {few - args.few * each:.1f} |")


if __name__ == "__main__":
    main()
