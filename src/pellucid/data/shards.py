"""Pairs in WebDataset shards, for training from a bucket, a web server or a slow disk.

A shard is a tar with `WORD/NAME.lq.png`, `WORD/NAME.gt.png` (any format) and perhaps the caption
`WORD/NAME.txt`, in random order; `write_shards` makes them. Tar archives are read from front to
back, but a resumed run must find its samples again, so a shard is fetched whole and then read
anywhere. Sample i is a function of (seed, i) and the shards, as everywhere.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from pellucid.data.crops import as_tensor, filled, random_window, turned
from pellucid.data.files import Pair
from pellucid.data.folders import (
    UNKNOWN,
    CaptionedPairs,
    PairedFolders,
    read_pair,
    resized_crop_box,
    view,
)
from pellucid.data.tars import members
from pellucid.degradations import CLASSES
from pellucid.errors import ImageError, UsageError
from pellucid.imaging.io import read
from pellucid.imaging.photo import to_integers

if TYPE_CHECKING:  # pyarrow is needed for buckets and web servers alone
    from pellucid.places import Place

BLOCK = 8  # consecutive samples from one shard


class Member(NamedTuple):
    """Where the files of a sample lie in a shard, by suffix: (first byte, length)."""

    word: str
    files: dict[str, tuple[int, int]]


def write_shards(
    source: str | Path,
    out: str | Path,
    each: int = 1000,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[int, int]:
    """Write the pairs of a folder into shards in random order; returns (pairs, shards).

    Args:
        source: a folder with <type>/{LQ,GT}, or a table of captions of such pictures.
        out: a folder without shards.
        each: pairs in a shard.
        seed: another seed gives another order.
        progress: called with the share that is done, in [0, 1], after each shard.

    Raises:
        UsageError: no pairs are there, or `out` holds shards already.
        ImageError: a picture cannot be read, or the two of a pair differ in size.
    """
    out = Path(out)
    if any(out.glob("*.tar")):
        raise UsageError(f"{out}: holds shards already; choose another folder")
    listed = _pairs(source)
    out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(listed))
    count = -(-len(listed) // each)
    for shard in range(count):
        target = out / f"pairs-{shard:05d}.tar"
        part = target.with_suffix(f".{os.getpid()}.part")
        try:
            with tarfile.open(part, "w") as tar:
                for place in order[shard * each : (shard + 1) * each]:
                    word, pair, caption = listed[place]
                    for suffix, data in _files(pair):
                        _add(tar, f"{word}/{place:07d}.{suffix}", data)
                    if caption:
                        _add(tar, f"{word}/{place:07d}.txt", caption.encode())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        progress((shard + 1) / count)
    return len(listed), count


def _pairs(source: str | Path) -> list[tuple[str, Pair, str]]:
    """Word, pair and caption (empty for a folder) of each sample."""
    if Path(source).is_file():
        return [(word, pair, caption) for pair, caption, word in CaptionedPairs(source).rows]
    found = PairedFolders(source).pairs
    return [(word, pair, "") for word, listed in found.items() for pair in listed]


def _files(pair: Pair) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of a pair's files, as they are; a border of the clean one is cut off.

    Both are opened: a training that meets a damaged one is stopped by it, perhaps days later.
    """
    _, clean = read_pair(pair)
    yield f"lq{pair.lq.suffix}", pair.lq.read_bytes()
    if not pair.border:
        yield f"gt{pair.gt.suffix}", pair.gt.read_bytes()
        return
    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "PNG")
    yield "gt.png", buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


class Shard:
    """A shard on this machine; samples are read in any order."""

    def __init__(self, place: Place | Path, name: str):
        self.name = name
        try:
            self.file = open(place / name, "rb") if isinstance(place, Path) else _fetch(place, name)  # noqa: SIM115
            samples: dict[str, dict[str, tuple[int, int]]] = {}
            with tarfile.open(fileobj=self.file) as tar:
                for info in members(tar, lambda info: self._bytes(info.offset_data, info.size)):
                    folder, base = os.path.split(info.name)
                    key, _, suffix = base.partition(".")
                    at = (info.offset_data, info.size)
                    samples.setdefault(f"{folder}/{key}", {})[suffix.split(".")[0]] = at
        except (OSError, tarfile.TarError, EOFError) as error:
            raise ImageError(f"{name}: damaged or unreadable shard ({error})") from error
        self.by_word: dict[str, list[Member]] = {}
        for key, files in samples.items():
            if {"lq", "gt"} <= files.keys():
                word = PurePosixPath(key).parent.name
                self.by_word.setdefault(word, []).append(Member(word, files))

    def read(self, member: Member, suffix: str) -> bytes:
        """The bytes of a sample's file."""
        return self._bytes(*member.files[suffix])

    def _bytes(self, start: int, length: int) -> bytes:
        return os.pread(self.file.fileno(), length, start)


def _fetch(place: Place, name: str) -> io.BufferedRandom:
    file = tempfile.TemporaryFile(prefix="pellucid-")  # noqa: SIM115 - it lasts as long as the shard
    with place.stream(name) as stream:
        shutil.copyfileobj(stream, file, 1 << 22)
    file.seek(0)  # flushes as well
    return file  # pyright: ignore - a buffered file of bytes


