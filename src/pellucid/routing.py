"""The choice of a model by the degradations of the picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from pellucid.degradations import OVERLAY
from pellucid.diagnosis import DETECTED
from pellucid.imaging.evidence import Evidence
from pellucid.networks.contract import Guidance
from pellucid.networks.wiener import WienerUNet
from pellucid.restoration import Restoration
from pellucid.restorer import Restorer
from pellucid.support import raised

# What noise hides from the controller, if it is found with this probability or more. Not low light,
# as a picture without its noise may look dark, and not blur, as it may look soft.
HIDDEN = {**dict.fromkeys(OVERLAY, DETECTED), "hazy": 0.7}
# One restoration takes a part of dense haze. With this probability of haze afterwards, another one
# brings more than it costs.
HAZE_LEFT = 0.3
# What looks noisy is blurred if blur has this probability, the noise is white (correlation of
# neighbours: a camera's grain is soft, and looks like blur) and faint (sigma in levels of 255), or
# the highest frequencies hold hardly anything (the same), and the kernel that is estimated is this
# wide (standard deviation in px).
BLUR = "motion-blurry"
NOISE_ALONE = ("noisy",)  # what the specialist for white noise covers
POSSIBLE = 0.25
WHITE = 0.5
FAINT = 4.0
SMOOTH = 0.5
WIDE = 4.0
# The controller hardly sees drops out of focus; the network that takes them away does. Where
# nothing was found, and drops have this probability, it is tried on the picture, reduced to a
# longest side of so many px. Drops are named if it changes one place in a hundred, 9 x 9 px each,
# by so many levels of 255 or more.
DROPS = "raindrop"
CONCEIVABLE = 0.08
TRIAL = 512
CHANGED = 25.0


class Specialists(Mapping[tuple[str, ...], Restorer]):
    """Restorers by what they cover, each loaded when it is first asked for.

    Args:
        loaders: make the restorers.
    """

    def __init__(self, loaders: Mapping[tuple[str, ...], Callable[[], Restorer]]):
        self._loaders = dict(loaders)
        self._loaded: dict[tuple[str, ...], Restorer] = {}

    def __getitem__(self, words: tuple[str, ...]) -> Restorer:
        if words not in self._loaded:
            # Two threads may both load one; both get the first.
            self._loaded.setdefault(words, self._loaders[words]())
        return self._loaded[words]

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


class Router(Restorer):
    """A restorer that hands pictures with certain degradations to specialists.

    It maps the damage only if its own network does: a map of some damages alone misleads.

    Args:
        specialists: restorers by the degradations that each is the better one for; the first that
            covers all that were found restores the picture, that of noise alone where the noise is
            white (`Guidance.white`). This restorer takes the others.
        default: name of the model that this restorer's own network is; `name` if not given.
        parts: those of `Restorer`.
    """

    def __init__(
        self,
        *parts: Any,
        specialists: Mapping[tuple[str, ...], Restorer],
        default: str | None = None,
        **options: Any,
    ):
        super().__init__(*parts, **options)
        self.default = default or self.name
        self.specialists = specialists

    def route(self, guidance: Guidance) -> Restorer:
        """The restorer, this one or a specialist, for a picture with this diagnosis."""
        for words in self.specialists:
            covered = guidance.words and set(guidance.words) <= set(words)
            if covered and (words != NOISE_ALONE or guidance.white):
                return self.specialists[words]
        return self

    def _diagnose(
        self,
        batch: Tensor,
        words: Sequence[str],
        evidence: Sequence[Evidence | None],
        asked: Any = None,
    ) -> list[Guidance]:
        answers = super()._diagnose(batch, words, evidence, asked)
        if words or asked is not None:
            return answers
        rows = zip(batch.split(1), answers, evidence, strict=True)
        return [self._drops(row[0], self._blur_under_noise(*row), row[2]) for row in rows]

    def _blur_under_noise(
        self, image: Tensor, answer: Guidance, evidence: Evidence | None
    ) -> Guidance:
        """Name blur, in place of noise, where its kernel is found (ours)."""
        shares = answer.probabilities or {}
        if answer.words != ("noisy",) or evidence is None or shares.get(BLUR, 0) < POSSIBLE:
            return answer
        noise = evidence.noise
        if noise.fine > (FAINT if noise.lag <= WHITE else SMOOTH):
            return answer
        chosen = self.route(Guidance(words=(BLUR,)))
        if not isinstance(chosen.network, WienerUNet):
            return answer
        if float(chosen.condition(image, answer).extent) < WIDE:
            return answer
        return replace(answer, words=(BLUR,), probabilities=raised(shares, (BLUR,)))

    def _drops(self, image: Tensor, answer: Guidance, evidence: Evidence | None) -> Guidance:
        """Name drops, where nothing was found, if the network for drops changes much (ours)."""
        shares = answer.probabilities or {}
        if answer.words or evidence is None or shares.get(DROPS, 0) < CONCEIVABLE:
            return answer
        chosen = self.route(Guidance(words=(DROPS,)))
        if chosen is self:
            return answer
        scale = min(1.0, TRIAL / max(image.shape[-2:]))
        size = [max(1, round(scale * length)) for length in image.shape[-2:]]
        small = interpolate(image, size, mode="bilinear", antialias=True) if scale < 1 else image
        told = chosen._diagnose(small, (DROPS,), [None])[0]
        tried = chosen._run(small, [told], False, None, {})[0].picture
        change = avg_pool2d(
            (tried - small).mean(dim=1)[None].abs(), 9, 1, 4, count_include_pad=False
        )
        if float(change.flatten().quantile(0.99)) * 255 < CHANGED:
            return answer
        shares = raised(shares, (DROPS,))
        return replace(answer, words=(DROPS,), degradation=told.degradation, probabilities=shares)

    def second_look(self, first: Restoration, options: dict[str, Any]) -> Restoration:
        """Restore what noise hid, and haze that is left, if the result is named so (ours).

        `words` of the result are those of both diagnoses, `model` names the models, and the
        probabilities are of the first.
        """
        seen = first.guidance
        haze = seen.words == ("hazy",)
        if not (haze or "noisy" in seen.words) or seen.told or first.decision == "refused":
            return first
        image = first.picture[None]
        evidence = self._measured(image, None)
        answer = super()._diagnose(image, (), evidence)[0]
        shares = answer.probabilities or {}
        sure = {word for word, least in HIDDEN.items() if shares.get(word, 0) >= least}
        if haze and shares.get("hazy", 0) >= HAZE_LEFT:
            answer = seen
        elif haze or not answer.words or not {*answer.words} <= sure - {*seen.words}:
            return first
        chosen = self.route(answer)
        found = chosen._run(image, [answer], False, None, options)[0]
        found = found.judged(image[0], answer, evidence[0], unguided=False)
        if found.decision == "refused":
            return first
        return replace(
            first,
            picture=found.picture,
            guidance=replace(seen, words=tuple(dict.fromkeys((*seen.words, *answer.words)))),
            model=", ".join(dict.fromkeys((first.model, found.model))),
            seconds=first.seconds + found.seconds,
            decision=found.decision,
            reason=f"{first.reason} After that: {found.reason}",
        )

    def _run(self, *arguments: Any) -> list[Restoration]:
        return [replace(found, model=self.default) for found in super()._run(*arguments)]

    def fingerprint(self) -> str:
        """Hexadecimal sha256 of all weights, those of the specialists included."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for specialist in self.specialists.values():
            digest.update(specialist.fingerprint().encode())
        return digest.hexdigest()
