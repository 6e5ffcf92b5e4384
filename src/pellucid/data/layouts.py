"""How published data sets lie on disk: the folders of their pictures, and how the names agree.

One table for `pellucid data check`, training and evaluation. Nothing is downloaded, and counts are
not checked: copies of these sets differ (of Allweather, 18 069 pairs, papers say 19 069). The
layouts of DA-CLIP, Perceive-IR, PromptIR, TransWeather and of the weather sets are those of the
official code; Rain200, GoPro and LOL are as public loaders read them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pellucid.data.files import GT, LQ, Pair, check_readable, left_out, pass_over, pictures
from pellucid.degradations import CLASSES, CLEAN
from pellucid.errors import UsageError
from pellucid.imaging import formats
from pellucid.plural import counted


class Layout(NamedTuple):
    """A row: the folders of damaged and of clean pictures, in any case.

    A side with a `*` is not a folder: so the pictures of this side are called, in the set's own
    folder. `of`: what lies so. `word`: the damage; empty: the name of the set's folder tells it.
    `border`: of the truths, see `Pair`. `test`: pattern of inputs that are never trained on.
    `by_order`: pairs by sorted order, where no names agree.
    """

    inputs: str
    truths: str
    of: str
    word: str = ""
    border: int = 0
    test: str = ""
    by_order: bool = False


OWN = Layout(LQ, GT, "DA-CLIP", by_order=True)  # as its official code pairs
MIXED = Layout("input", "gt", "Allweather; Perceive-IR, training")
LAYOUTS = (
    OWN,
    MIXED,
    Layout("input", "target", "Perceive-IR, tests"),
    Layout("in", "gt", "Outdoor-Rain", "rainy", test=r"im_03(0[1-9]|[1-4]\d|50)(_|$)"),  # of Test1
    Layout("data", "gt", "RainDrop", "raindrop"),
    Layout("synthetic", "gt", "Snow100K", "snowy"),
    # RESIDE indoors: truths have 640 x 480 px, inputs 620 x 460
    Layout("hazy", "clear", "RESIDE, ITS", "hazy", border=10),
    Layout("hazy", "gt", "RESIDE, SOTS", "hazy", border=10),
    Layout("haze", "clear", "RESIDE, OTS", "hazy"),
    Layout("synthetic", "original", "PromptIR, Dehaze", "hazy"),
    Layout("rainy", "gt", "PromptIR, Derain", "rainy"),
    Layout("rain", "norain", "Rain200L, Rain200H", "rainy"),
    Layout("rainy", "norain-*", "Rain100L, Rain100H", "rainy"),  # as in PReNet's official code
    Layout("rain-*", "norain-*", "Rain100L, Rain100H, in one folder", "rainy"),
    Layout("rainy", "clean", "rain by others", "rainy"),
    Layout("low", "high", "LOL", "low-light"),
    Layout("blur", "sharp", "GoPro", "motion-blurry"),
)


class Rule(NamedTuple):
    """Makes a truth's name of an input's, both without suffix; `text` is an example."""

    text: str
    pattern: str
    truth: str


RULES = (
    Rule("equal", r"(.*)", r"\1"),
    Rule("im_0001_s80_a04 -> im_0001", r"(im_\d+)_.+", r"\1"),  # Outdoor-Rain
    Rule("0_rain -> 0_clean", r"(.*)_rain", r"\1_clean"),  # RainDrop
    Rule("rain-1 -> norain-1", r"rain-(.+)", r"norain-\1"),  # Rain100L, PromptIR
    Rule("norain-1x2 -> norain-1", r"(norain-\d+)x2", r"\1"),  # Rain200
    Rule("0001_0.8_0.2 -> 0001", r"([^_]+)_.*", r"\1"),  # RESIDE
)
ORDER = "in sorted order, as no names agree"

PART = re.compile(  # folders that hold a part of a set each: train, test_a, eval15, held-out
    r"(train|test|val|eval|held|our(?=485))(ing|set|id|idation|uation|.?out)?([\W_\d].*)?", re.I
)

KINDS = {  # beginnings of names, the longest that fits counts
    **{word: word for word in CLASSES},
    **dict.fromkeys(("blur", "deblur", "defocus", "gopro", "motion"), "motion-blurry"),
    **dict.fromkeys(("dehaze", "fog", "haze", "reside", "sots"), "hazy"),
    **dict.fromkeys(("jpeg",), "jpeg-compressed"),
    **dict.fromkeys(("enhance", "lol", "low"), "low-light"),
    # "denosie": so the folder was called in Perceive-IR's first data
    **dict.fromkeys(("bsd", "cbsd", "denoise", "denosie", "impulse", "noise", "wed"), "noisy"),
    **dict.fromkeys(("deraindrop", "drop", "waterspatter"), "raindrop"),
    **dict.fromkeys(("derain", "outdoor-rain", "rain"), "rainy"),
    **dict.fromkeys(("shadow",), "shadowed"),
    **dict.fromkeys(("desnow", "snow"), "snowy"),
    **dict.fromkeys(("hole", "inpaint"), "uncompleted"),
    **dict.fromkeys(("noharm", "undamaged"), CLEAN),
}


def kind_of(name: str) -> str | None:
    """The word of a set's name or of a kind; None if no beginning of `KINDS` fits."""
    name = name.lower().replace("_", "-").replace(" ", "-")
    return KINDS.get(max((k for k in KINDS if name.startswith(k)), key=len, default=""))


