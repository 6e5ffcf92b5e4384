"""Sets of damaged pictures as they lie in a folder: ``SET/lq/NAME`` and, where the truth is known,
``SET/gt/NAME``; the suffixes may differ. ``SET/mask/NAME`` is white where a picture has holes.

What is truly wrong with a picture, in the words of `pellucid.degradations`, is the first of these
that says so:

1. its ``words``, a list, in the folder's ``manifest.json``: ``{"SET": [{"name": "000.png", "words":
   ["rainy"], ...}, ...]}``;
2. its ``kind``, a text, there, if it begins with a name of `KINDS`;
3. the name of the set, if it begins with a name of `KINDS`.

Otherwise the words are not known (mixed damage, old photographs): the picture is restored, and
counts in no score of the naming.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.data.files import SET_GT, SET_LQ, pairs, pictures, sets_of
from pellucid.degradations import CLASSES, CLEAN
from pellucid.errors import UsageError
from pellucid.evaluation.cases import Case

MASK = "mask"
KINDS = {  # beginnings of names, the longest that fits counts
    **{word: word for word in CLASSES},
    **dict.fromkeys(("blur", "deblur", "defocus", "motion"), "motion-blurry"),
    **dict.fromkeys(("dehaze", "fog", "haze"), "hazy"),
    **dict.fromkeys(("jpeg",), "jpeg-compressed"),
    **dict.fromkeys(("enhance", "lol", "low"), "low-light"),
    **dict.fromkeys(("denoise", "impulse", "noise"), "noisy"),
    **dict.fromkeys(("deraindrop", "drop", "waterspatter"), "raindrop"),
    **dict.fromkeys(("derain", "rain"), "rainy"),
    **dict.fromkeys(("shadow",), "shadowed"),
    **dict.fromkeys(("desnow", "snow"), "snowy"),
    **dict.fromkeys(("hole", "inpaint"), "uncompleted"),
    **dict.fromkeys(("noharm", "undamaged"), CLEAN),
}


def set_cases(root: Path) -> Iterator[Case]:
    """The pictures of all sets below a folder, set by set, by name.

    Raises:
        UsageError: no set is there, a picture lacks its truth, or ``manifest.json`` is wrong.
    """
    folders = sets_of(root)
    if not folders:
        raise UsageError(f"{root}: no folders SET/{SET_LQ} (and SET/{SET_GT}) in it")
    manifest = _manifest(root / "manifest.json")
    for column, folder in folders.items():
        entries = manifest.get(column, {})
        masks = {m.stem: m for m in pictures(folder / MASK)} if (folder / MASK).is_dir() else {}
        for index, (path, truth) in enumerate(_pictures(folder)):
            words = _words(column, entries.get(path.name, {}), path)
            mask = masks.get(path.stem)
            yield Case(column, path.stem, index, truth, path, words, mask)


def kind_of(name: str) -> str | None:
    """The word of a set's name or of a kind; None if no beginning of `KINDS` fits."""
    name = name.lower().replace("_", "-").replace(" ", "-")
    return KINDS.get(max((k for k in KINDS if name.startswith(k)), key=len, default=""))


def _pictures(folder: Path) -> list[tuple[Path, Path | None]]:
    if not (folder / SET_GT).is_dir():
        return [(path, None) for path in pictures(folder / SET_LQ)]
    matched, alone = pairs(folder, (SET_LQ, SET_GT))
    if alone:
        raise UsageError(f"{alone[0]}: there is no other picture of this name in {folder}")
    return [(pair.lq, pair.gt) for pair in matched]


def _manifest(path: Path) -> dict[str, dict[str, Any]]:
    """Entries by set and by name of the picture; empty without a manifest."""
    if not path.exists():
        return {}
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))
        return {name: {e["name"]: e for e in entries} for name, entries in sets.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'{path} must be {{"SET": [{{"name": "000.png", ...}}, ...]}} ({error!r})'
        ) from error


def _words(column: str, entry: dict[str, Any], path: Path) -> tuple[str, ...]:
    if "words" in entry:
        words = tuple(entry["words"])
        if unknown := [word for word in words if word not in CLASSES]:
            known = ", ".join(CLASSES)
            raise UsageError(f"manifest.json: {path} has the word {unknown[0]!r}; known: {known}")
        return words
    word = kind_of(entry.get("kind", column))
    return () if word is None else (word,)
