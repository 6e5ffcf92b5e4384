"""From a `DataConfig` to the data sets of `pellucid.data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from torch.utils.data import Dataset

from pellucid.data.crops import Samples, TwoCrops, as_tensor
from pellucid.data.folders import CaptionedPairs, PairedFolders
from pellucid.data.generated import EvenPlan, GeneratedPairs, RandomPlan, TurnPlan
from pellucid.data.photos import CleanPhotos
from pellucid.data.shards import ShardedPairs
from pellucid.data.triplets import Triplets, fold_of, held_out
from pellucid.data.windows import Windows
from pellucid.degradations import CLASSES, CLEAN, WORDS, wild
from pellucid.errors import UsageError, look_up
from pellucid.imaging.photo import LUMA
from pellucid.training.config import DataConfig, TrainConfig


def datasets(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    """Open the training data (endless) and the validation data (None without `data.validation`).

    A task whose options have a method `datasets(config)` opens its own. Validation pictures are not
    augmented; generated ones show every class in turn, evenly spread over the severities.

    Raises:
        UsageError: no folder is given, or it does not hold what `data.kind` says.
    """
    if hasattr(config.task, "datasets"):
        return config.task.datasets(config)
    data = config.data
    if not data.root:
        what = "a table of captions" if data.kind == "captions" else "a folder"
        raise UsageError(f"no training data: give {what} with --data.root")
    opened = {
        "generated": _generated,
        "windows": _windows,
        "wild": _wild,
        "pairs": _pairs,
        "captions": _captions,
        "triplets": _triplets,
        "shards": _shards,
        "captioned-shards": _captioned_shards,
    }
    if not data.positives:
        return opened[data.kind](config)
    larger = replace(config, data=replace(data, crop=data.crop * 3 // 2))
    training, validation = opened[data.kind](larger)
    if isinstance(validation, GeneratedPairs):
        validation.crop = data.crop
    return TwoCrops(training, data.crop, config.seed), validation


def _generated(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data, seed = config.data, config.seed
    for word in data.words:
        look_up(dict.fromkeys(WORDS), word, "degradation in --data.words")
    classes = (*data.words, CLEAN) if data.words else CLASSES
    plan = RandomPlan(data.words or WORDS, data.clean, data.chains)
    plan, twins = (TurnPlan(classes), len(classes)) if data.twins else (plan, 1)
    settings = {"by": data.by, "shrink": data.shrink, "turns": data.turns, "twins": twins}
    settings |= {"rare": data.rare, "grey": data.grey}
    photos = CleanPhotos(data.root).only(_takes_part(data))
    training = GeneratedPairs(photos, data.crop, seed, plan, **settings)
    root, keep = _validated_on(data)
    if not root:
        return training, None
    photos = CleanPhotos(root).only(keep)
    even = EvenPlan(classes)
    settings = {"by": "turn", "turns": False, "length": config.validation_samples}
    return training, GeneratedPairs(photos, data.crop, seed, even, **settings)


def _windows(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data = config.data
    drawn = data.turns, data.words, data.clean, data.symmetries
    training = Windows(data.root, data.crop, config.seed, *drawn)
    if not data.validation:
        return training, None
    return training, Windows(data.validation, None)


def _wild(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data, seed = config.data, config.seed
    settings = {"by": data.by, "shrink": data.shrink, "turns": data.turns}
    photos = CleanPhotos(data.root).only(_takes_part(data))
    training = WildPairs(photos, data.crop, seed, **settings)
    root, keep = _validated_on(data)
    if not root:
        return training, None
    settings = {"by": "turn", "turns": False, "length": config.validation_samples}
    return training, WildPairs(CleanPhotos(root).only(keep), data.crop, seed, **settings)


def _pairs(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data = config.data
    settings = {"turns": data.turns, "symmetries": data.symmetries}
    settings |= {"ratios": data.ratios, "noise": data.noise}
    settings |= {"view": data.view, "keep": _takes_part(data)}
    training = PairedFolders(data.root, data.words, data.crop, config.seed, **settings)
    root, keep = _validated_on(data)
    if not root:
        return training, None
    settings = {"draw": "each", "turns": False, "noise": data.noise, "keep": keep}
    return training, PairedFolders(root, data.words, None, **settings)


def _shards(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data = config.data
    for name in ("ratios", "noise", "view", "held_out", "fold"):
        if getattr(data, name) != getattr(DataConfig(), name):
            raise UsageError(f"--data.{name} is of pairs in folders; shards have no such choice")
    settings = {"words": data.words, "turns": data.turns, "lanes": data.lanes, "draws": data.draws}
    training = ShardedPairs(data.root, data.crop, config.seed, **settings)
    if not data.validation:
        return training, None
    return training, PairedFolders(data.validation, data.words, None, draw="each", turns=False)


def _captioned_shards(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data = config.data
    settings = {"captions": True, "lanes": data.lanes, "draws": data.draws}
    training = ShardedPairs(data.root, data.crop, config.seed, data.words, **settings)
    if not data.validation:
        return training, None
    return training, Shuffled(CaptionedPairs(data.validation, data.crop, scale=(1, 1)), 0)


def _triplets(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data, words = config.data, config.data.words
    keep = _takes_part(data)
    settings = {"turns": data.turns, "symmetries": data.symmetries, "words": words}
    training = Triplets(data.root, data.crop, config.seed, keep=keep, **settings)
    root, keep = _validated_on(data)
    if not root:
        return training, None
    return training, Triplets(root, None, draw="each", turns=False, keep=keep, words=words)


def _takes_part(data: DataConfig) -> Callable[[str], bool]:
    """Whether a clean picture, by its name, is trained on."""
    share = 0.0 if data.validation else data.held_out
    return lambda name: fold_of(name) != data.fold and not held_out(name, share)


def _validated_on(data: DataConfig) -> tuple[str, Callable[[str], bool]]:
    """The folder of the validation, empty for none, and which of its pictures."""
    if data.validation:
        return data.validation, lambda name: True
    return data.root if data.held_out else "", lambda name: held_out(name, data.held_out)


def _captions(config: TrainConfig) -> tuple[Dataset, Samples | None]:
    data = config.data
    training = Shuffled(CaptionedPairs(data.root, data.crop, config.seed), config.seed)
    if not data.validation:
        return training, None
    return training, Shuffled(CaptionedPairs(data.validation, data.crop, scale=(1, 1)), 0)


class WildPairs(GeneratedPairs):
    """Samples as `GeneratedPairs` makes them, damaged by the second-order mixture of wild-IR.

    `word` joins what was done ("blur+noise") and is "clean" if nothing was; `severity` is NaN. One
    clean picture in ten is turned grey, as in the official code.
    """

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng((self.seed, int(index)))
        window, name = self._window(self.crop, index, rng)
        clean = window.astype(np.float32) / 255
        if rng.random() < 0.1:
            clean = np.repeat((clean @ LUMA)[..., None], 3, axis=-1)
        damaged, words = wild(clean, rng)
        return {
            "lq": as_tensor(damaged),
            "gt": as_tensor(clean),
            "word": "+".join(words) or CLEAN,
            "severity": float("nan"),
            "name": name,
            "index": int(index),
        }


class Shuffled(Dataset):
    """Go through a data set of known length in a new random order in each pass, without end."""

    def __init__(self, dataset: Samples, seed: int):
        self.dataset, self.seed = dataset, seed
        self.sources: dict[str, list[str]] = getattr(dataset, "sources", {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        epoch, place = divmod(index, len(self))
        # The pass goes into the index as well: the data set's own crops are new in each pass.
        return self.dataset[epoch * len(self) + int(_order(self.seed, epoch, len(self))[place])]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, length)).permutation(length)