@dataclass(frozen=True)
class Match:
    """Pairs in the order of the inputs, files without a partner, and the rule of the names."""

    pairs: list[Pair]
    alone: list[Path]
    rule: str


def match(
    inputs: Path,
    truths: Path,
    by_order: bool = False,
    border: int = 0,
    called: tuple[str, str] = ("", ""),
) -> Match:
    """Pair the pictures of two folders, by the rule of `RULES` that fits the most inputs.

    Names are paths below the folder; where only the truths lie in another depth, the last part
    counts. `called`: of each side, the pattern that its `Layout` has in place of a folder, or "".
    With `by_order`, where no name fits and there are as many on both sides, the sorted order pairs
    them.
    """
    damaged, clean = (
        {_stem(path, side): path for path in (_called(side, how) if how else pictures(side))}
        for side, how in zip((inputs, truths), called, strict=True)
    )
    flat = {name.rpartition("/")[2]: path for name, path in clean.items()}
    deep: list[tuple[dict[str, Path], Callable[[str], str]]] = [(clean, lambda name: name)]
    if len(flat) == len(clean):
        deep.append((flat, lambda name: name.rpartition("/")[2]))
    best: dict[str, Path] = {}
    rule = ""
    for known, cut in deep:
        for text, pattern, truth in RULES:
            found = {}
            for name in damaged:
                folder, slash, last = cut(name).rpartition("/")
                if hit := re.fullmatch(pattern, last):
                    wanted = folder + slash + hit.expand(truth)
                    if wanted in known:
                        found[name] = known[wanted]
            if len(found) > len(best):
                best, rule = found, text
        if len(best) == len(damaged):
            break
    if not best and by_order and damaged and len(damaged) == len(clean):
        best, rule = dict(zip(damaged, clean.values(), strict=True)), ORDER
    used = set(best.values())
    alone = [path for name, path in damaged.items() if name not in best]
    alone += [path for path in clean.values() if path not in used]
    return Match([Pair(damaged[n], best[n], border) for n in damaged if n in best], alone, rule)


