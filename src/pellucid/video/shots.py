"""Cuts of a film, and one diagnosis a shot.

All frames of a shot are restored by the same guidance, the same model and the same strength, so
that none of them can flicker. The guidance is the mean of the diagnoses of a few frames spread over
the shot (ours).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np
import torch
from torch import Tensor

from pellucid.completion import SHADOWED, UNCOMPLETED, mended, without
from pellucid.degradations import CLEAN
from pellucid.guard import SOFTEST, Decision, judge
from pellucid.imaging.evidence import measure
from pellucid.imaging.holes import codes_of, find_holes
from pellucid.imaging.neutral import keep_neutral
from pellucid.instruction import Understood
from pellucid.keeping import held
from pellucid.networks.contract import Guidance
from pellucid.restorer import Restorer
from pellucid.video.frames import Frame

THUMBNAIL = (48, 27)  # width, height
LEAST = 0.06  # mean difference of thumbnails below which there is no cut
TIMES = 3.0  # how many times the differences around it a cut's is, at least
AROUND = 8  # frames before and after that are compared
SAMPLES = 5  # frames of a shot that are diagnosed
JUDGED = 3  # how many of them a guard looks at


def cuts(thumbnails: Iterable[np.ndarray]) -> list[int]:
    """Indices of the frames with which new shots begin; 0 is not one of them.

    A cut is a difference of neighbouring thumbnails that is large, and much larger than those
    around it. A flash is none: the frame after it resembles the frame before it.

    Args:
        thumbnails: float32 `(h, w, 3)` in [0, 1], one a frame; only two are held.
    """
    steps, over = [], []  # differences to the frame before, and to the one before that
    before: list[np.ndarray] = []
    for small in thumbnails:
        steps.append(float(np.abs(small - before[-1]).mean()) if before else 0.0)
        over.append(float(np.abs(small - before[-2]).mean()) if len(before) > 1 else np.inf)
        before = [*before[-1:], small]
    found = []
    for i, step in enumerate(steps):
        if step < LEAST:
            continue
        near = steps[max(1, i - AROUND) : i] + steps[i + 1 : i + 1 + AROUND]
        flash = any(j < len(over) and over[j] < step / 2 for j in (i, i + 1))
        if not flash and step >= TIMES * median(near or [0.0]):
            found.append(i)
    return found


def spread(first: int, last: int, count: int) -> list[int]:
    """At most `count` different indices spread evenly over `first` to `last` (excluded)."""
    count = min(count, last - first)
    return [first + (2 * i + 1) * (last - first) // (2 * count) for i in range(count)]


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames `first` to `last`, that one excluded, and how they are restored."""

    first: int
    last: int
    restorer: Restorer
    guidance: Guidance
    strength: float
    decision: Decision
    reason: str

    @torch.no_grad()
    def restored(self, frame: Frame, **options: object) -> np.ndarray:
        """Pixels of one of its frames, restored; options are those of `Engine.restored`."""
        if self.strength == 0:
            return frame.pixels
        batch = _batch(frame)
        whole = mended(batch, [self._hole(frame)], [None])
        result = whole
        if not self.only_holes:
            result = _network(self.restorer, whole, self.guidance, **options)
            result = held(whole, result, [self.guidance])
        if self.strength < 1:
            result = batch + self.strength * (result - batch)
        pixels = keep_neutral(batch[0], result[0]).permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(pixels)

    @property
    def only_holes(self) -> bool:
        """Whether holes are all that is wrong, so that no network is asked."""
        return self.restorer.guard and self.guidance.words == (UNCOMPLETED,)

    def _hole(self, frame: Frame) -> np.ndarray | None:
        if not self.restorer.guard or UNCOMPLETED not in self.guidance.words:
            return None
        return find_holes(codes_of(frame.pixels)).mask


