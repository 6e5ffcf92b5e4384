"""Datasets of pairs in the layouts of `layouts.LAYOUTS`.

`PairedFolders` has aligned crops for restoration networks, `CaptionedPairs` CLIP's input and a
caption for the controller. Pictures are read from disk for every sample.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from pellucid.data.crops import as_tensor, filled, random_window, turned
from pellucid.data.files import GT, LQ, NONE_LEFT, Pair, read_pair, stable_name
from pellucid.data.layouts import MIXED, PairSet, find_sets, match
from pellucid.data.table import read_captions
from pellucid.errors import UsageError
from pellucid.plural import counted

UNKNOWN = float("nan")  # the severity of pairs that were not generated
CHECK = "`pellucid data check` lists every such file"


class PairedFolders(Dataset):
    """Pairs of the sets in a folder; a sample is a function of (seed, index) and the files.

    A sample is a dict: `lq`, `gt` float32 (3, H, W) in [0, 1]; `word`, the name of the type;
    `severity`, NaN; `index`; with `view`, also `view`, float32 (3, view, view).

    Args:
        root: folder of the types, or one type's folder, in any of `layouts.LAYOUTS`.
        words: types to take; empty = all. The official words come first, in the official order.
        crop: side of the window in px, the same in both pictures; smaller pictures are extended by
            reflection (the official code stops). None = whole pictures, of any size.
        seed: another seed gives other samples throughout.
        draw: "balanced": type `index % n`, any of its pairs, for training as in the official code;
            "each": every pair once, the types in turn, for validation.
        turns: mirror, turn and transpose, both pictures alike.
        symmetries: how many of them `turns` has: 8 of the square; 4 without transposing, as in
            Perceive-IR's official code; 2, left and right.
        ratios: a number a word of `words`: a type is drawn in proportion to its pairs times this,
            as if its list were repeated so often, in place of "balanced".
        noise: standard deviations in grey levels. A type with GT alone gets noise of one of them on
            the fly, not rounded to 8 bit, as in Perceive-IR's official code.
        keep: whether a clean picture is used, by its `stable_name`.
        view: side of a thumbnail of the whole damaged picture (its centre square), turned as the
            window is, as a tower sees it when restoring. 0 = none.

    Raises:
        UsageError: the folder has not this layout, a type is missing, or no pair is found in it.
    """

    def __init__(
        self,
        root: str | Path,
        words: Sequence[str] = (),
        crop: int | None = 256,
        seed: int = 0,
        draw: Literal["balanced", "each"] = "balanced",
        turns: bool = True,
        symmetries: int = 8,
        ratios: Sequence[float] = (),
        noise: Sequence[float] = (),
        keep: Callable[[str], bool] = lambda name: True,
        view: int = 0,
    ):
        self.root = Path(root)
        self.crop, self.seed, self.draw, self.view = crop, seed, draw, view
        self.symmetries = symmetries if turns else 1
        self.noise = tuple(noise)
        sets = find_sets(root)
        if not sets:
            raise UsageError(f"{root}: no folders <type>/{LQ} and <type>/{GT} in it")
        self.notes: list[str] = []
        found: dict[str, list[Pair]] = {}
        there: dict[str, int] = {}
        for one in sets:
            if words and one.word not in words and one.layout is not MIXED:
                found.setdefault(one.word, [])
                continue
            for word, listed in self._listed(one).items():
                used = [p for p in listed if keep(stable_name(p.gt, one.truths or one.folder))]
                found.setdefault(word, []).extend(used)
                there[word] = there.get(word, 0) + len(listed)
        if missing := [word for word in words if word not in found]:
            raise UsageError(f"{root}: no '{missing[0]}' in it; there are: {', '.join(found)}")
        self.words = tuple(words) or tuple(found)
        if ratios and len(ratios) != len(self.words):
            raise UsageError(f"{len(ratios)} ratios for the types {', '.join(self.words)}")
        self.pairs = {word: found[word] for word in self.words}
        if empty := [word for word, listed in self.pairs.items() if not listed]:
            if count := there.get(empty[0]):
                what = f"{counted(count, 'picture')} of '{empty[0]}'"
                raise UsageError(f"{root}: of {what} {NONE_LEFT}")
            clean = any(one.word == empty[0] == "noisy" and one.inputs is None for one in sets)
            how = "clean pictures alone: give --data.noise 15 25 50" if clean else CHECK
            raise UsageError(f"{root}: no pairs of '{empty[0]}' in it; {how}")
        longest = max(len(listed) for listed in self.pairs.values())
        counts = np.array([len(listed) for listed in self.pairs.values()])
        self._shares = np.cumsum(counts * ratios) / (counts @ ratios) if ratios else None
        self._turns = [
            (word, listed[i])
            for i in range(longest)
            for word, listed in self.pairs.items()
            if i < len(listed)
        ]

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def sources(self) -> dict[str, list[str]]:
        """Names of the damaged pictures below the root, by word."""
        return {
            word: [os.path.relpath(pair.lq, self.root) for pair in listed]
            for word, listed in self.pairs.items()
        }

    def __getitem__(self, index: int) -> dict:
        index = int(index)
        rng = np.random.default_rng((self.seed, index))
        if self.draw == "balanced":
            place = index % len(self.words)
            if self._shares is not None:
                place = int(np.searchsorted(self._shares[:-1], rng.random(), "right"))
            word = self.words[place]
            pair = self.pairs[word][rng.integers(len(self.pairs[word]))]
        else:
            word, pair = self._turns[index % len(self)]
        lq, gt = read_pair(pair)
        box = resized_crop_box(lq.shape[0], lq.shape[1], (1, 1), rng)
        shown = view(lq, box, self.view) if self.view else lq
        if self.crop is not None:
            window = random_window(gt.shape[0], gt.shape[1], self.crop, rng)
            lq, gt = (filled(p[window], self.crop, self.crop) for p in (lq, gt))
        turn = int(rng.integers(self.symmetries))
        lq, gt, shown = (as_tensor(turned(p, turn)) for p in (lq, gt, shown))
        if pair.lq == pair.gt:
            sigma = rng.choice(self.noise) / 255
            noise = rng.standard_normal(tuple(gt.shape), dtype=np.float32)
            lq = (gt + sigma * torch.from_numpy(noise)).clamp(0, 1)
        sample = {"lq": lq, "gt": gt, "word": word, "severity": UNKNOWN, "index": index}
        sample["name"] = str(pair.lq)
        return {**sample, "view": shown} if self.view else sample

    def _listed(self, one: PairSet) -> dict[str, list[Pair]]:
        """Pairs of a set by word, without those of its test, and a note of how they were found."""
        matched = one.match()
        self.notes.append(one.note(matched))
        if self.noise and one.inputs is None:
            if self.view:
                raise UsageError(
                    f"{one.folder}: noise is made in the crop, so there is no view of it"
                )
            return {one.word: [Pair(path, path) for path in matched.alone]}
        test = one.layout.test
        kept = [p for p in matched.pairs if not test or not re.match(test, p.lq.stem)]
        if out := len(matched.pairs) - len(kept):
            self.notes.append(f"{one.name}: left out, as in its test set: {counted(out, 'pair')}")
        return one.by_word(kept)


class CaptionedPairs(Dataset):
    """Pairs and captions for the controller; a sample is a function of (seed, index).

    A sample is a dict: `lq`, `gt` float32 (3, size, size) in [0, 1], the same window of both, not
    normalised; `caption`; `word`; `severity`, NaN; `index`.

    Args:
        table: the CSV of `captions`: paths of damaged pictures (relative to the CSV's folder or
            absolute) in `<type>/LQ`, their clean ones in `<type>/GT`.
        size: side of CLIP's input in px.
        seed: another seed gives other samples throughout.
        scale: share of the picture's area that is kept by the random resized crop (aspect 3/4 ..
            4/3); (1, 1): its centre square without distortion (evaluation).

    Raises:
        UsageError: the table cannot be used.
    """

    def __init__(
        self,
        table: str | Path,
        size: int = 224,
        seed: int = 0,
        scale: tuple[float, float] = (0.9, 1.0),
    ):
        self.size, self.seed, self.scale = size, seed, scale
        table = Path(table)
        self.rows = []  # (pair, caption, word)
        partners: dict[Path, dict[Path, Pair]] = {}
        for path, caption, word in read_captions(table):
            lq = table.parent / path
            folder = next((above.parent for above in lq.parents if above.name == LQ), lq.parent)
            if folder not in partners:
                found = match(folder / LQ, folder / GT, by_order=True)
                partners[folder] = {pair.lq: pair for pair in found.pairs}
            if lq not in partners[folder]:
                raise UsageError(f"{table}: {path} is not one of a pair in {folder}; {CHECK}")
            self.rows.append((partners[folder][lq], caption, word))
        if not self.rows:
            raise UsageError(f"{table}: there are no captions in it")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sources(self) -> dict[str, list[str]]:
        """Names of the damaged pictures and their captions."""
        return {"captions": [f"{pair.lq.name}: {caption}" for pair, caption, _ in self.rows]}

    def __getitem__(self, index: int) -> dict:
        index = int(index)
        rng = np.random.default_rng((self.seed, index))
        pair, caption, word = self.rows[index % len(self.rows)]
        lq, gt = read_pair(pair)
        box = resized_crop_box(gt.shape[0], gt.shape[1], self.scale, rng)
        lq, gt = (as_tensor(view(picture, box, self.size)) for picture in (lq, gt))
        sample = {"lq": lq, "gt": gt, "caption": caption, "word": word, "name": str(pair.lq)}
        return sample | {"severity": UNKNOWN, "index": index}


def resized_crop_box(
    height: int, width: int, scale: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a random crop as in CLIP's training.

    Area share and aspect (3/4 .. 4/3) are drawn until the box fits, ten times at most; then, and
    for a scale of (1, 1), the centre square.
    """
    if tuple(scale) != (1, 1):
        for _ in range(10):
            area = height * width * rng.uniform(*scale)
            aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = int(rng.integers(height - h + 1))
                left = int(rng.integers(width - w + 1))
                return left, top, left + w, top + h
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def view(picture: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """The box of a uint8 picture as a square of `size` px (bicubic, antialiased)."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
