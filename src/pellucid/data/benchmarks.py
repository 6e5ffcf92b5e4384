"""Public test sets: places and number of their files.

Nothing is downloaded: most links have moved before, and no licence is stated where the pictures are
offered. A set has one row for all trees that it is found in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pellucid.data.files import GT, LQ, pictures
from pellucid.data.layouts import match
from pellucid.errors import UsageError, look_up

NOT_STATED = "not stated"


class BenchmarkPair(NamedTuple):
    """A case of a test set; several may share a truth.

    `name` is the input's path below its folder without suffix; `input` is None where the damaged
    picture is made from the truth.
    """

    name: str
    input: Path | None
    truth: Path


@dataclass(frozen=True)
class SetFolders:
    """Folders of a set, relative to the root of a tree; `layouts.match` pairs what is in them."""

    truths: str
    inputs: str | None = None

    def __str__(self) -> str:
        if self.inputs is None:
            return self.truths
        parent, _, name = self.truths.rpartition("/")
        return f"{parent}/{{{self.inputs.rpartition('/')[2]},{name}}}"


@dataclass(frozen=True)
class Benchmark:
    """One row: a test set.

    Attributes:
        name: as published numbers call it.
        word: the damage.
        layouts: possible layouts; the first that exists is read.
        count: number of cases.
        source: paper, and where to get it.
        licence: of the pictures.
    """

    name: str
    word: str
    layouts: tuple[SetFolders, ...]
    count: int
    source: str
    licence: str = NOT_STATED

    def layout(self, root: str | Path) -> SetFolders:
        """The first layout that exists.

        Raises:
            UsageError: none exists; the message gives the expected folders.
        """
        for layout in self.layouts:
            folders = [layout.truths] if layout.inputs is None else [layout.inputs, layout.truths]
            if all((Path(root) / folder).is_dir() for folder in folders):
                return layout
        places = " or ".join(map(str, self.layouts))
        raise UsageError(
            f"{root}: {self.name} is not in this folder; its {self.count} cases belong in {places} "
            f"({self.source})"
        )

    def match(self, root: str | Path) -> tuple[list[BenchmarkPair], list[Path]]:
        """Pairs sorted by the path of the input (else of the truth), and the unpaired files.

        Raises:
            UsageError: a folder is missing.
        """
        layout = self.layout(root)
        truth_folder = Path(root) / layout.truths
        if layout.inputs is None:
            return [
                BenchmarkPair(_name(p, truth_folder), None, p) for p in pictures(truth_folder)
            ], []
        input_folder = Path(root) / layout.inputs
        found = match(input_folder, truth_folder, by_order=layout.truths.endswith(f"/{GT}"))
        return [BenchmarkPair(_name(p.lq, input_folder), p.lq, p.gt) for p in found.pairs], (
            found.alone
        )

    def pairs(self, root: str | Path) -> list[BenchmarkPair]:
        """All cases, in the order of `match`.

        Raises:
            UsageError: the set is missing, or has fewer or more cases than it should.
        """
        found, alone = self.match(root)
        if alone or len(found) != self.count:
            first = f", {len(alone)} without a partner (the first: {alone[0]})" if alone else ""
            raise UsageError(
                f"{root}: {self.name} has {self.count} cases, here are {len(found)}{first}; "
                f"`pellucid data check --benchmark {self.name} {root}` lists what is wrong"
            )
        return found


def benchmark(name: str) -> Benchmark:
    """The row of a test set.

    Raises:
        UsageError: there is none; names the nearest.
    """
    return look_up(BENCHMARKS, name, "benchmark")


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _aioir(folder: str) -> SetFolders:
    """The tree of PromptIR, AdaIR and Perceive-IR."""
    return SetFolders(f"test/{folder}/target", f"test/{folder}/input")


def _universal(word: str) -> SetFolders:
    """DA-CLIP's tree, `datasets/universal`."""
    return SetFolders(f"val/{word}/{GT}", f"val/{word}/{LQ}")


def _weather(name: str) -> SetFolders:
    """TransWeather's tree, its folder `data`; the name of the set in it is ours."""
    return SetFolders(f"test/{name}/gt", f"test/{name}/input")


_PROMPTIR = "links in the README of github.com/va1shn9v/PromptIR"
_DACLIP = "in the validation archive linked by the README of github.com/Algolzw/daclip-uir"
_SNOW = (
    "Liu et al., DesnowNet, TIP 2018; the original page is gone, copies are linked by the README "
    "of github.com/sunshangquan/Histoformer"
)

