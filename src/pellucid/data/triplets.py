"""Triplets of Perceive-IR: a damaged picture, a mediocre restoration of it, and the clean one.

The mediocre one is the result of a restorer that was not trained on the picture. Of two restorers,
each trained on one half of the pictures (a fold), each renders the other half. For pictures that
are in no training set, any restorer will do. Source: official code, which uses `RestormerMedium`
after 20 000 steps and assigns folds by the path of a file; here the name of the clean picture
decides, so the data can be moved.

A folder of triplets holds `manifest.jsonl`, one JSON a line (`low`, `medium`, `high`: paths from
the folder; `task`; `fold`; `name`, the clean picture's), `triplets.json` (the restorers), and the
pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch.utils.data import Dataset

from pellucid.data.crops import as_tensor, filled, random_window, turned
from pellucid.data.files import GT, LQ, NONE_LEFT, read_pixels, stable_name
from pellucid.data.layouts import find_sets
from pellucid.errors import ImageError, UsageError
from pellucid.imaging import io
from pellucid.imaging.photo import Photo
from pellucid.plural import counted

MANIFEST, ABOUT = "manifest.jsonl", "triplets.json"
LEVELS = ("low", "medium", "high")
UNKNOWN = float("nan")  # the severity
OFFICIAL_ROOT = "data/AiOIR"  # of the data, in the official options file
OFFICIAL_TASKS = {  # names in the official code, and folders that tell its folds
    "noisy": ("denoise", "Denoise/gt"),
    "hazy": ("dehaze", "Dehaze/input"),
    "rainy": ("derain", "Derain/input"),
    "motion-blurry": ("deblur", "Deblur/input"),
    "low-light": ("lowlight", "Enhance/input"),
}


def fold_of(identity: str) -> int:
    """Fold 0 or 1 of a name: "task|path" in the official code, `stable_name` here."""
    return int.from_bytes(hashlib.sha1(identity.encode()).digest()[:8], "big") % 2


def official_identity(word: str, name: str) -> str:
    """What the official code hashes for the fold of a picture of its own data: "task|path".

    `name` is the file's path below the folder of the damaged pictures (of the clean ones for
    noise), with suffix. The path is that of its options file, wherever the data lies here; whether
    the authors' own data lay there is not known.

    Raises:
        UsageError: the official code has no such task.
    """
    if word not in OFFICIAL_TASKS:
        raise UsageError(f"--legacy-folds: the official code knows no {word!r} pictures")
    task, folder = OFFICIAL_TASKS[word]
    return f"{task}|{OFFICIAL_ROOT}/train/{folder}/{name}"


def held_out(identity: str, share: float) -> bool:
    """Whether a name is in the validation share, in [0, 1]."""
    digest = hashlib.sha1(b"held out|" + identity.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def render(
    root: str | Path,
    out: str | Path,
    restorers: Sequence[tuple[str, Callable[[Photo], Photo]]],
    noise: Sequence[float] = (),
    legacy: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> int:
    """Render the triplets of `root/<type>/{LQ,GT}`; a stopped run continues.

    Args:
        root: folder of the types, each a task.
        out: folder of the triplets; `high`, and `low` where there is one, stay where they are.
        restorers: one, or two for two folds; each a name that tells it from others (of its weights)
            and a function. The first renders fold 0, so it was trained on fold 1.
        noise: standard deviations in grey levels. A type without LQ gets noise of one of them, in
            turn over its sorted files; the noisy pictures, 8 bit, are written, too.
        legacy: tell folds by `official_identity`, for medium networks of the authors.
        progress: called with the share that is done, in [0, 1].

    Returns:
        The number of triplets.

    Raises:
        UsageError: there are no pairs, or `out` holds triplets of other restorers.
        ImageError: a picture cannot be read.
    """
    root, out = Path(root).resolve(), Path(out)
    jobs = []
    for one in find_sets(root):
        matched = one.match()
        found: list[tuple[Path | None, Path, float]]
        found = [(pair.lq, pair.gt, 0.0) for pair in matched.pairs]
        if one.inputs is None and noise:
            found = [(None, path, noise[i % len(noise)]) for i, path in enumerate(matched.alone)]
        clean = one.truths or one.folder
        for low, high, sigma in found:
            name = identity = stable_name(high, clean)
            if legacy:
                below = (low or high).relative_to(one.inputs or clean).as_posix()
                identity = official_identity(one.word, below)
            jobs.append((one.word, name, identity, low, high, sigma))
    if not jobs:
        raise UsageError(f"{root}: no pairs <type>/{LQ} and <type>/{GT} in it")
    about = {"rendered_by": [name for name, _ in restorers], "legacy": legacy and OFFICIAL_ROOT}
    known = {row["medium"] for row in _begin(out, about)}
    with open(out / MANIFEST, "a", encoding="utf-8") as manifest:
        for done, (task, name, identity, low, high, sigma) in enumerate(jobs, 1):
            fold = fold_of(identity) if len(restorers) == 2 else None
            # A clean picture may be that of several damaged ones, whose names then differ.
            own = name if low is None or low.stem == high.stem else f"{name}-{low.stem}"
            made = low is None
            low = low or out / f"{task}-low" / f"{name}.png"
            medium = out / task / f"{own}.png"
            row = {
                **{k: _relative(p, out) for k, p in zip(LEVELS, (low, medium, high), strict=True)},
                **{"task": task, "fold": fold, "name": name},
            }
            if row["medium"] not in known:
                if made:
                    io.write(_noisy(io.read(high), f"{task}|{name}", sigma), low, overwrite=True)
                restored = restorers[fold or 0][1](io.read(low))
                io.write(restored, medium, overwrite=True)
                manifest.write(json.dumps(row) + "\n")
                manifest.flush()
            progress(done / len(jobs))
    return len(jobs)


def read_manifest(folder: str | Path) -> list[dict[str, Any]]:
    """Rows of a folder of triplets; an incomplete last line is left out.

    Raises:
        UsageError: it is no such folder.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder}: no {MANIFEST} in it; `pellucid data triplets` makes one")
    text = _read_text(path)
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text, encoding="utf-8")
    lines = text.split("\n")[:-1]  # splitlines() would part them at U+2028, too
    rows = [_read_json(line, f"{path}, line {i}") for i, line in enumerate(lines, 1)]
    for i, row in enumerate(rows, 1):
        if not all(isinstance(row.get(key), str) for key in (*LEVELS, "task", "name")):
            named = f"{', '.join(LEVELS)}, task and name"
            raise UsageError(f"{path}, line {i}: a triplet has {named}, all of them texts")
        if row.get("fold") not in (None, 0, 1):
            raise UsageError(f"{path}, line {i}: fold is 0, 1 or null")
    return rows


