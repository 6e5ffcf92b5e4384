"""Pairs generated on the fly: a window of a clean photograph and the same window damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from pellucid.data.crops import as_tensor, eight_bit, filled, random_window, turned
from pellucid.data.photos import CleanPhotos
from pellucid.degradations import CLASSES, CLEAN, WORDS, chain, sample
from pellucid.degradations.fields import convolve, gaussian_kernel, luma
from pellucid.errors import UsageError

Steps = list[tuple[str, float]]  # (word, severity), in the order of application; [] = clean
Plan = Callable[[int, np.random.Generator], Steps]

# Pixels around the window that affect it. A larger window is damaged and then cropped; otherwise a
# blurred border would show a reflection of the window instead of its surroundings. The size of
# shadows and holes follows the picture; a small window holds a part of one.
REACH = {"motion-blurry": 18, "raindrop": 8, "shadowed": 32, "uncompleted": 32}
JPEG_BLOCK = 8
GRAIN = 4 / 255  # the strongest, standard deviation
MOST_LIGHT = 1.8  # factor on the values of a blown-out scene
CROPPED = 0.5  # share of JPEG pictures cut at any place of the grid of blocks; the rest begin on it


@dataclass(frozen=True)
class RandomPlan:
    """Random degradations for training, drawn by `pellucid.degradations.sample`."""

    words: Sequence[str] = WORDS
    clean: float = 1 / 11
    """Share of samples without damage."""
    chains: float = 0.15
    """Share of samples with two degradations."""

    def __call__(self, index: int, rng: np.random.Generator) -> Steps:
        """Draw the steps of a sample; the index is not used."""
        return sample(rng, self.clean, self.chains, tuple(self.words))


@dataclass(frozen=True)
class TurnPlan:
    """Degradations for training a classifier: classes in turn, random severity.

    With windows shown to all of them (`GeneratedPairs`, `twins`), the samples of a batch differ
    in the damage alone, so a classifier learns weak degradations such as raindrops sooner.
    """

    classes: Sequence[str] = CLASSES

    def __call__(self, index: int, rng: np.random.Generator) -> Steps:
        """Draw the severity of sample `index`."""
        word = self.classes[index % len(self.classes)]
        return [] if word == CLEAN else [(word, float(rng.uniform(0.02, 1)))]


@dataclass(frozen=True)
class EvenPlan:
    """Degradations for validation: classes in turn, severities evenly spaced in each.

    The n-th sample of a class has the severity `low + (high - low) * frac(0.5 + n * golden ratio)`:
    any number of samples covers the range, the first one its middle.
    """

    classes: Sequence[str] = CLASSES
    low: float = 0.1
    high: float = 0.9

    def __call__(self, index: int, rng: np.random.Generator) -> Steps:
        """Return the steps of sample `index`; not random."""
        turn, place = divmod(index, len(self.classes))
        word = self.classes[place]
        spread = (0.5 + turn * 0.6180339887498949) % 1
        return [] if word == CLEAN else [(word, self.low + (self.high - self.low) * spread)]


class GeneratedPairs(Dataset):
    """Endless damaged windows; a sample is a function of (seed, index) and the photographs.

    A sample is a dict: `lq`, `gt` float32 (3, crop, crop) in [0, 1], on the 256 levels of a file;
    `word`, "noisy", "rainy+noisy" for a chain, or "clean"; `severity`, of a chain the largest, of a
    clean window 0; `name` of the photograph's file; `index`.

    Args:
        photos: clean photographs; those smaller than a window are extended by reflection.
        crop: side of the window in px.
        seed: another seed gives other samples throughout.
        plan: which damage a sample gets.
        by: photographs are drawn with equal chances ("photo") or in proportion to their pixels
            ("pixels"), or taken in turn, number `index % n` ("turn", for validation).
        shrink: windows are cut up to 1 / shrink times larger and reduced (Lanczos), so that one
            photograph shows its details at several scales; 1 = never.
        turns: mirror, turn and transpose windows (before they are damaged: rain still falls down).
        twins: so many samples in a row show (nearly) the same window, each with its own damage.
        rare: share of windows whose clean picture (`gt`) is made grainy or blown out before it is
            damaged; see `rarer`.
        grey: share of grey pictures: one channel, so one field of noise, three times.
        length: `len` of the dataset; default: the number of photographs. Any index >= 0 is valid.
    """

    def __init__(
        self,
        photos: CleanPhotos,
        crop: int = 128,
        seed: int = 0,
        plan: Plan = RandomPlan(),
        by: Literal["photo", "pixels", "turn"] = "photo",
        shrink: float = 1.0,
        turns: bool = True,
        twins: int = 1,
        rare: float = 0.0,
        grey: float = 0.0,
        length: int | None = None,
    ):
        if not 0 < shrink <= 1:
            raise UsageError(f"shrink is {shrink}; it must be above 0 and at most 1")
        self.photos, self.crop, self.seed, self.plan = photos, crop, seed, plan
        self.by, self.shrink, self.turns, self.twins = by, shrink, turns, twins
        self.rare, self.grey = rare, grey
        self.length = len(photos) if length is None else length
        pixels = photos.sizes.prod(axis=1).astype(float)
        self._shares = np.cumsum(pixels) / pixels.sum()

    def __len__(self) -> int:
        return self.length

    @property
    def sources(self) -> dict[str, list[str]]:
        """Names of the photographs."""
        return {"photographs": self.photos.files}

    def __getitem__(self, index: int) -> dict:
        index = int(index)
        rng = np.random.default_rng((self.seed, index))
        steps = self.plan(index, rng)
        words = [word for word, _ in steps]
        reach = sum(REACH.get(word, 0) for word in words)
        blocks = JPEG_BLOCK - 1 if "jpeg-compressed" in words else 0
        place = np.random.default_rng((self.seed, index // self.twins)) if self.twins > 1 else rng
        clean, name = self._window(self.crop + 2 * reach + blocks, index, place)
        image = clean.astype(np.float32) / 255
        if self.rare and place.random() < self.rare:
            image = rarer(image, place)
        grey = self.grey > 0 and place.random() < self.grey
        image = eight_bit(np.repeat(luma(image), 3, axis=-1)) if grey else image
        damaged = chain(image, steps, rng)
        damaged = np.repeat(damaged[..., 1:2], 3, axis=-1) if grey else damaged
        cropped = rng.random() < CROPPED
        top, left = reach + rng.integers(blocks + 1, size=2) * cropped
        cut = np.s_[top : top + self.crop, left : left + self.crop]
        return {
            "lq": as_tensor(eight_bit(damaged[cut])),
            "gt": as_tensor(image[cut]),
            "word": "+".join(words) or CLEAN,
            "severity": max((severity for _, severity in steps), default=0.0),
            "name": name,
            "index": index,
        }

    def _window(self, side: int, index: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """A uint8 square of a photograph, and the name of its file."""
        chosen = self._choose(index, rng)
        photo = self.photos[chosen]
        height, width = photo.shape[:2]
        scale = max(rng.uniform(self.shrink, 1), side / min(height, width))
        window = photo[random_window(height, width, round(side / min(scale, 1)), rng)]
        if window.shape[0] > side and window.shape[1] > side:
            reduced = Image.fromarray(window).resize((side, side), Image.Resampling.LANCZOS)
            window = np.asarray(reduced)
        window = filled(window, side, side)
        window = turned(window, int(rng.integers(8))) if self.turns else window
        return window, self.photos.files[chosen]

    def _choose(self, index: int, rng: np.random.Generator) -> int:
        if self.by == "turn":
            return index % len(self.photos)
        if self.by == "photo":
            return int(rng.integers(len(self.photos)))
        return min(int(np.searchsorted(self._shares, rng.random(), "right")), len(self.photos) - 1)


def rarer(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make a clean photograph grainy, blown out, or both, in 256 levels.

    A tower trained on spotless scenes alone calls grain noise and white paint a hole in the
    picture. Grain is soft noise, in part common to the colours, strongest in the middle tones.
    """
    kind = rng.random()
    if kind < 0.6:
        image = np.minimum(rng.uniform(1, MOST_LIGHT) * image, 1)
    if kind > 0.3:
        noise = rng.standard_normal((*image.shape[:2], 4), dtype=np.float32)
        noise = convolve(noise, gaussian_kernel(rng.uniform(0.3, 0.9)))
        noise = noise[..., :3] + noise[..., 3:]
        strength = rng.uniform(0, GRAIN) / noise.std() * (0.4 + 2.4 * image * (1 - image))
        image = np.clip(image + strength * noise, 0, 1)
    return (np.round(255 * image) / 255).astype(np.float32)