BENCHMARKS = {
    row.name: row
    for row in (
        Benchmark(
            "CBSD68",
            "noisy",
            (SetFolders("test/denoise/bsd68/target"), SetFolders("test/denoise/bsd68")),
            68,
            f"68 pictures of Martin et al., ICCV 2001; {_PROMPTIR}",
        ),
        Benchmark(
            "CBSD68-s50",
            "noisy",
            (_universal("noisy"),),
            68,
            f"CBSD68 with stored noise of sigma 50, unseeded; {_DACLIP}",
        ),
        Benchmark(
            "Urban100",
            "noisy",
            (SetFolders("test/denoise/urban100/target"),),
            100,
            "Huang et al., Self-Exemplars, CVPR 2015",
        ),
        Benchmark(
            "Kodak24",
            "noisy",
            (SetFolders("test/denoise/kodak24/target"),),
            24,
            "Kodak lossless true colour suite",
        ),
        Benchmark(
            "LIVE1",
            "jpeg-compressed",
            (_universal("jpeg-compressed"),),
            29,
            f"Sheikh et al., TIP 2006, at JPEG quality 10; {_DACLIP}",
        ),
        Benchmark(
            "SOTS-outdoor",
            "hazy",
            (_aioir("dehaze"),),
            500,
            "Li et al., RESIDE, TIP 2019; not the variant with 492 hazy pictures; " + _PROMPTIR,
        ),
        Benchmark(
            "RESIDE-6k",
            "hazy",
            (_universal("hazy"),),
            1000,
            f"a choice of RESIDE (Li et al., TIP 2019); {_DACLIP}",
        ),
        Benchmark(
            "Rain100L",
            "rainy",
            (_aioir("derain/Rain100L"),),
            100,
            f"Yang et al., JORDER, CVPR 2017; {_PROMPTIR}",
        ),
        Benchmark(
            "Rain100H",
            "rainy",
            (_universal("rainy"),),
            100,
            "Yang et al., JORDER, CVPR 2017; an old version of its training set holds test scenes; "
            + _DACLIP,
        ),
        Benchmark(
            "GoPro",
            "motion-blurry",
            (_aioir("deblur/gopro"), _universal("motion-blurry")),
            1111,
            f"Nah et al., DeepDeblur, CVPR 2017; {_DACLIP}",
        ),
        Benchmark(
            "LOL-v1",
            "low-light",
            (_aioir("enhance/lol"), _universal("low-light")),
            15,
            "Wei et al., RetinexNet, BMVC 2018, eval15; daooshee.github.io/BMVC2018website",
        ),
        Benchmark(
            "RainDrop-a",
            "raindrop",
            (_weather("RainDrop-a"), _universal("raindrop")),
            58,
            "Qian et al., DeRaindrop, CVPR 2018, test a; links in the README of "
            "github.com/rui1996/DeRaindrop",
        ),
        Benchmark(
            "SRD",
            "shadowed",
            (_universal("shadowed"),),
            408,
            f"Qu et al., DeshadowNet, CVPR 2017; {_DACLIP}",
        ),
        Benchmark(
            "CelebA-HQ-100",
            "uncompleted",
            (_universal("uncompleted"),),
            100,
            f"100 faces at 256 px (Karras et al., ICLR 2018), masks of RePaint; {_DACLIP}",
        ),
        Benchmark(
            "Snow100K-L-601",
            "snowy",
            (_universal("snowy"),),
            601,
            f"the files 'beautiful_smile' of Snow100K-L; {_DACLIP}",
        ),
        Benchmark("Snow100K-S", "snowy", (_weather("Snow100K-S"),), 16_611, _SNOW),
        Benchmark("Snow100K-M", "snowy", (_weather("Snow100K-M"),), 16_588, _SNOW),
        Benchmark("Snow100K-L", "snowy", (_weather("Snow100K-L"),), 16_801, _SNOW),
        Benchmark(
            "Outdoor-Rain-Test1",
            "rainy",
            (_weather("Outdoor-Rain-Test1"),),
            750,
            "Li et al., HeavyRainRemoval, CVPR 2019; its scenes im_0301 to im_0350 are in the "
            "9000 training pictures, too: leave those out of training; a copy is linked by the "
            "README of github.com/sunshangquan/Histoformer",
        ),
    )
}
