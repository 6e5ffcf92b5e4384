"""Pictures and folders of pictures, made in a temporary folder by the tests of data."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """Noise: every window of it is unlike every other."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photos(folder: Path, sizes=((40, 48), (64, 30), (50, 50))) -> Path:
    for i, (height, width) in enumerate(sizes):
        save(folder / f"{i}.png", picture(i, height, width))
    return folder


def seed_of(word: str, number: int) -> int:
    """Seed of a clean picture of `dataset`."""
    return zlib.crc32(f"{word}/{number}".encode())


def dataset(root: Path, counts: dict[str, int], height: int = 40, width: int = 48) -> Path:
    """The official layout; LQ is GT inverted, so that alignment can be seen."""
    for word, count in counts.items():
        for i in range(count):
            clean = picture(seed_of(word, i), height, width)
            save(root / word / "GT" / f"{i:03}.png", clean)
            save(root / word / "LQ" / f"{i:03}.png", 255 - clean)
    return root
