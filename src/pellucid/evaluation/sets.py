"""Sets of damaged pictures as they lie in a folder: `SET/lq/NAME` and, where the truth is known,
`SET/gt/NAME`; the suffixes may differ. `SET/mask/NAME` is white where a picture has holes.

What is truly wrong with a picture, in the words of `pellucid.degradations`, is the first of these
that says so:

1. its `words`, a list, in the folder's `manifest.json`: `{"SET": [{"name": "000.png", "words":
   ["rainy"], ...}, ...]}`;
2. its `kind`, a text, there, if it begins with a name of `layouts.KINDS`;
3. the name of the set, if it begins with a name of `layouts.KINDS`.

Otherwise the words are not known (mixed damage, old photographs): the picture is restored, and
counts in no score of the naming.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.data.files import pictures
from pellucid.data.layouts import PairSet, find_sets, kind_of
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.evaluation.cases import Case

MASK = "mask"


def set_cases(root: Path) -> Iterator[Case]:
    """The pictures of all sets below a folder, set by set, by name.

    Raises:
        UsageError: no set is there, a picture lacks its truth, or `manifest.json` is wrong.
    """
    sets = {one.name: one for one in find_sets(root) if one.inputs}
    if not sets:
        raise UsageError(f"{root}: no folders SET/lq (and SET/gt) in it")
    manifest = _manifest(root / "manifest.json")
    for column, one in sorted(sets.items()):
        folder = one.folder
        entries = manifest.get(column, {})
        masks = {m.stem: m for m in pictures(folder / MASK)} if (folder / MASK).is_dir() else {}
        for index, (path, truth) in enumerate(_pictures(one)):
            words = _words(column, entries.get(path.name, {}), path)
            mask = masks.get(path.stem)
            yield Case(column, path.stem, index, truth, path, words, mask)


def _pictures(one: PairSet) -> list[tuple[Path, Path | None]]:
    matched = one.match()
    if one.truths is None:
        return [(path, None) for path in matched.alone]
    if matched.alone:
        raise UsageError(
            f"{matched.alone[0]}: there is no other picture of this name in {one.folder}"
        )
    return [(pair.lq, pair.gt) for pair in matched.pairs]


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
