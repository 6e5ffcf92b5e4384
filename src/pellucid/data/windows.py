"""Damaged windows of clean photographs, generated once and stored in shards.

Making a window with the wide generators takes milliseconds of a core; reading one takes none. So
windows are made ahead, by as many processes as there are cores, and a training reads them in any
order, with a new crop and orientation each time. Window i is a function of the photographs, the
seed and i: a folder can be made again, and grown, by the same command.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from pellucid.data.crops import BLOCK, as_tensor, filled, random_window, turned
from pellucid.data.photos import CleanPhotos
from pellucid.degradations import CLEAN
from pellucid.degradations.camera import photograph
from pellucid.degradations.table import PHYSICAL_ORDER
from pellucid.errors import UsageError

SHARD = 512  # windows a file
SPARE = 16  # px around a window that damage may reach in from; cut off afterwards
SMALLEST = 0.25  # photographs are reduced by up to this factor before a window is cut
SETTINGS = "windows.json"


def make_windows(
    photos: CleanPhotos,
    out: str | Path,
    count: int,
    side: int = 160,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[float], None] = lambda share: None,
    words: Sequence[str] = (),
    plain: float = 0.0,
) -> int:
    """Write shards until `out` holds `count` windows (rounded up to shards); returns the number.

    Args:
        photos: clean photographs; one is drawn in proportion to the root of its pixels.
        out: folder; shards that it holds already are kept.
        count: windows in all.
        side: of a window, in px.
        seed: another seed gives other windows.
        workers: processes.
        progress: called with the share that is done, in [0, 1], after each shard.
        words: only these degradations, and clean windows; one that is given twice is drawn twice as
            often; empty = all.
        plain: share whose scenes are not varied, see `photograph`.

    Raises:
        UsageError: `out` holds windows made with other arguments or of other photographs.
        ValueError: unknown words.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"side": side, "seed": seed, "photos": photos.fingerprint()}
    if words:
        settings["words"] = sorted(words)
    if plain:
        settings["plain"] = plain
    held = _settings(out)
    if held not in (None, settings):
        raise UsageError(f"{out} holds windows made with {held}, not {settings}; use a new folder")
    (out / SETTINGS).write_text(json.dumps(settings))
    shards = -(-count // SHARD)
    missing = [i for i in range(shards) if not _shard(out, i).with_suffix(".json").exists()]
    jobs = [(photos, out, i, side, seed, tuple(words), plain) for i in missing]
    with ProcessPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(_make_shard, jobs), shards - len(missing) + 1):
            progress(done / shards)
    return shards * SHARD


def _settings(folder: Path) -> dict | None:
    path = folder / SETTINGS
    return json.loads(path.read_text()) if path.exists() else None


def _shard(folder: Path, index: int) -> Path:
    return folder / f"windows-{index:05d}.npy"


def _make_shard(job: tuple) -> None:
    photos, out, shard, side, seed, wanted, plain = job
    weights = dict(Counter(wanted or PHYSICAL_ORDER))
    pairs = np.empty((SHARD, 2, side, side, 3), np.uint8)
    words = []
    for i in range(SHARD):
        rng = np.random.default_rng((seed, shard * SHARD + i))
        vary = np.random.default_rng((seed, shard * SHARD + i, 1)).random() >= plain
        scene = _scene(photos, side + 2 * SPARE, rng)
        sample = photograph(scene, rng, weights, margin=SPARE, vary=vary)
        for place, picture in enumerate((sample.lq, sample.gt)):
            pairs[i, place] = np.rint(255 * picture)
        words.append("+".join(sample.words))
    path = _shard(out, shard)
    part = path.with_suffix(f".{os.getpid()}.part")
    with open(part, "wb") as file:
        np.save(file, pairs)
    part.replace(path)
    part.write_text(json.dumps(words))
    part.replace(path.with_suffix(".json"))  # last: it says that the shard is complete


