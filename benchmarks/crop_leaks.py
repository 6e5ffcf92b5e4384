"""How surely `pellucid.data.crop_leaks` finds a part of a photograph: the table in its docstring.

python benchmarks/crop_leaks.py data/photos/train
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pellucid.data import crop_leaks
from pellucid.data.files import pictures, read_pixels

SIDE = 256
DAMAGE = {
    "256 px window": {},
    "of half the size": {"reduced": 0.5},
    "JPEG quality 50": {"quality": 50},
    "mirrored": {"mirrored": True},
    "noise, sigma 25": {"sigma": 25},
    "half the size, mirrored, JPEG 50": {"reduced": 0.5, "mirrored": True, "quality": 50},
}


def part(
    pixels: np.ndarray,
    rng: np.random.Generator,
    reduced: float = 1.0,
    quality: int = 0,
    mirrored: bool = False,
    sigma: float = 0.0,
) -> Image.Image:
    """A random window of a photograph, damaged."""
    height, width = pixels.shape[:2]
    share = max(reduced, SIDE / min(height, width))
    size = [max(SIDE, round(n * share)) for n in (width, height)]
    image = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    left, top = (int(rng.integers(n - SIDE + 1)) for n in size)
    window = np.asarray(image)[top : top + SIDE, left : left + SIDE]
    window = window[:, ::-1] if mirrored else window
    window = np.uint8(np.clip(window + sigma * rng.standard_normal(window.shape), 0, 255))
    image = Image.fromarray(window)
    if quality:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        image = Image.open(file)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=60, help="N photographs, spread")
    args = parser.parse_args()
    files = pictures(args.folder)
    files = [files[i * len(files) // args.limit] for i in range(min(args.limit, len(files)))]
    least, crop_leaks.AGREEING = crop_leaks.AGREEING, 1  # count them all
    crop_leaks._features = lru_cache(maxsize=None)(crop_leaks._features)
    most, pairs = 0, 0
    with TemporaryDirectory() as folder:
        for name, damage in DAMAGE.items():
            windows = []
            for number, path in enumerate(files):
                windows.append(Path(folder) / f"{name}-{number}.png")
                part(read_pixels(path), np.random.default_rng(number), **damage).save(windows[-1])
            found = {x.truth: x for x in crop_leaks.find_crops(windows, files, threads=1)}
            agreeing = [
                found[window].agreeing if window in found and found[window].train == path else 0
                for window, path in zip(windows, files, strict=True)
            ]
            low, middle = np.percentile(agreeing, [10, 50])
            share = np.mean(np.array(agreeing) >= least)
            print(f"{name:34} median {middle:4.0f}  10 % {low:4.0f}  found {share:.0%}", flush=True)
            chance = crop_leaks.find_crops(windows[::2], files[1::2], threads=1)
            most = max([most, *(leak.agreeing for leak in chance)])
            pairs += len(windows[::2]) * len(files[1::2])
    print(f"windows of other photographs, {pairs} pairs: at most {most}")


if __name__ == "__main__":
    main()
