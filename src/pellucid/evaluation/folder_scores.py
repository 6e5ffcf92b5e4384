"""Score a model on sets of pictures by other people, each of several ways of asking it.

    scores = score_folder(load("lite"), "sets/", ways=("blind",), limit=4)
    scores["all"]["blind"]["harmed"]        # pictures that came back worse

Told the right word, a model shows how it restores; blind, how it names and restores; unguided, what
it does when both embeddings that guide it are zero; masked, it is told the word and the holes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.degradations import CLASSES
from pellucid.errors import PellucidError, UsageError
from pellucid.evaluation.cases import Case
from pellucid.evaluation.protocols import PROTOCOLS, SETS
from pellucid.evaluation.report import Rows, by_column
from pellucid.evaluation.scoring import Answer, ModelSource, Outcome, ResultSource, Track, score
from pellucid.evaluation.statistics import estimate
from pellucid.imaging.io import Photo, read
from pellucid.networks.contract import Guidance
from pellucid.restorer import Restorer

HARM = 0.3  # dB that a picture must lose to count as harmed
INTACT = 34.0  # dB from itself below which an undamaged picture counts as harmed
UNCHANGED = 0.2  # dB that a picture must gain or lose to count as changed
MAX_PSNR = 99.0  # dB, of equal pictures
BINS = 15  # of the calibration error


def _unguided(restorer: Restorer, photo: Photo) -> Guidance:
    """The diagnosis with both embeddings zero, as training drops them, and without words."""
    found = restorer.diagnose(photo)
    content, degradation = (
        e if e is None else torch.zeros_like(e) for e in (found.content, found.degradation)
    )
    return replace(found, content=content, degradation=degradation, words=())


BLIND, TOLD, UNGUIDED, MASKED = "blind", "told", "unguided", "masked"
WAYS: dict[str, Callable[[Restorer, Photo, Case], dict[str, Any]]] = {
    BLIND: lambda restorer, photo, case: {},
    TOLD: lambda restorer, photo, case: {"words": case.words},
    UNGUIDED: lambda restorer, photo, case: {"guidance": _unguided(restorer, photo)},
    MASKED: lambda restorer, photo, case: {"words": case.words, "missing": case.mask},
}
"""Arguments of `Restorer.run` for the picture of a case."""


class SetSource(ModelSource):
    """A model, asked in one of `WAYS`. It is given the file, as `pellucid restore` is: a grey one
    comes back grey."""

    def __init__(self, restorer: Restorer, way: str, **options: Any):
        super().__init__(restorer, **options)
        self.way = way
        self.identity["way"] = way

    def restore(self, case: Case, damaged: Tensor, seed: int) -> Answer:
        """Diagnose and restore; diffusion models draw their noise from the seed."""
        assert case.input is not None  # sets are files
        photo = read(case.input)
        asked = WAYS[self.way](self.restorer, photo, case)
        found = self.restorer.run(photo, seed=seed, **asked, **self.options)
        restored: Photo = found.picture
        pixels = restored.luma[..., None].repeat(3, 2) if restored.grey else restored.pixels
        picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
        return Answer(picture, found.guidance.probabilities)


def score_folder(
    restorer: Restorer,
    folder: str | Path,
    ways: Sequence[str] = tuple(WAYS),
    columns: Sequence[str] = (),
    limit: int | None = None,
    out: str | Path | None = None,
    track: Track = lambda items, what: items,
    **options: Any,
) -> dict[str, Any]:
    """Score a model on the sets of a folder.

    Args:
        restorer: the model.
        folder: holds `SET/lq`, and `SET/gt` where the truth is known; docs/protocols.md says more.
        ways: how the model is asked: "blind", "told", "unguided", "masked".
        columns: only sets of these names or patterns.
        limit: only so many pictures of each set, spread over it.
        out: keeps `WAY/images.csv` and the restored pictures, by which a run goes on where it
            was stopped; None keeps nothing.
        track: shows progress.
        options: of `Restorer.restore`, such as `preset`.

    Returns:
        The scores as plain values, by set ("all" is that of all sets) and way; PSNR, gain in dB.

    Raises:
        UsageError: no sets there, an unknown way, or `out` holds scores of another run.
        PellucidError: no picture could be restored.
    """
    sources = {way: SetSource(restorer, way, **options) for way in _known(ways)}
    cases = chosen(folder, columns, limit)
    about = {"data": str(Path(folder).resolve())}
    if out is not None:
        return summarise(run(sources, cases, Path(out), about, track), cases)
    with TemporaryDirectory() as kept:
        return summarise(run(sources, cases, Path(kept), about, track), cases)


def chosen(folder: str | Path, columns: Sequence[str], limit: int | None) -> list[Case]:
    """Cases of a folder: of some sets, and `limit` of each, spread over it."""
    cases = PROTOCOLS[SETS].cases(folder, columns)
    if limit is None:
        return cases
    sizes = Counter(case.column for case in cases)
    kept = {
        (name, i * size // min(limit, size))
        for name, size in sizes.items()
        for i in range(min(limit, size))
    }
    return [case for case in cases if (case.column, case.index) in kept]


def run(
    sources: Mapping[str, ResultSource],
    cases: Sequence[Case],
    out: Path,
    about: dict[str, Any],
    track: Track,
) -> dict[str, Outcome]:
    """Rows and failures of each way; `told` and `masked` leave out pictures whose words, or holes,
    are not known.

    Raises:
        UsageError: `out` holds scores of another run, or no way can be asked of any picture.
        PellucidError: no picture could be scored.
    """
    settings = PROTOCOLS[SETS].settings
    outcomes = {}
    for way, source in sources.items():
        known = {TOLD: lambda case: case.words, MASKED: lambda case: case.mask}.get(way)
        asked = [case for case in cases if known is None or known(case)]
        if not asked:
            outcomes[way] = Outcome([], [])
            continue
        rows, failures = score(
            *(asked, settings, source, out / way, {"protocol": SETS, **about}),
            track=lambda items, name, way=way: track(items, f"{name} {way}"),
        )
        rows = [
            row
            | {key: float(np.minimum(row[key], MAX_PSNR)) for key in ("psnr_rgb", "psnr_rgb_input")}
            for row in rows
        ]
        outcomes[way] = Outcome(rows, failures)
    failed = [failure for _, failures in outcomes.values() for failure in failures]
    if any(rows for rows, _ in outcomes.values()):
        return outcomes
    if failed:
        raise PellucidError(f"no picture could be scored; {': '.join(failed[0])}")
    raise UsageError(
        f"--ways {' '.join(sources)}: no picture here can be asked about so: {TOLD} needs the true "
        f"word, {MASKED} a mask"
    )


def summarise(outcomes: Mapping[str, Outcome], cases: Sequence[Case]) -> dict[str, Any]:
    """Scores of all ways, set by set and over all pictures.

    `sets`: by set and way, what `measured` returns. `all`: the same by way, over all pictures.
    `naming`: of the first way that names (see `named`). `failures`: way, picture and reason.
    """
    words = {(case.column, case.name): case.words for case in cases}
    groups = {way: by_column(rows) for way, (rows, _) in outcomes.items()}
    columns = dict.fromkeys(case.column for case in cases)
    naming = next((rows for rows, _ in outcomes.values() if any(r["detected"] for r in rows)), [])
    return {
        "sets": {
            name: {way: measured(group[name]) for way, group in groups.items() if name in group}
            for name in columns
        },
        "all": {way: measured(rows) for way, (rows, _) in outcomes.items() if rows},
        "naming": named(naming, words) if naming else None,
        "failures": [[way, *f] for way, (_, failures) in outcomes.items() for f in failures],
    }


def measured(rows: Rows) -> dict[str, Any]:
    """Scores of some pictures.

    `pictures`: all; `scored`: those with a truth; `damaged`: those that differ from it. Of the
    damaged: `input`, `output`: mean PSNR in dB; `gain`: its mean with the 95 % interval; `worst`:
    the least gain; `unchanged`: how many changed by less than `UNCHANGED` dB. Of the undamaged:
    `itself`, `itself_worst`: mean and least PSNR of the restorations. `harmed`: damaged pictures
    that lost more than `HARM` dB, and undamaged ones below `INTACT` dB. `seconds` a picture. What
    there is nothing to compute from is None.
    """
    scored = [row for row in rows if not math.isnan(row["psnr_rgb"])]
    whole = [row["psnr_rgb"] for row in scored if row["psnr_rgb_input"] >= MAX_PSNR]
    damaged = [row for row in scored if row["psnr_rgb_input"] < MAX_PSNR]
    gains = [row["psnr_rgb"] - row["psnr_rgb_input"] for row in damaged]

    def mean(values: list[float]) -> float | None:
        return sum(values) / len(values) if values else None

    return {
        "pictures": len(rows),
        "scored": len(scored),
        "damaged": len(gains),
        "input": mean([row["psnr_rgb_input"] for row in damaged]),
        "output": mean([row["psnr_rgb"] for row in damaged]),
        "gain": estimate([gains])._asdict() if gains else None,
        "worst": min(gains, default=None),
        "harmed": sum(gain < -HARM for gain in gains) + sum(psnr < INTACT for psnr in whole),
        "unchanged": sum(abs(gain) < UNCHANGED for gain in gains),
        "itself": mean(whole),
        "itself_worst": min(whole, default=None),
        "seconds": mean([row["seconds"] for row in rows]),
    }


def named(rows: Rows, words: Mapping[tuple[str, str], tuple[str, ...]]) -> dict[str, Any]:
    """How well damage is named.

    `sets`: by set, of the pictures with known words: `pictures`, `right` (shares whose most
    probable word is true) and `within_two` (one of the two most probable ones). `words`: the same
    by true word, of the pictures with one. `all`: of all. `confusion`: counts by true word and
    most probable word. `calibration_error`: the expected calibration error (Guo et al., ICML 2017,
    15 bins of equal width) of the most probable word's probability.
    """
    known = [(row, words[row["column"], row["name"]]) for row in rows]
    known = [(row, true) for row, true in known if true]
    by_set: dict[str, list] = {}
    by_word: dict[str, list] = {}
    confusion: dict[str, Counter] = {}
    for row, true in known:
        by_set.setdefault(row["column"], []).append((row, true))
        if len(true) == 1:
            by_word.setdefault(true[0], []).append((row, true))
            confusion.setdefault(true[0], Counter())[row["detected"]] += 1
    order = [word for word in CLASSES if word in by_word]
    return {
        "sets": {name: _right(group) for name, group in by_set.items()},
        "words": {word: _right(by_word[word]) for word in order},
        "all": _right(known) if known else None,
        "confusion": {word: dict(confusion[word]) for word in order},
        "calibration_error": calibration_error(
            [row["share"] for row, _ in known], [row["detected"] in true for row, true in known]
        ),
    }


def _right(group: Sequence[tuple[dict[str, Any], tuple[str, ...]]]) -> dict[str, Any]:
    right = [row["detected"] in true for row, true in group]
    two = [row["detected"] in true or row["second"] in true for row, true in group]
    count = len(group)
    return {"pictures": count, "right": sum(right) / count, "within_two": sum(two) / count}


def calibration_error(shares: Sequence[float], right: Sequence[bool]) -> float | None:
    """Mean distance of the probability that was given and the share that was right, by bins of
    equal width, in [0, 1]; None of nothing."""
    if not len(shares):
        return None
    given, true = np.asarray(shares, float), np.asarray(right, float)
    place = np.minimum((given * BINS).astype(int), BINS - 1)
    gaps = (np.bincount(place, given - true, BINS)) / len(given)
    return float(np.abs(gaps).sum())


def _known(ways: Sequence[str]) -> Sequence[str]:
    for way in ways:
        if way not in WAYS:
            raise UsageError(f"there is no way {way!r} of asking a model; known: {', '.join(WAYS)}")
    return ways
