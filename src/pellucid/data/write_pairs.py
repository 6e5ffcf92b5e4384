"""Write damaged copies of clean photographs in the official layout `<type>/{LQ,GT}`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from pellucid.data.crops import random_window
from pellucid.data.files import GT, LQ, pictures, stable_name
from pellucid.degradations import CLASSES, chain
from pellucid.degradations.sets import PUBLIC_SETS
from pellucid.errors import UsageError
from pellucid.imaging import io


def write_pairs(
    clean: str | Path,
    out: str | Path,
    words: Sequence[str],
    severity: tuple[float, float] = (0.5, 0.5),
    seed: int = 0,
    window: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
    copies: int = 1,
) -> dict[str, int]:
    """Write `out/<word>/{LQ,GT}/<name>.png`, 8 bit, for every picture below `clean` and word.

    A chain is named "rainy+noisy" and applied in that order. What is drawn for a picture depends on
    the seed, the word and the picture's name alone, so more pictures or words leave the rest as it
    was.

    Args:
        clean: folder of clean pictures.
        out: folder to write to; files in it are never replaced.
        words: degradations or chains of them, or names in
            `pellucid.degradations.sets.PUBLIC_SETS`.
        severity: lowest and highest, in [0, 1]; drawn evenly in between, for every link of a chain.
            Data sets have their own.
        seed: another seed gives other damage.
        window: side in px of the random square that is cut from each picture, another one for each
            word; None = whole pictures.
        progress: called with the share that is done, in [0, 1], after each pair.
        copies: pairs of each picture and word, each with other damage and another window; the
            second is called `<name>-2`.

    Returns:
        Number of pairs by word.

    Raises:
        UsageError: an unknown word, a severity or a number of copies out of range, or two pictures
            of one name.
        ImageError: a picture cannot be read, or a file exists already.
    """
    chains = {word: word.split("+") for word in words}
    for word, link in ((word, link) for word, links in chains.items() for link in links):
        if link not in CLASSES and word not in PUBLIC_SETS:
            known = ", ".join((*CLASSES, *PUBLIC_SETS))
            raise UsageError(f"unknown degradation '{link}'; known: {known}")
    low, high = severity
    if not 0 <= low <= high <= 1:
        raise UsageError(f"severity {low} to {high} is not a range within [0, 1]")
    if copies < 1:
        raise UsageError(f"{copies} copies: at least one of each picture is needed")
    clean, out = Path(clean), Path(out)
    names: dict[str, Path] = {}
    for path in pictures(clean):
        name = stable_name(path, clean)
        if name in names:
            raise UsageError(f"{names[name]} and {path} would both be written as {name}.png")
        names[name] = path
    if not names:
        raise UsageError(f"{clean}: there are no pictures in this folder")
    if not chains:
        raise UsageError("no degradation given")
    done, total = 0, len(names) * len(chains) * copies
    for first, path in names.items():
        whole = replace(io.read(path), bit_depth=8)
        called = (first, *(f"{first}-{copy}" for copy in range(2, copies + 1)))
        for name, (word, links) in product(called, chains.items()):
            rng = np.random.default_rng((seed, zlib.crc32(f"{word}/{name}".encode())))
            ours = word not in PUBLIC_SETS
            steps = [(link, float(rng.uniform(low, high))) for link in links] if ours else []
            photo = whole
            if window:
                place = random_window(whole.height, whole.width, window, rng)
                photo = replace(
                    whole,
                    pixels=np.ascontiguousarray(whole.pixels[place]),
                    alpha=None if whole.alpha is None else whole.alpha[place],
                )
            pixels = (
                chain(photo.pixels, steps, rng) if ours else PUBLIC_SETS[word](photo.pixels, rng)
            )
            damaged = replace(photo, pixels=pixels.astype(np.float32, copy=False), grey=False)
            io.write(damaged, out / word / LQ / f"{name}.png")
            io.write(photo, out / word / GT / f"{name}.png")
            done += 1
            progress(done / total)
    return dict.fromkeys(chains, len(names) * copies)
