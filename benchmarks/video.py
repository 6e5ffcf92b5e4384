"""Steadiness of restored films: warped-frame error before and after, on films with known motion.

    python benchmarks/video.py [--photos astronaut coffee chelsea] [--frames 16] [--model auto]

A camera moves over photographs of scikit-image by known shifts of whole pixels; each frame is
damaged on its own (noise, rain, snow). The warped-frame error is the root mean square difference,
in levels of 255, of neighbouring frames moved onto each other by the known motion. PSNR against the
clean frames shows what steadiness costs or gains. Prints a table for docs/video.md.
"""

import argparse
from itertools import pairwise

import numpy as np
import skimage.data
from PIL import Image

import pellucid
from pellucid.degradations import degrade
from pellucid.video.frames import Frame
from pellucid.video.shots import SAMPLES, diagnosed, spread
from pellucid.video.steady import steadied

HEIGHT, WIDTH = 192, 256
STEP = (1, 3)  # px a frame, down and right
DAMAGE = ("noisy", "rainy", "snowy")


def moving(photo: np.ndarray, count: int) -> list[np.ndarray]:
    """Windows of a photograph, float32 ``(HEIGHT, WIDTH, 3)``, shifted by STEP a frame."""
    height, width = HEIGHT + STEP[0] * count, WIDTH + STEP[1] * count
    image = Image.fromarray(photo).convert("RGB")
    scale = max(height / image.height, width / image.width)
    size = round(image.width * scale + 0.5), round(image.height * scale + 0.5)
    whole = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    windows = [(STEP[0] * i, STEP[1] * i) for i in range(count)]
    return [whole[y : y + HEIGHT, x : x + WIDTH] for y, x in windows]


def warped_error(frames: list[np.ndarray]) -> float:
    """Levels of 255 between neighbours, moved onto each other."""
    y, x = STEP
    squares = [np.square(a[y:, x:] - b[:-y, :-x]).mean() for a, b in pairwise(frames)]
    return 255 * float(np.mean(squares)) ** 0.5


def psnr(frames: list[np.ndarray], clean: list[np.ndarray]) -> float:
    error = np.mean([np.square(a - b).mean() for a, b in zip(frames, clean, strict=True)])
    return -10 * float(np.log10(error))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", nargs="+", default=["astronaut", "coffee", "chelsea"])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--model", default="auto")
    args = parser.parse_args()
    restorer = pellucid.load(args.model)
    print("| film | way | warped-frame error | PSNR, dB |\n|---|---|---:|---:|")
    for name, word in zip(args.photos, DAMAGE, strict=True):
        clean = moving(getattr(skimage.data, name)(), args.frames)
        damaged = [degrade(f, word, 0.5, np.random.default_rng(i)) for i, f in enumerate(clean)]
        frames = [Frame(i, np.float32(f), i, 1) for i, f in enumerate(damaged)]
        each = [restorer.restore(frame.pixels) for frame in frames]
        samples = [frames[i] for i in spread(0, len(frames), SAMPLES)]
        shot = diagnosed(0, len(frames), samples, restorer)
        restored = [frame.with_pixels(shot.restored(frame)) for frame in frames]
        ways = {
            "damaged": damaged,
            "each frame on its own": each,
            "one guidance a shot": [f.pixels for f in restored],
            "and `--steady`": [f.pixels for f in steadied(restored, [])],
            "clean": clean,
        }
        for way, pictures in ways.items():
            quality = "" if way == "clean" else f"{psnr(pictures, clean):.2f}"
            print(f"| {name}, {word} | {way} | {warped_error(pictures):.2f} | {quality} |")


if __name__ == "__main__":
    main()
