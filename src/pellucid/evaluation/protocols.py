"""Published protocols as a table: which pictures, which noise, which metric, which average.

A PSNR means something only beside the name of its protocol; docs/protocols.md says which to use.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pellucid.data.benchmarks import BENCHMARKS, Benchmark
from pellucid.data.files import GT, LQ, pass_over, read_pixels
from pellucid.data.layouts import find_sets
from pellucid.degradations import CLEAN
from pellucid.errors import UsageError, look_up
from pellucid.evaluation.bench import bench_cases
from pellucid.evaluation.cases import Case, cropped
from pellucid.evaluation.metrics import MetricSettings
from pellucid.evaluation.protocol_noise import Noisy, NumpyNoise, ProtocolNoise, TorchNoise
from pellucid.evaluation.sets import set_cases

NATIVE = "native"  # own pairs
SETS = "sets"  # the protocol with reports of its own: `folder_scores`


@dataclass(frozen=True)
class Column:
    """One column of a protocol's tables.

    Attributes:
        name: in tables and files.
        benchmark: the pictures.
        sigma: of the protocol's noise, in grey levels of 255; None: the damaged pictures are files.
    """

    name: str
    benchmark: Benchmark
    sigma: float | None = None


@dataclass(frozen=True)
class Protocol:
    """A protocol: which pictures are measured, and how.

    Attributes:
        name: goes with every number.
        summary: a line for lists.
        columns: in the order of the tables; none where the folder says what there is.
        settings: PSNR and SSIM are measured with each.
        source: whose protocol it is.
        averages: over all "images", over "columns" (the mean of their means), the papers' first.
        not_averaged: columns that the mean of the columns leaves out, as the papers do.
        crop: as in `cases.Case`.
        noise: of the columns with a sigma.
        listing: cases of a folder, for a protocol without columns.
        notes: what to know before comparing.
    """

    name: str
    summary: str
    columns: tuple[Column, ...]
    settings: tuple[MetricSettings, ...]
    source: str
    averages: tuple[Literal["columns", "images"], ...] = ("columns", "images")
    not_averaged: tuple[str, ...] = ()
    crop: int = 1
    noise: Callable[[], ProtocolNoise] | None = None
    listing: Callable[[Path], Iterable[Case]] | None = None
    notes: str = ""

    @property
    def count(self) -> int | None:
        """Cases of all columns; None where the folder says."""
        return sum(column.benchmark.count for column in self.columns) or None

    def cases(self, root: str | Path, patterns: Sequence[str] = ()) -> list[Case]:
        """All cases below a folder, column by column, in the protocol's order.

        Any of them may be loaded, in any order: see `pellucid.evaluation.protocol_noise`.

        Args:
            root: the folder.
            patterns: only columns of these names or patterns (`fnmatch`); the sets of the others
                need not be there.

        Raises:
            UsageError: a set is missing or incomplete, or a pattern fits no column.
            ImageError: a truth that gets noise cannot be read.
        """
        if self.listing is not None:
            listed = list(self.listing(Path(root)))
            chosen = _matching({case.column: None for case in listed}, patterns)
            return [case for case in listed if case.column in chosen]
        chosen = {column.name for column in self.chosen(patterns)}
        return [case for case in self._of_columns(Path(root), chosen) if case.column in chosen]

    def chosen(self, patterns: Sequence[str] = ()) -> list[Column]:
        """The columns of these names or patterns, all if there are none; errors as in `cases`."""
        names = _matching([column.name for column in self.columns], patterns)
        return [column for column in self.columns if column.name in names]

    def _of_columns(self, root: Path, chosen: set[str]) -> Iterator[Case]:
        """Cases of the chosen columns, and of all noisy ones if there is one of them: they draw
        from one stream."""
        noise = self.noise() if self.noise else None
        noisy = any(column.sigma is not None for column in self.columns if column.name in chosen)
        shapes: dict[Path, tuple[int, int, int]] = {}

        def reserved(index: int, truth: Path, sigma: float) -> Noisy:
            assert noise is not None  # protocols with a sigma have a noise
            if truth not in shapes:
                height, width, channels = cropped(read_pixels(truth), self.crop).shape
                shapes[truth] = height, width, channels
            return noise.reserve(index, shapes[truth], sigma)

        for column in self.columns:
            if column.name not in chosen and not (noisy and column.sigma is not None):
                continue
            for index, pair in enumerate(column.benchmark.pairs(root)):
                sigma, truth = column.sigma, pair.truth
                made = None if sigma is None else reserved(index, truth, sigma)
                given = pair.input if made is None else None
                yield Case(column.name, pair.name, index, truth, given, noise=made, crop=self.crop)


def protocol(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    return look_up(PROTOCOLS, name, "protocol")


def _matching(columns: Collection[str], patterns: Sequence[str]) -> set[str]:
    for pattern in patterns:
        if not fnmatch.filter(columns, pattern):
            raise UsageError(f"no column matches {pattern!r}; there are {', '.join(columns)}")
    matched = (name for pattern in patterns or ["*"] for name in fnmatch.filter(columns, pattern))
    return set(matched)


def _folder_cases(root: Path) -> Iterator[Case]:
    """Cases of the sets of a folder, a column a set; of Allweather, a column a weather."""
    sets = find_sets(root)
    clean = [one for one in sets if one.word == "noisy" and not one.inputs]
    found = [one for one in sets if one not in clean]
    if clean and not found:
        raise UsageError(
            f"{root}: holds clean pictures alone; noise is made by the protocols of Perceive-IR "
            "and PromptIR (pellucid evaluate --list)"
        )
    if not found:
        raise UsageError(
            f"{root}: no folders <type>/{LQ} and <type>/{GT}, nor {LQ} and {GT}, nor others of "
            "docs/protocols.md"
        )
    for one in clean:
        pass_over(str(one.folder), "clean pictures alone; Perceive-IR's protocols make the noise")
    for one in found:
        matched = one.match()
        if matched.alone or not matched.pairs:
            alone = matched.alone
            what = f"{alone[0]} has no partner" if alone else f"{one.folder}: no pairs in it"
            raise UsageError(f"{what}; `pellucid data check {root}` lists all that is wrong")
        assert one.inputs is not None  # there are pairs
        split = one.by_word(matched.pairs)
        for word, pairs in split.items():
            for index, pair in enumerate(pairs):
                name = pair.lq.relative_to(one.inputs).with_suffix("").as_posix()
                column = one.name if len(split) == 1 else word
                yield Case(column, name, index, pair.gt, pair.lq, border=pair.border)


def _columns(*names: str) -> tuple[Column, ...]:
    """Columns named after their benchmarks."""
    return tuple(Column(name, BENCHMARKS[name]) for name in names)


_NOISY = tuple(Column(f"CBSD68-s{s}", BENCHMARKS["CBSD68"], s) for s in (15, 25, 50))
_THREE = (*_NOISY, *_columns("SOTS-outdoor", "Rain100L"))
_FIVE = (*_THREE, *_columns("GoPro", "LOL-v1"))
_WEATHER = _columns("Snow100K-S", "Snow100K-L", "Outdoor-Rain-Test1", "RainDrop-a")
_DACLIP_SETS = (
    *("GoPro", "RESIDE-6k", "LIVE1", "LOL-v1", "CBSD68-s50", "RainDrop-a", "Rain100H", "SRD"),
    *("Snow100K-L-601", "CelebA-HQ-100"),
)
_FLOAT_RGB = MetricSettings("rgb", eight_bit=False, window="uniform7")
_FILE_RGB = MetricSettings("rgb", window="gaussian11")
_FILE_Y = MetricSettings("y", window="gaussian11")

_ROWS = (
    Protocol(
        "pellucid-bench",
        "256 px windows of clean photographs, damaged here, for regressions",
        (),
        (_FILE_RGB, _FILE_Y),
        "ours",
        averages=("columns",),
        not_averaged=(CLEAN,),
        listing=bench_cases,
    ),
    Protocol(
        "pellucid-bench-float",
        "the same, never rounded: for models that read more than 8 bits",
        (),
        (replace(_FILE_RGB, eight_bit=False), replace(_FILE_Y, eight_bit=False)),
        "ours",
        averages=("columns",),
        not_averaged=(CLEAN,),
        listing=partial(bench_cases, eight_bit=False),
    ),
    Protocol(
        NATIVE,
        "pairs in any published layout: whole pictures, 8 bit, RGB and Y",
        (),
        (_FILE_RGB, _FILE_Y),
        "ours",
        listing=_folder_cases,
        notes="Own pictures; the numbers compare with nobody's table.",
    ),
    Protocol(
        SETS,
        "any SET/{lq,gt} folders, gt not everywhere: gain, harm, naming; told and unguided",
        (),
        (MetricSettings("rgb", window=None),),
        "ours",
        listing=set_cases,
        notes="PSNR of 8-bit RGB, at most 99 dB. See docs/measurements/strangers.md.",
    ),
    Protocol(
        "perceive-ir-3task",
        "haze, rain, noise 15/25/50; RGB, not rounded, cut to multiples of 16",
        _THREE,
        (_FLOAT_RGB,),
        "Perceive-IR, evaluate_stage2_adair.py, adair3",
        crop=16,
        noise=NumpyNoise,
    ),
    Protocol(
        "perceive-ir-5task",
        "haze, rain, noise, blur, low light; RGB, not rounded, whole pictures",
        _FIVE,
        (_FLOAT_RGB,),
        "Perceive-IR, evaluate_stage2_adair.py, adair5",
        not_averaged=("CBSD68-s15", "CBSD68-s50"),
        noise=TorchNoise,
        notes="Papers average five columns, noise 25 alone; the official code averages all seven.",
    ),
    Protocol(
        "promptir",
        "the numbers of PromptIR: as perceive-ir-3task, mean of the columns alone",
        _THREE,
        (_FLOAT_RGB,),
        "PromptIR, test.py",
        averages=("columns",),
        crop=16,
        noise=NumpyNoise,
        notes="The official order of the noisy pictures is the disk's; here they are sorted.",
    ),
    Protocol(
        "daclip-universal",
        "ten degradations; 8 bit, 4 px border left out, RGB and Y",
        tuple(Column(BENCHMARKS[name].word, BENCHMARKS[name]) for name in _DACLIP_SETS),
        tuple(MetricSettings(c, border=4, window="gaussian11") for c in ("rgb", "y")),
        "DA-CLIP, test.py",
        averages=("columns",),
        notes="The official code is not seeded: its numbers vary from run to run.",
    ),
    Protocol(
        "allweather-y",
        "snow, rain with veil, drops; Y, 8 bit, whole pictures",
        _WEATHER,
        (_FILE_Y,),
        "WeatherDiffusion, calculate_psnr_ssim.py",
        averages=("columns",),
        not_averaged=("Snow100K-S",),
        notes="The official code resizes pictures and truths to multiples of 16; here nothing "
        "is resized. Papers average three columns, Snow100K-L alone.",
    ),
    Protocol(
        "allweather-rgb",
        "snow, rain with veil, drops; RGB, 8 bit, whole pictures",
        _WEATHER,
        (_FILE_RGB,),
        "after WGWS-Net, utils/UTILS.py, which does not clamp before PSNR",
        averages=("columns",),
        not_averaged=("Snow100K-S",),
    ),
)
PROTOCOLS = {row.name: row for row in _ROWS}
"""All protocols by name; docs/protocols.md says what each is for."""