def _scene(photos: CleanPhotos, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a photograph, float32 `(side, side, 3)` in [0, 1], reduced by a random factor."""
    shares = photos.sizes.prod(axis=1).astype(float) ** 0.5
    photo = photos[int(rng.choice(len(photos), p=shares / shares.sum()))]
    height, width = photo.shape[:2]
    smallest = min(1.0, max(SMALLEST, side / min(height, width)))
    scale = smallest ** rng.uniform(0, 1)
    window = photo[random_window(height, width, round(side / scale), rng)]
    if min(window.shape[:2]) > side:
        reduced = Image.fromarray(window)
        reduced = reduced.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        window = np.asarray(reduced)
    window = filled(window, side, side)
    return (turned(window, int(rng.integers(2))) / np.float32(255)).astype(np.float32)


class Windows(Dataset):
    """Endless random crops of the windows in a folder; windows added later are ignored.

    A sample is what `pellucid.data.generated.GeneratedPairs` gives, without the severity.

    Args:
        folder: of the shards.
        crop: side of the square crop in px; None = whole windows, one after the other, as they are.
        seed: another seed gives other crops.
        turns: mirror, turn and transpose.
        symmetries: how many of them `turns` has, see `DataConfig`.
        words: only windows with these degradations and no other, and clean ones; empty = all.
        clean: share of clean windows among what is drawn; None = as they were made.

    Raises:
        UsageError: no shards in the folder, no windows with these words, or windows smaller than a
            crop.
    """

    def __init__(
        self,
        folder: str | Path,
        crop: int | None,
        seed: int = 0,
        turns: bool = True,
        words: Sequence[str] = (),
        clean: float | None = None,
        symmetries: int = 8,
    ):
        self.folder, self.crop, self.seed = Path(folder), crop, seed
        self.symmetries = symmetries if turns else 1
        names = sorted(self.folder.glob("windows-*.json"))
        if not names:
            raise UsageError(f"{folder} holds no windows; make some: pellucid data windows")
        self.words = [word for name in names for word in json.loads(name.read_text())]
        self.files = [name.with_suffix(".npy") for name in names]
        wanted = {CLEAN, *words}
        places = [i for i, w in enumerate(self.words) if not words or wanted >= {*w.split("+")}]
        self.clean_places = [i for i in places if self.words[i] == CLEAN]
        self.damaged_places = [i for i in places if self.words[i] != CLEAN]
        if words and not self.damaged_places:
            raise UsageError(f"{folder} holds no windows with {', '.join(words)} alone")
        self.clean = len(self.clean_places) / len(places) if clean is None else clean
        self._maps: dict[int, np.ndarray] = {}
        if crop is not None and self._pairs(0).shape[2] < crop:
            raise UsageError(f"{folder}: windows of {self._pairs(0).shape[2]} px, crops of {crop}")

    def __len__(self) -> int:
        return len(self.words)

    @property
    def sources(self) -> dict[str, list[str]]:
        """What each window shows, in the shards' order."""
        return {"windows": self.words}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_maps": {}}  # a pickled map would be a copy

    def _pairs(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            self._maps[shard] = np.load(self.files[shard], mmap_mode="r")
        return self._maps[shard]

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng((self.seed, int(index)))
        if self.crop is None:
            place = int(index)
        else:
            clean = rng.random() < self.clean
            places = (self.clean_places if clean else self.damaged_places) or range(len(self))
            place = places[rng.integers(len(places))]
        pair = self._pairs(place // SHARD)[place % SHARD]
        if self.crop is not None:
            corner = rng.integers(pair.shape[1] - self.crop + 1, size=2)
            if rng.random() < 0.5:
                corner -= corner % BLOCK  # whole pictures begin on the grid of their JPEG blocks
            rows, columns = (slice(start, start + self.crop) for start in corner)
            turn = int(rng.integers(self.symmetries))
            pair = [turned(picture[rows, columns], turn) for picture in pair]
        lq, gt = (as_tensor(picture) for picture in pair)
        name = f"{self.files[place // SHARD].name}[{place % SHARD}]"
        sample = {"lq": lq, "gt": gt, "word": self.words[place]}
        return sample | {"name": name, "index": int(index)}