def _read_json(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: damaged, it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise UsageError(f"{where}: damaged, it is no JSON object")
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeError as error:
        raise UsageError(f"{path}: damaged, it is no text") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def verify(folder: str | Path) -> list[str]:
    """Problems of a folder of triplets: opens every picture and recomputes every fold.

    Folds of the official code (`legacy`) are not told again.
    """
    folder, problems, seen = Path(folder), [], set()
    about = _read_json(_read_text(folder / ABOUT), str(folder / ABOUT))
    rows = read_manifest(folder)
    if not rows:
        problems.append(f"{folder / MANIFEST}: there are no triplets in it")
    for row in rows:
        name = row["medium"]
        if name in seen:
            problems.append(f"{name}: more than one triplet has it")
        seen.add(name)
        try:
            sizes = {read_pixels(folder / row[level]).shape for level in LEVELS}
        except ImageError as error:
            problems.append(str(error))
            continue
        if len(sizes) > 1:
            problems.append(f"{name}: the three pictures differ in size")
        fold = row.get("fold")
        if fold is not None and not about.get("legacy") and fold_of(row["name"]) != fold:
            problems.append(f"{name}: of the other fold than {fold}")
    return problems


class Triplets(Dataset):
    """Windows of triplets, all tasks equally often; a sample is a function of (seed, index).

    A sample is a dict: `lq`, `medium`, `gt` float32 (3, H, W) in [0, 1]; `word`, the task;
    `severity`, NaN; `index`.

    Args:
        folder: see `render`.
        crop: side of the window in px; smaller pictures are extended by reflection. None = whole
            pictures.
        seed: another seed gives other samples throughout.
        draw: "balanced": task `index % n`, any triplet of it; "each": every triplet once.
        turns: mirror, turn and transpose, the three alike.
        symmetries: see `PairedFolders`.
        keep: says of a clean picture's `stable_name` whether it takes part.
        words: the tasks that take part; empty = all.

    Raises:
        UsageError: no triplet takes part.
    """

    def __init__(
        self,
        folder: str | Path,
        crop: int | None = 224,
        seed: int = 0,
        draw: Literal["balanced", "each"] = "balanced",
        turns: bool = True,
        symmetries: int = 8,
        keep: Callable[[str], bool] = lambda name: True,
        words: Sequence[str] = (),
    ):
        self.folder, self.crop, self.seed, self.draw = Path(folder), crop, seed, draw
        self.symmetries = symmetries if turns else 1
        listed = read_manifest(folder)
        rows = [row for row in listed if keep(row["name"])]
        if listed and not rows:
            raise UsageError(f"{folder}: of {counted(len(listed), 'triplet')} {NONE_LEFT}")
        tasks = dict.fromkeys(row["task"] for row in rows)
        if words:
            tasks = {task: None for task in tasks if task in words}
        if not tasks:
            wanted = f" of {', '.join(words)}" if words else ""
            raise UsageError(f"{folder}: there are no triplets{wanted} in it")
        self.tasks = {task: [row for row in rows if row["task"] == task] for task in tasks}
        longest = max(map(len, self.tasks.values()))
        self._turns = [r[i] for i in range(longest) for r in self.tasks.values() if i < len(r)]

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def sources(self) -> dict[str, list[str]]:
        """Names of the damaged pictures, by task."""
        return {task: [row["low"] for row in rows] for task, rows in self.tasks.items()}

    def __getitem__(self, index: int) -> dict:
        index = int(index)
        rng = np.random.default_rng((self.seed, index))
        if self.draw == "balanced":
            rows = list(self.tasks.values())[index % len(self.tasks)]
            row = rows[rng.integers(len(rows))]
        else:
            row = self._turns[index % len(self)]
        three = [read_pixels(self.folder / row[level]) for level in LEVELS]
        if self.crop is not None:
            window = random_window(three[-1].shape[0], three[-1].shape[1], self.crop, rng)
            three = [filled(p[window], self.crop, self.crop) for p in three]
        turn = int(rng.integers(self.symmetries))
        low, medium, high = (as_tensor(turned(p, turn)) for p in three)
        sample = {"lq": low, "medium": medium, "gt": high, "word": row["task"]}
        return sample | {"severity": UNKNOWN, "name": row["low"], "index": index}


def _begin(out: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Existing rows of the same restorers."""
    out.mkdir(parents=True, exist_ok=True)
    note = out / ABOUT
    if note.exists() and _read_json(_read_text(note), str(note)) != about:
        raise UsageError(f"{out} holds triplets by other restorers; name another folder")
    note.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return read_manifest(out) if (out / MANIFEST).exists() else []


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _noisy(photo: Photo, identity: str, sigma: float) -> Photo:
    """Add noise (NumPy's) seeded by the picture, truncated to 8 bit as in the official code."""
    seed = int(hashlib.sha1(identity.encode()).hexdigest()[:16], 16) % 2**31
    noise = np.random.default_rng(seed).standard_normal(photo.pixels.shape)
    grey = np.floor(np.clip(255 * photo.pixels + sigma * noise, 0, 255))
    return photo.with_pixels((grey / 255).astype(np.float32))
