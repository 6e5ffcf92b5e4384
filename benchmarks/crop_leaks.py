"""How surely `pellucid.data.crop_leaks` finds a part of a photograph: the table in its docstring.

python benchmarks/crop_leaks.py data/photos/train
"""

from __future__ import annotations

import argparse
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
    with TemporaryDirectory() as folder:
        windows: dict[tuple[str, Path], Path] = {}
        for path in files:
            pixels = read_pixels(path)
            for name, damage in DAMAGE.items():
                window = Path(folder) / f"{len(windows)}.png"
                part(pixels, np.random.default_rng(len(windows)), **damage).save(window)
                windows[name, path] = window
        leaks = crop_leaks.find_crops(list(windows.values()), files, threads=1)
        found = {leak.truth: leak for leak in leaks}
        for name in DAMAGE:
            agreeing = []
            for path in files:
                leak = found.get(windows[name, path])
                agreeing.append(leak.agreeing if leak and leak.train == path else 0)
            share = np.mean(np.array(agreeing) >= least)
            low, middle = np.percentile(agreeing, [10, 50])
            print(f"{name:34} median {middle:4.0f}  10 % {low:4.0f}  found {share:.0%}")
        even = [window for (_, path), window in windows.items() if files.index(path) % 2 == 0]
        leaks = crop_leaks.find_crops(even, files[1::2], threads=1)
        most = max((leak.agreeing for leak in leaks), default=0)
        print(f"other photographs, {len(even) * len(files[1::2])} pairs: at most {most}")


if __name__ == "__main__":
    main()