@torch.no_grad()
def diagnosed(
    first: int,
    last: int,
    samples: Sequence[Frame],
    restorer: Restorer,
    words: Sequence[str] = (),
    asked: Understood | None = None,
    strength: float = 1.0,
    **options: object,
) -> Shot:
    """The shot of which these frames are samples.

    A guard judges restorations of some of them; the median of its strengths holds for the shot.

    Args:
        first: of its frames.
        last: the first frame after it.
        samples: some of its frames, in order.
        restorer: diagnoses, and chooses the model.
        words: the degradations, if they are told.
        asked: an instruction in place of them.
        strength: 0 to 1; what the guard leaves of it is the shot's.
        options: those of `Engine.restored`.
    """
    tensors = map(_tensor, samples)
    guidance = mean_of([restorer.diagnose(t, words=words, ask=asked) for t in tensors])
    if restorer.guard and not guidance.told and asked is None:
        guidance = restorer.left(guidance, (SHADOWED,), False)  # each frame's would be another
    if asked is not None and not guidance.words:
        return Shot(first, last, restorer, guidance, 0.0, "kept", "Nothing is left to do.")
    chosen = restorer.route(without(guidance, (UNCOMPLETED,)) if restorer.guard else guidance)
    guidance = chosen.completed(_batch(samples[len(samples) // 2]), chosen.asked(guidance))
    shot = Shot(first, last, chosen, guidance, strength, "kept", "")
    if not restorer.guard or strength == 0 or shot.only_holes:
        return shot
    told = (guidance.words, guidance.explaining, guidance.told, chosen.unguided(guidance))
    verdicts = []
    for i in spread(0, len(samples), JUDGED):
        frame = samples[i]
        pixels = replace(shot, strength=1.0).restored(frame, **options)
        verdicts.append(judge(frame.pixels, pixels, measure(frame.pixels), measure(pixels), *told))
    verdicts.sort(key=lambda verdict: verdict.strength)
    chosen_verdict = verdicts[len(verdicts) // 2]
    share = chosen_verdict.strength
    if share < SOFTEST:
        share = 0.0
    return replace(
        shot,
        strength=strength * share,
        decision=chosen_verdict.decision,
        reason=chosen_verdict.reason,
    )


def mean_of(answers: Sequence[Guidance]) -> Guidance:
    """One guidance of several frames' (ours).

    Embeddings and probabilities are means; words are those that at least half of the frames have,
    the most probable first. Their noise is white if that of half of them is.
    """
    words = dict.fromkeys(word for answer in answers for word in answer.words)
    often = [w for w in words if 2 * sum(w in a.words for a in answers) >= len(answers)]
    shares = None
    if all(answer.probabilities for answer in answers):
        known = answers[0].probabilities or {}
        means = {w: fmean((a.probabilities or {}).get(w, 0.0) for a in answers) for w in known}
        shares = dict(sorted(means.items(), key=lambda row: -row[1]))
        often.sort(key=lambda word: -means.get(word, 0.0))
    return Guidance(
        _mean([answer.content for answer in answers]),
        _mean([answer.degradation for answer in answers]),
        tuple(word for word in often if word != CLEAN),
        shares,
        told=answers[0].told,
        kept=answers[0].kept,
        white=2 * sum(answer.white for answer in answers) >= len(answers),
    )


def _mean(embeddings: Sequence[Tensor | None]) -> Tensor | None:
    present = [e for e in embeddings if e is not None]
    return torch.stack(present).mean(dim=0) if len(present) == len(embeddings) else None


def _network(restorer: Restorer, batch: Tensor, guidance: Guidance, **options: object) -> Tensor:
    guidance = restorer.completed(batch, restorer.asked(guidance))
    condition = restorer.condition(batch, guidance)
    return restorer.restored(batch, condition, **options)  # pyright: ignore[reportArgumentType]


def _tensor(frame: Frame) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frame.pixels.transpose(2, 0, 1)))


def _batch(frame: Frame) -> Tensor:
    return _tensor(frame)[None]
