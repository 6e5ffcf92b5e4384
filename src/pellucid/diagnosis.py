"""Find the degradations of pictures: by the controller's embeddings, corrected by measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pellucid.degradations import CLEAN, OVERLAY
from pellucid.imaging.evidence import Evidence
from pellucid.instruction import Understood
from pellucid.networks.contract import Guidance
from pellucid.support import CERTAIN, MEASURABLE, camera_noise, grain, raised, reweigh, supports
from pellucid.vision_language.classify import classify
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.preprocess import embed

DETECTED = 0.3  # least probability of a degradation that is named
# The same, once it is corrected by measurement, of those that do the most harm where they are
# wrongly named: to undo them changes the light of the whole picture, or amplifies its noise.
SURE = {"hazy": 0.66, "low-light": 0.7, "shadowed": 0.7, "motion-blurry": 0.45}
# Where nothing of `OVERLAY` is found, but all of it together has this probability, the most
# probable word of all is named if it is one of these.
TOGETHER = 0.55
# Above this sigma of the highest frequencies, in levels of 255, blur is not named: it leaves none,
# and to undo it would amplify them.
SHARP = 0.7
# The soft grain of a camera's noise is named blur, if anything.
NOISE_LOOKS_LIKE = frozenset({"motion-blurry"})


def diagnose(
    batch: Tensor,
    evidence: Sequence[Evidence | None],
    controller: DaCLIP | None,
    text_features: Tensor | None,
    known: Sequence[str],
    words: Sequence[str] = (),
    asked: Understood | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[Guidance]:
    """Find the degradations of each picture.

    Args:
        batch: pictures `(B, 3, H, W)` in [0, 1].
        evidence: what was measured in each picture, or None.
        controller: makes the embeddings; without it each guidance is empty.
        text_features: embeddings `(n, D)` of `known`; without them there are no probabilities.
        known: names of the degradations.
        words: the degradations, if a person named them.
        asked: an instruction, in place of `words`.
        dtype: precision of the controller, see `embed`.
    """
    if controller is None:
        return [Guidance()] * len(batch)
    content, degradation = embed(controller, batch, dtype)
    pairs = zip(content[:, None], degradation[:, None], strict=True)
    if text_features is None:
        return [Guidance(c, d) for c, d in pairs]
    features = text_features.to(degradation.device)
    # The learned temperature: DA-CLIP's README has 100, which CLIP learned, too. With ours the
    # probabilities are calibrated.
    shares = classify(degradation, features, float(controller.logit_scale.exp())).tolist()
    rows = (dict(sorted(zip(known, row, strict=True), key=lambda pair: -pair[1])) for row in shares)
    vectors = dict(zip(known, features, strict=True))
    return [
        _named(c, d, row, vectors, words, seen, asked)
        for (c, d), row, seen in zip(pairs, rows, evidence, strict=True)
    ]


def _named(
    content: Tensor,
    degradation: Tensor,
    shares: dict[str, float],
    vectors: Mapping[str, Tensor],
    words: Sequence[str],
    evidence: Evidence | None,
    asked: Understood | None,
) -> Guidance:
    """The diagnosis of one picture by the probabilities of all words, most probable first."""
    wanted, kept = ((), ()) if asked is None else (asked.wanted, asked.kept)
    if asked is not None and not asked.diagnosed:
        words = wanted
    ranked = shares if evidence is None else reweigh(shares, evidence)
    before, told = _found(shares), bool(words)
    likely = _found(ranked) if evidence is None else _found(ranked, _least(evidence, ranked))
    found = tuple(word for word in likely if word in before or _measured(word, evidence))
    if told:
        found = tuple(word for word in words if word != CLEAN)
    elif evidence is not None and set(found) <= NOISE_LOOKS_LIKE and camera_noise(evidence):
        words = found = ("noisy",)
        ranked = raised(ranked, found)
    elif evidence is not None and (found := found or _overlay(ranked)):
        words = found  # what is not found is nothing that the network should see
    elif not found and set(before) & MEASURABLE:
        words = (CLEAN,)  # the embedding contradicts the measurement
    if (set(found) & set(kept)) or not set(wanted) <= set(found):
        left = dict.fromkeys(word for word in (*wanted, *found) if word not in kept)
        found = tuple(left)
        words = found or (CLEAN,)
    if words:
        degradation = told_by(words, vectors, degradation)
    white = evidence is not None and evidence.noise.white
    told = told or bool(wanted)
    return Guidance(content, degradation, found, ranked, told=told, kept=kept, white=white)


def told_by(words: Sequence[str], vectors: Mapping[str, Tensor], degradation: Tensor) -> Tensor:
    """The embedding `(1, D)` that words stand for, as long as `degradation`.

    It is the mean of their text embeddings `vectors`: the controller is trained to give the same
    directions. Unknown words leave `degradation` as it is.
    """
    if not set(words) <= set(vectors):
        return degradation
    mean = normalize(torch.stack([vectors[word] for word in words]), dim=-1).mean(0, keepdim=True)
    return mean.to(degradation) * degradation.norm() / mean.norm()


def _found(
    shares: Mapping[str, float], least: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """The degradations that are probable enough to be named: by `DETECTED`, or by `least`."""
    least = least or {}
    return tuple(
        word
        for word, share in shares.items()
        if share >= least.get(word, DETECTED) and word != CLEAN
    )


def _overlay(shares: Mapping[str, float]) -> tuple[str, ...]:
    """The word of `OVERLAY` that is named because all of it together is probable."""
    first = next(iter(shares), "")
    together = sum(shares.get(word, 0.0) for word in OVERLAY)
    return (first,) if first in OVERLAY and together >= TOGETHER else ()


def _least(evidence: Evidence, known: Iterable[str]) -> dict[str, float]:
    """`SURE`, but 0 for what is measured; blur is out of reach where fine grain is left."""
    least = {**SURE, **{word: 0.0 for word in known if _certain(word, evidence)}}
    return least if evidence.noise.fine <= SHARP else {**least, "motion-blurry": math.inf}


def _measured(word: str, evidence: Evidence | None) -> bool:
    """Whether a word may be named that became probable enough only by measurement."""
    noise = evidence is not None and word == "noisy" and grain(evidence)
    return noise or _certain(word, evidence)


def _certain(word: str, evidence: Evidence | None) -> bool:
    """Whether a word is measured for certain, whatever its probability."""
    return evidence is not None and (supports(evidence, word) or 0.0) >= CERTAIN
