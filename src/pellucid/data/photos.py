"""A folder of clean photographs, decoded once and shared by all processes.

Decoding a photograph takes tens of milliseconds, cropping from memory almost none: all pixels go
into one uint8 file that every worker maps. Its name is a hash of the folder's contents, so it is
rebuilt when a photograph is added, removed or changed.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pellucid.data.files import NONE_LEFT, pictures, read_pixels, stable_name
from pellucid.errors import PellucidError, UsageError
from pellucid.plural import counted


class CleanPhotos(Sequence):
    """The photographs below a folder: read-only uint8 `(H, W, 3)`, in the order of `files`.

    Args:
        folder: all picture files below it are taken.
        cache: folder of the decoded pixels (3 bytes each); default `.<name>.cache` beside
            `folder`.

    Raises:
        UsageError: no such folder, or no pictures in it.
        ImageError: a file cannot be read.
        PellucidError: the cache cannot be written.
    """

    def __init__(self, folder: str | Path, cache: str | Path | None = None):
        self.folder = Path(folder).resolve()
        paths = pictures(self.folder)
        if not paths:
            raise UsageError(f"{self.folder}: there are no pictures in this folder")
        self.files = [path.relative_to(self.folder).as_posix() for path in paths]
        place = (
            Path(cache)
            if cache is not None
            else self.folder.with_name(f".{self.folder.name}.cache")
        )
        self._pixels_file = self._decoded(paths, place)
        self.sizes = np.array(json.loads(self._pixels_file.with_suffix(".json").read_text()))
        """(N, 2): height and width of each photograph."""
        counts = 3 * self.sizes.prod(axis=1)
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self._pixels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        if self._pixels is None:  # mapped in the process that uses it
            self._pixels = np.memmap(self._pixels_file, np.uint8, "r")
        start, end = self._starts[index], self._ends[index]
        return self._pixels[start:end].reshape(*self.sizes[index], 3)

    def fingerprint(self) -> str:
        """Hexadecimal sha256 of all pixels and sizes, in order."""
        digest = hashlib.sha256(self.sizes.tobytes())
        for photo in self:
            digest.update(photo.data)
        return digest.hexdigest()

    def only(self, keep: Callable[[str], bool]) -> CleanPhotos:
        """The photographs whose `stable_name` is wanted; decoded pixels are shared."""
        names = [stable_name(Path(name), Path()) for name in self.files]
        chosen = [i for i, name in enumerate(names) if keep(name)]
        if not chosen:
            raise UsageError(f"{self.folder}: of {counted(len(names), 'photograph')} {NONE_LEFT}")
        some = copy.copy(self)
        some.files = [self.files[i] for i in chosen]
        some.sizes, some._starts, some._ends = (
            a[chosen] for a in (self.sizes, self._starts, self._ends)
        )
        return some

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_pixels": None}  # a pickled map would be a copy of all pixels

    def _decoded(self, paths: list[Path], place: Path) -> Path:
        """Path of the decoded pixels, decoded now if needed; older versions are removed."""
        files = [path.stat() for path in paths]
        listing = [
            (name, f.st_size, f.st_mtime_ns) for name, f in zip(self.files, files, strict=True)
        ]
        ours = f"{self.folder.name}-{_digest(str(self.folder))}"
        target = place / f"{ours}-{_digest(json.dumps(listing))}.bin"
        if target.exists() and target.with_suffix(".json").exists():
            return target
        try:
            place.mkdir(parents=True, exist_ok=True)
            _decode(paths, target)
            for old in place.iterdir():
                ended = old.suffix in (".bin", ".json") and old.stem != target.stem
                if ended and old.name.startswith(f"{ours}-"):
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise PellucidError(
                f"{place}: decoded photographs could not be kept here ({error.strerror or error}); "
                "choose another folder with cache="
            ) from error
        return target


def _decode(paths: list[Path], target: Path) -> None:
    """Write the pixels of all pictures, atomically, and their sizes."""
    part = target.with_suffix(f".{os.getpid()}.part")  # several processes may write at once
    try:
        sizes = []
        with open(part, "wb") as out:
            for path in paths:
                pixels = read_pixels(path)
                sizes.append(pixels.shape[:2])
                out.write(np.ascontiguousarray(pixels).data)
        part.replace(target)
        part.write_text(json.dumps(sizes))
        part.replace(target.with_suffix(".json"))  # last: it says that the pixels are complete
    finally:
        part.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