@dataclass(frozen=True)
class PairSet:
    """A set that was found.

    Attributes:
        name: its folder's path below the root, or the root's own name.
        word: the damage; of Allweather, whose files tell it, the folder's name.
        layout: the row of `LAYOUTS`.
        inputs: the folder of the damaged pictures; None: there are clean ones alone.
        truths: the folder of the clean ones; None: there are damaged ones alone.
    """

    name: str
    word: str
    layout: Layout
    inputs: Path | None
    truths: Path | None

    @property
    def folder(self) -> Path:
        """The folder that holds both sides."""
        side = self.inputs or self.truths
        assert side is not None
        return side if self.called[self.inputs is None] else side.parent

    @property
    def called(self) -> tuple[str, str]:
        """What the pictures of a side are called, where it has no folder of its own."""
        return _patterns(self.layout)

    def match(self) -> Match:
        """Pair its pictures; the list `<name>.txt` in or beside Allweather leaves out the rest."""
        if self.inputs is None or self.truths is None:
            side = self.inputs or self.truths
            return Match([], pictures(side) if side else [], "")
        row = self.layout
        found = match(self.inputs, self.truths, row.by_order, row.border, self.called)
        listed = _listed(self.folder) if self.layout is MIXED else None
        if listed is None:
            return found
        pairs = [pair for pair in found.pairs if pair.lq.name in listed]
        return Match(pairs, [path for path in found.alone if path.name in listed], found.rule)

    def by_word(self, pairs: list[Pair]) -> dict[str, list[Pair]]:
        """Pairs by their damage."""
        own = self.folder.resolve().name
        mixed = self.layout is MIXED and kind_of(own) is None
        told = own.lower().startswith("allweather") or any(map(_of_allweather, pairs))
        if not mixed or not told:
            return {self.word: pairs}
        split: dict[str, list[Pair]] = {}
        for pair in pairs:
            split.setdefault(_of_allweather(pair) or "snowy", []).append(pair)
        return split

    def note(self, found: Match) -> str:
        """A line: how many pairs, in which folders, and how their names agree."""
        both = zip((self.inputs, self.truths), self.called, strict=True)
        sides = ", ".join(called or side.name for side, called in both if side)
        if self.inputs is None or self.truths is None:
            return f"{self.name}: {counted(len(found.alone), 'picture')}, in {sides} alone"
        left = f"; {counted(len(found.alone), 'file')} without a partner" if found.alone else ""
        words = self.by_word(found.pairs) or {self.word: []}
        several = "".join(f", {len(words[word])} of {word}" for word in sorted(words))
        of = several if len(words) > 1 else f" of {next(iter(words))}"
        return (
            f"{self.name}: {counted(len(found.pairs), 'pair')}{of} in {{{sides}}} (as "
            f"{self.layout.of}), names {found.rule or 'do not agree'}{left}"
        )


def find_sets(root: str | Path) -> list[PairSet]:
    """Sets below a folder: it is one, or its folders are, or those of a task's folder in it.

    The official words come first, in their order. A folder `Denoise` may hold clean pictures
    directly. Sets that lie deeper are left out with a warning. Empty if there is none.

    Raises:
        UsageError: no such folder, or it holds several trees, such as `train` and `val`, which are
            never mixed.
    """
    root = Path(root)
    check_readable(root)
    if own := _set(root, root.resolve().name):
        return [own]
    found, deeper = [], []
    for folder in _folders(root).values():
        if one := _set(folder, folder.name):
            found.append(one)
        elif word := kind_of(folder.name):
            inner = {f: _set(f, f"{folder.name}/{f.name}", word) for f in _folders(folder).values()}
            found += [one for one in inner.values() if one]
            deeper += [f for f, one in inner.items() if not one and _holds_sets(f)]
            clean = folder.name.lower() in ("denoise", "denosie") and not any(inner.values())
            if clean and pictures(folder):
                found.append(PairSet(folder.name, word, MIXED, None, folder))
        elif _holds_sets(folder):
            deeper.append(folder)
    trees = _parts(found) if found else deeper
    if trees:
        names = " and ".join(str(tree) for tree in trees)
        which = "one of them" if len(trees) > 1 else "it"
        raise UsageError(f"{root}: the sets are in {names}; name {which}")
    for folder in deeper:
        pass_over(str(folder), "it holds sets of its own; name it to read them")
    official = {word: i for i, word in enumerate(CLASSES)}
    return sorted(found, key=lambda s: (official.get(s.word, len(official)), s.name))