class ShardedPairs(Dataset):
    """Endless samples of pairs in shards; with captions, as `CaptionedPairs` gives them.

    A sample is a dict: `lq`, `gt` float32 (3, crop, crop) in [0, 1], the same window of both;
    `word`; `severity`, NaN; `index`; with captions, also `caption`.

    All processes together read `lanes` shards at a time: lane k goes through the shards k, k +
    lanes ... again and again, each time in another order, and draws `draws` samples from each.
    Consecutive `BLOCK` samples are of one lane, so that a process that takes every n-th block meets
    every n-th lane alone. A shard from a bucket or web server is a temporary file; the next one of
    a lane is fetched while this one is used.

    Args:
        root: folder of shards, or a pattern such as `s3://bucket/x/pairs-{00000..00099}.tar`.
        crop: side of the window in px.
        seed: another seed gives other samples throughout.
        words: types to take, as often as each other; empty = all that a shard has.
        turns: mirror, turn and transpose. Not with captions.
        captions: give CLIP's view of the pictures and their captions.
        lanes: shards that are read at a time; no more than there are.
        draws: from a shard, before the next.

    Raises:
        UsageError: there are no shards.
    """

    def __init__(
        self,
        root: str | Path,
        crop: int = 256,
        seed: int = 0,
        words: Sequence[str] = (),
        turns: bool = True,
        captions: bool = False,
        lanes: int = 64,
        draws: int = 1024,
    ):
        self.place, self.names = _listed(str(root))
        self.crop, self.seed, self.words, self.turns = crop, seed, tuple(words), turns
        self.captions, self.lanes = captions, min(lanes, len(self.names))
        self.draws = -(-draws // BLOCK) * BLOCK
        self._held: dict[int, tuple[str, Shard]] = {}
        self._coming: dict[str, Future[Shard]] = {}
        self._pool: ThreadPoolExecutor | None = None

    @property
    def sources(self) -> dict[str, list[str]]:
        """Names of the shards."""
        return {"shards": self.names}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_held": {}, "_coming": {}, "_pool": None}

    def shards(self, index: int) -> tuple[int, str, str]:
        """The lane of a sample, its shard, and the lane's next one."""
        block, within = divmod(int(index), BLOCK)
        turn, lane = divmod(block, self.lanes)
        visit = (turn * BLOCK + within) // self.draws
        return lane, self._visited(lane, visit), self._visited(lane, visit + 1)

    def _visited(self, lane: int, visit: int) -> str:
        own = range(lane, len(self.names), self.lanes)
        epoch, place = divmod(visit, len(own))
        return self.names[own[_order(self.seed, lane, epoch, len(own))[place]]]

    def __getitem__(self, index: int) -> dict:
        index = int(index)
        rng = np.random.default_rng((self.seed, index))
        shard = self._opened(*self.shards(index))
        found = [word for word in self.words if word in shard.by_word]
        found = found or [] if self.words else sorted(shard.by_word, key=_official)
        if not found:
            wanted = ", ".join(self.words) or "lq and gt"
            raise ImageError(f"{shard.name}: this shard has no pairs of {wanted}")
        pairs = shard.by_word[found[index % len(found)]]
        member = pairs[rng.integers(len(pairs))]
        lq, gt = (self._pixels(shard, member, side) for side in ("lq", "gt"))
        if lq.shape != gt.shape:
            raise ImageError(f"{shard.name}: a pair of {member.word} differs in size")
        sample = {"word": member.word, "severity": UNKNOWN, "index": index}
        if self.captions:
            if "txt" not in member.files:
                raise ImageError(f"{shard.name}: a pair of {member.word} has no caption")
            box = resized_crop_box(gt.shape[0], gt.shape[1], (0.9, 1.0), rng)
            lq, gt = (view(picture, box, self.crop) for picture in (lq, gt))
            sample["caption"] = shard.read(member, "txt").decode()
        else:
            window = random_window(gt.shape[0], gt.shape[1], self.crop, rng)
            turn = int(rng.integers(8)) if self.turns else 0
            lq, gt = (turned(filled(p[window], self.crop, self.crop), turn) for p in (lq, gt))
        return {"lq": as_tensor(lq), "gt": as_tensor(gt), **sample}

    def _pixels(self, shard: Shard, member: Member, side: str) -> np.ndarray:
        try:
            return to_integers(read(shard.read(member, side)).pixels, 8)
        except ImageError as error:
            raise ImageError(f"{shard.name}: a pair of {member.word}: {error}") from error

    def _opened(self, lane: int, name: str, following: str) -> Shard:
        held = self._held.get(lane)
        if held is None or held[0] != name:
            coming = self._coming.pop(name, None)
            held = self._held[lane] = (name, coming.result() if coming else self._open(name))
            if not isinstance(self.place, Path) and following != name:
                self._pool = self._pool or ThreadPoolExecutor(1, "shards")
                self._coming[following] = self._pool.submit(self._open, following)
        return held[1]

    def _open(self, name: str) -> Shard:
        return Shard(self.place, name)


def _listed(root: str) -> tuple[Place | Path, list[str]]:
    """A folder and the names of its shards."""
    if "://" not in root and "{" not in root:
        folder = Path(root)
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.tar"))
        place = folder
    else:
        from pellucid.places import Place, named

        if root.endswith(".tar"):
            place, names = named(root)
        else:
            place = Place(root)
            names = [name for name in place.names() if name.endswith(".tar")]
        place = Path(place.root) if place.local else place
    if not names:
        raise UsageError(f"{root}: no shards (.tar) in it; make some: pellucid data shards")
    return place, names


def _official(word: str) -> tuple[int, str]:
    return (CLASSES.index(word) if word in CLASSES else len(CLASSES), word)


@lru_cache(maxsize=1024)
def _order(seed: int, lane: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng((seed, lane, epoch)).permutation(length)
