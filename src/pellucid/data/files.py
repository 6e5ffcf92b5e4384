"""Picture files of a folder: pairs of damaged and clean ones, types of damage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.imaging import formats, io
from pellucid.imaging.photo import to_integers

LQ, GT = "LQ", "GT"  # damaged and clean, as the official datasets call them
SET_LQ, SET_GT = "lq", "gt"  # the same of sets by others, where the name of a folder is no word


@dataclass(frozen=True)
class Pair:
    """A damaged picture and its clean one.

    The clean one may have `border` px more at every side, as in RESIDE's indoor part.
    """

    lq: Path
    gt: Path
    border: int = 0


def pictures(folder: str | Path) -> list[Path]:
    """All picture files below ``folder``, sorted by path; hidden files and folders are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    found = (p for p in folder.rglob("*") if p.suffix.lower() in formats.BY_SUFFIX and p.is_file())
    visible = (p for p in found if not any(n.startswith(".") for n in p.relative_to(folder).parts))
    return sorted(visible)


def stable_name(path: Path, folder: Path) -> str:
    """Path of a picture below a folder as a name, without suffix; moving the folder keeps it."""
    return "-".join(path.relative_to(folder).with_suffix("").parts)


def read_pixels(path: str | Path) -> np.ndarray:
    """Upright uint8 ``(H, W, 3)`` of a picture file; grey becomes three channels, alpha is dropped.

    Raises:
        ImageError: the file cannot be read.
    """
    return to_integers(io.read(path).pixels, 8)


def types_of(root: str | Path) -> dict[str, Path]:
    """Folders with LQ and GT in them, by type of damage: the official words first, in their order.

    ``root`` holds ``<type>/{LQ,GT}``, or is itself such a pair of folders (its type is its name).
    Empty if it is neither.
    """
    root = Path(root)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder")
    folders = [root] if is_paired(root) else [f for f in root.iterdir() if is_paired(f)]
    official = {word: i for i, word in enumerate(CLASSES)}
    order = sorted(folders, key=lambda f: (official.get(f.name, len(official)), f.name))
    return {folder.name: folder for folder in order}


def is_paired(folder: Path) -> bool:
    """Whether a folder holds LQ or GT (a folder with only one of them is a mistake to report)."""
    return (folder / LQ).is_dir() or (folder / GT).is_dir()


def sets_of(root: str | Path) -> dict[str, Path]:
    """Folders ``SET/lq`` below a folder by name of the set, sorted; truths in ``SET/gt``, if any.

    Raises:
        UsageError: no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder")
    return {f.name: f for f in sorted(root.iterdir()) if (f / SET_LQ).is_dir()}


def pairs(folder: str | Path, names: tuple[str, str] = (LQ, GT)) -> tuple[list[Pair], list[Path]]:
    """Pairs of ``folder/{LQ,GT}`` (or other names) and the files without a partner.

    By name without suffix, where any name occurs on both sides. Where none does (``rain-1`` and
    ``norain-1``) and there are as many on both, by sorted order, as in the official code.
    """
    sides = [Path(folder) / name for name in names]
    lq, gt = ({_stem(p, s): p for p in pictures(s)} if s.is_dir() else {} for s in sides)
    common = [stem for stem in lq if stem in gt]
    if common:
        alone = [
            p for side, other in ((lq, gt), (gt, lq)) for s, p in side.items() if s not in other
        ]
        return [Pair(lq[stem], gt[stem]) for stem in common], alone
    if len(lq) == len(gt):
        return [Pair(a, b) for a, b in zip(lq.values(), gt.values(), strict=True)], []
    return [], [*lq.values(), *gt.values()]


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