def _parts(found: list[PairSet]) -> list[Path]:
    """The folders of one data set that are its parts, where there are several kinds of parts."""
    parts: dict[Path, dict[str, Path]] = {}
    for one in found:
        if hit := PART.fullmatch(one.folder.name):
            parts.setdefault(one.folder.parent, {})[hit[1].lower()] = one.folder
    return next((list(kinds.values()) for kinds in parts.values() if len(kinds) > 1), [])


def _holds_sets(folder: Path) -> bool:
    return any(_set(inner, inner.name) for inner in _folders(folder).values())


def _set(folder: Path, name: str, task: str = "") -> PairSet | None:
    inside = _folders(folder)
    for layout in LAYOUTS:
        inputs = _side(folder, inside, layout.inputs)
        truths = _side(folder, inside, layout.truths) if inputs else None
        names = _patterns(layout)
        if inputs and truths and (not any(names) or match(inputs, truths, called=names).pairs):
            break
    else:  # one side alone
        layout = OWN
        inputs, truths = inside.get(LQ.lower()), inside.get(GT.lower()) or inside.get("target")
    sides = [side for side in (inputs, truths) if side]
    if not sides or any(_complete(_folders(side)) for side in sides):
        return None  # types called `rainy` and `clean` are not two sides
    own = folder.resolve().name
    official = {side.name for side in sides} <= {LQ, GT}
    word = own if official else layout.word or kind_of(name.rpartition("/")[2]) or task or own
    return PairSet(name, word, layout, inputs, truths)


def _patterns(layout: Layout) -> tuple[str, str]:
    """Of each side, what its pictures are called if it has no folder of its own, else ""."""
    inputs, truths = (name if "*" in name else "" for name in layout[:2])
    return inputs, truths


def _side(folder: Path, inside: dict[str, Path], name: str) -> Path | None:
    """Where a side lies: in a folder of this name or, with a `*`, in the set's own."""
    if "*" not in name:
        return inside.get(name.lower())
    return folder if next(_called(folder, name), None) else None


def _called(folder: Path, pattern: str) -> Iterator[Path]:
    """Pictures directly in a folder whose names, without suffix, fit a pattern."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path = folder / entry.name
            known = entry.name[0] != "." and path.suffix.lower() in formats.BY_SUFFIX
            if known and fnmatchcase(path.stem, pattern) and entry.is_file():
                yield path


def _complete(inside: dict[str, Path]) -> bool:
    """Whether both sides of a layout are among folders."""
    return any({row.inputs.lower(), row.truths.lower()} <= inside.keys() for row in LAYOUTS)


def _folders(folder: Path) -> dict[str, Path]:
    """Folders in a folder, by name in lower case; hidden ones are left out.

    None, with a warning, if it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            inside = sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())
    except OSError as error:
        left_out(error)
        return {}
    return {name.lower(): folder / name for name in inside}


def _of_allweather(pair: Pair) -> str:
    """Word of a file in Allweather: `0_rain` is from RainDrop, `im_0001_...` from Outdoor-Rain.

    Empty for others, which are from Snow100K if the set is Allweather.
    """
    if pair.lq.stem.startswith("im_"):
        return "rainy"
    return "raindrop" if pair.lq.stem.endswith("_rain") else ""


def _listed(folder: Path) -> set[str] | None:
    """Names in the list of inputs `<name>.txt` in or beside the folder `<name>`, a path a line."""
    for place in (folder, folder.parent):
        file = place / f"{folder.resolve().name}.txt"
        if file.is_file():
            lines = file.read_text(encoding="utf-8").split("\n")
            return {line.strip().rpartition("/")[2] for line in lines}
    return None


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
