"""Weather training sets in the layouts of their authors.

Nothing is downloaded. Counts are not checked: copies of these sets differ (of Allweather, 18 069
pairs, papers say 19 069).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pellucid.data.files import Pair, pictures


class WeatherSet(NamedTuple):
    """A layout: `root/inputs` and `root/truths`.

    `rule`: of `re.sub`, from an input's name without suffix to its truth's. `left_out`: pattern of
    inputs that are not to be trained on. `word`: the damage; None, the name of the file tells.
    `border`: of the truths, see `Pair`.
    """

    name: str
    inputs: str
    truths: str
    word: str | None
    rule: tuple[str, str] = ("", "")
    left_out: str | None = None
    border: int = 0


WEATHER_SETS = (
    WeatherSet("Allweather", "input", "gt", None),  # TransWeather's mixture
    WeatherSet(
        "Outdoor-Rain",
        "in",
        "gt",
        "rainy",
        (r"(im_\d+)_.*", r"\1"),  # im_0001_s80_a04 -> im_0001
        r"im_03(0[1-9]|[1-4]\d|50)(_|$)",  # the 50 scenes of its Test1
    ),
    WeatherSet("RainDrop", "data", "gt", "raindrop", (r"_rain$", "_clean")),
    WeatherSet("Snow100K", "synthetic", "gt", "snowy"),
    WeatherSet(
        "RESIDE",
        "hazy",
        "clear",
        "hazy",
        (r"_.*$", ""),  # 0001_0.8_0.04 -> 0001
        border=10,  # indoors truths have 640 x 480 px, inputs 620 x 460
    ),
)


def weather_pairs(root: str | Path) -> dict[str, list[Pair]]:
    """Pairs of a weather set, by word; empty if the folder has none of these layouts.

    A list of inputs `<name>.txt` in or beside the folder `<name>`, a path a line, leaves out what
    is not in it. Inputs without a truth are left out.
    """
    root = Path(root)
    for row in WEATHER_SETS:
        inputs, truths = root / row.inputs, root / row.truths
        if inputs.is_dir() and truths.is_dir():
            break
    else:
        return {}
    known = {path.stem: path for path in pictures(truths)}
    listed = _listed(root)
    found: dict[str, list[Pair]] = {}
    for path in pictures(inputs):
        truth = known.get(path.stem) or known.get(re.sub(*row.rule, path.stem))
        left_out = row.left_out and re.match(row.left_out, path.stem)
        if truth and not left_out and (listed is None or path.name in listed):
            found.setdefault(row.word or _word(path.stem), []).append(Pair(path, truth, row.border))
    return found


def _word(stem: str) -> str:
    """Word of a file in Allweather: `0_rain` is from RainDrop, `im_0001_...` from Outdoor-Rain."""
    if stem.startswith("im_"):
        return "rainy"
    return "raindrop" if stem.endswith("_rain") else "snowy"


def _listed(root: Path) -> set[str] | None:
    for folder in (root, root.parent):
        file = folder / f"{root.resolve().name}.txt"
        if file.is_file():
            lines = file.read_text(encoding="utf-8").split("\n")
            return {line.strip().rpartition("/")[2] for line in lines}
    return None
