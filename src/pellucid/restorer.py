"""Restore pictures: diagnose the whole, restore it tile by tile, return the type that was given.

    restorer = load("lite")
    restorer.restore("photo.jpg")    # a Photo; arrays, tensors and PIL images come back as such
    restorer.run("photo.jpg")        # a Restoration: the picture, and what was found

Guidance is computed once, on the whole image. A diffusion model samples on the whole canvas and
only its network calls are tiled, so there is one noise for the picture and nothing to disagree at
the seams.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.completion import Holes, holes_of, mended, shadows_of, without, words_of
from pellucid.degradations import CLEAN
from pellucid.diagnosis import diagnose, told_by
from pellucid.diffusion.presets import PRESETS
from pellucid.engine import Engine, Progress, share_of
from pellucid.errors import UsageError
from pellucid.imaging.convert import Picture, like_given, opened, pixels_of
from pellucid.imaging.evidence import Evidence, measure
from pellucid.imaging.masks import Mask, feathered, masks_of, region_of
from pellucid.imaging.neutral import keep_neutral
from pellucid.imaging.photo import Photo
from pellucid.imaging.reader import MAX_PIXELS
from pellucid.instruction import Understood, understand
from pellucid.keeping import held
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.restoration import Restoration
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.prompts import LEVELS, QualityPerceiver
from pellucid.vision_language.tokenizer import Tokenizer


class Restorer(Engine):
    """A restoration network, the towers that guide it, and the machine they run on.

    Args:
        network: a network of `pellucid.networks`, deterministic or (with `predicts`) diffusion.
        controller: the DA-CLIP tower that guides it; None for a network without guidance.
        text_features: embeddings `(n, D)` of `words` by the controller's text tower; without
            them a diagnosis has no probabilities.
        words: the names of the degradations, one a row of `text_features`.
        perceiver: measures how good pictures are (`vision_language.prompts`); may be None.
        tokenizer: makes the one of the controller's text tower, which reads `pellucid.phrases`.
        learned: the degradations that the network learned; empty = all. Others do not guide it.
        guard: correct the diagnosis by what can be measured (`imaging.evidence`), and soften or
            refuse a restoration that the measurement does not explain (`pellucid.guard`).
        others: those of `Engine`.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        controller: DaCLIP | None = None,
        text_features: Tensor | None = None,
        words: Sequence[str] = (),
        *,
        perceiver: QualityPerceiver | None = None,
        tokenizer: Callable[[], Tokenizer] | None = None,
        learned: Sequence[str] = (),
        guard: bool = False,
        **others: Any,
    ):
        if text_features is not None and len(text_features) != len(words):
            raise UsageError(f"{len(text_features)} text features for {len(words)} words")
        super().__init__(network, **others)
        self.controller = controller
        self.perceiver, self.tokenizer = perceiver, tokenizer
        self.guard, self.learned = guard, tuple(learned)
        for tower in (controller, perceiver):
            if tower is not None:
                tower.eval().requires_grad_(False).to(self.device)
        self.text_features, self.words = text_features, tuple(words)

    @property
    def maps_damage(self) -> bool:
        """Whether `damage` is possible."""
        return self.network.maps_damage

    def route(self, guidance: Guidance) -> Restorer:
        """The restorer for a picture with this diagnosis: this one. A `Router` has several."""
        return self

    def _modules(self) -> tuple[torch.nn.Module | None, ...]:
        return self.network, self.controller, self.semantics

    @torch.no_grad()
    def diagnose(
        self,
        image: Picture,
        max_pixels: int = MAX_PIXELS,
        words: Sequence[str] = (),
        ask: str | Understood | None = None,
    ) -> Any:
        """Find the degradations of a picture: a `Guidance`, or a list of them for a tensor batch.

        Args:
            image: see `run`, which raises the same.
            max_pixels: see `run`.
            words: the degradations, if you know them: the answer has these.
            ask: an instruction; the answer has the degradations that it wants removed.
        """
        asked = self._asked(ask, bool(words))
        self.check(words=words)
        batch, photo = opened(image, max_pixels)
        answers = self._diagnose(batch, words, self._measured(batch, photo), asked)
        return answers if _is_batch(image) else answers[0]

    @torch.no_grad()
    def quality(self, image: Picture, max_pixels: int = MAX_PIXELS) -> dict[str, float] | None:
        """How good one picture is: probabilities of "terrible", "mediocre" and "excellent".

        None without a perceiver. Accepts what `restore` accepts and raises what it raises.
        """
        return self._quality(_one(image, max_pixels, "quality"))

    def restore(self, image: Picture, **options: Any) -> Any:
        """Restore a picture and return it as the type it was given.

        Args:
            image: see `run`. A tensor batch comes back as one tensor.
            options: those of `run`, which raises the same.
        """
        found = self.run(image, **options)
        if isinstance(found, list):
            return torch.stack([restoration.picture for restoration in found])
        return found.picture

    @torch.no_grad()
    def run(
        self,
        image: Picture,
        *,
        steps: int | None = None,
        preset: str | None = None,
        strength: float = 1.0,
        seed: int = 0,
        tile: int | None = None,
        guidance: Guidance | Sequence[Guidance] | None = None,
        words: Sequence[str] = (),
        ask: str | Understood | None = None,
        mask: Mask | None = None,
        region: Sequence[int] | None = None,
        missing: Mask | None = None,
        damage: bool = False,
        quality: bool = False,
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
    ) -> Any:
        """Restore a picture: a `Restoration`, or a list of them for a tensor batch.

        Args:
            image: a path or a file's bytes (the answer is a `Photo`), a `Photo`, a PIL image
                (its EXIF orientation is applied), a numpy array `(H, W)`, `(H, W, 1..4)`
                (uint8, uint16, or float in [0, 1]), or a float tensor in [0, 1], `(3, H, W)` or
                a batch `(B, 3, H, W)`. Tensors stay on their device; a batch is restored by
                common network calls, each picture with its own guidance and noise. Alpha comes back
                as it was; a grey picture comes back grey.
            steps: network calls of a diffusion model, 1 to its number of training steps, instead
                of the preset's.
            preset: "paper" (100 calls), "balanced" (20, the default) or "fast" (5).
            strength: 1 is the restoration, 0 the input, between them `input + strength *
                (restoration - input)`.
            seed: of a diffusion model's noise; the same seed gives the same picture, on any device
                up to rounding.
            tile: longest side of a tile in pixels; None chooses: whole pictures up to the
                network's own size, tiles of that size above it. 0 never tiles, and neither
                do networks that need whole pictures.
            guidance: an earlier answer of `diagnose`, to save or to change it; of a batch
                its list.
            words: the degradations, if you know them better: names in `Restorer.words`, which
                guide in place of what the controller finds.
            ask: an instruction, such as "take the rain away but keep it dark", instead of words;
                `instruction` tells what it does.
            mask: restore only where it is white, and fade within 16 px around it; see
                `imaging.masks.masks_of` for what it may be. The diagnosis is of the whole.
            region: the same with a rectangle `(x, y, width, height)` in pixels.
            missing: white where the picture has holes; they are filled from their surroundings
                first. Without other damage all other pixels come back exactly.
            damage: also map the damage, if the model can.
            quality: also measure the quality before and after, if there is a perceiver.
            max_pixels: largest picture that is read.
            progress: is called with the share that is done, in [0, 1].

        Raises:
            ImageError: a file cannot be read, or a mask or a region does not fit the picture.
            UsageError: an argument, or an instruction, makes no sense for this model.
            PellucidError: too little memory, or the network gives no finite answer.
        """
        asked = self._asked(ask, bool(words) or guidance is not None)
        self.check(steps, preset, strength, tile, words, seed)
        damage = damage and self.maps_damage
        given, photo = opened(image, max_pixels)
        size = len(given), *given.shape[2:]
        if mask is not None and region is not None:
            raise UsageError("give a mask or a region, not both")
        where = masks_of(mask, "mask", size, max_pixels)
        where = region_of(region, size) if where is None else where
        absent = masks_of(missing, "missing", size, max_pixels)
        evidence = self._measured(given, photo)
        answers = _given(guidance, len(given)) or self._diagnose(given, words, evidence, asked)
        seen, holes = answers, holes_of(absent, answers, evidence)
        kept = asked is not None and "low-light" in asked.kept  # the light is to stay
        shadows = shadows_of(answers, [None] * len(given) if kept else evidence)
        gone = list(map(words_of, holes, shadows))
        began = time.perf_counter()
        batch = mended(given, holes, shadows)
        if batch is not given:
            evidence = self._measured(batch, photo, holes)
            again = None if guidance else self._diagnose(batch, words, evidence, asked)
            answers = [
                self.left((again or answers)[i], found, again is not None) if found else answers[i]
                for i, found in enumerate(gone)
            ]
        options: dict[str, Any] = {"steps": steps, "preset": preset, "seed": seed, "tile": tile}
        groups: dict[Restorer, list[int]] = {}
        restored: list[Any] = [None] * len(batch)
        for i, answer in enumerate(answers):
            if answer.words or not self.words or (not gone[i] and asked is None):
                groups.setdefault(self.route(answer), []).append(i)
            elif not gone[i]:
                restored[i] = Restoration.untouched(batch[i], answer)
            else:  # nothing else is wrong: no network is asked
                seconds = (time.perf_counter() - began) / len(batch)
                shown = np.zeros(size[1:], np.float32) if damage else None
                how = "fill" if shadows[i] is None else "relight"
                restored[i] = Restoration(batch[i], answer, how, seconds, shown)
        done = sum(result is not None for result in restored)
        if progress is not None and not groups:
            progress(1.0)
        for chosen, members in groups.items():
            most = max(1, chosen.side**2 // (batch.shape[-2] * batch.shape[-1]))
            for first in range(0, len(members), most):
                part = members[first : first + most]
                told = None
                if progress is not None:
                    told = share_of(progress, done / len(batch), len(part) / len(batch))
                found = chosen._run(batch[part], [answers[i] for i in part], damage, told, options)
                for i, restoration in zip(part, found, strict=True):
                    unguided = chosen.unguided(answers[i])
                    restoration = restoration.judged(batch[i], answers[i], evidence[i], unguided)
                    restored[i] = restoration.with_unlearned(chosen.guiding(answers[i]))
                    if evidence[i] is not None and not gone[i] and asked is None:
                        restored[i] = self.second_look(restored[i], options)
                done += len(part)
        for i, result in enumerate(restored):
            picture = result.picture
            result = result.with_mended(holes[i], shadows[i], seen[i])
            if strength < 1:
                picture = given[i] + strength * (picture - given[i])
            if where is not None:
                picture = given[i] + feathered(where[i]).to(picture) * (picture - given[i])
            restored[i] = replace(result, picture=keep_neutral(given[i], picture), asked=asked)
        for i, result in enumerate(restored if quality else ()):
            before, after = self._quality(given[i : i + 1]), self._quality(result.picture[None])
            if before and after:
                restored[i] = replace(result, quality=(before, after))
        if photo is not None:
            pixels = restored[0].picture.permute(1, 2, 0).contiguous().numpy()
            return replace(restored[0], picture=like_given(image, photo.with_pixels(pixels)))
        assert isinstance(image, Tensor)
        restored = [replace(r, picture=r.picture.to(image.dtype)) for r in restored]
        return restored if _is_batch(image) else restored[0]

    @torch.no_grad()
    def damage(
        self,
        image: Picture,
        *,
        tile: int | None = None,
        guidance: Guidance | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> np.ndarray:
        """Where one picture is damaged: float32 `(H, W)` in [0, 1], 1 = surely.

        The arguments are those of `run`, which raises the same.

        Raises:
            UsageError: the network has no such map (`maps_damage`).
        """
        picture = _one(image, max_pixels, "map of the damage")
        guidance = guidance or self._diagnose(picture, (), self._measured(picture, None))[0]
        chosen = self.route(guidance)
        if not (self.maps_damage and chosen.network.maps_damage):
            raise UsageError(
                f"the model {chosen.name} has no map of the damage; networks with a SAR encoder do"
            )
        condition = chosen.condition(picture, chosen.completed(picture, guidance))
        return chosen.mapped(picture, condition, tile)[0].cpu().numpy()

    def check(
        self,
        steps: int | None = None,
        preset: str | None = None,
        strength: float = 1.0,
        tile: int | None = None,
        words: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        """`UsageError` if `run` would refuse these arguments."""
        if isinstance(words, str):
            raise UsageError(f"words must be a list such as [{words!r}], not a text")
        for word in words:
            if word not in self.words:
                known = ", ".join(self.words) or "none"
                raise UsageError(
                    f"the model {self.name} does not know {word!r}; known: {known}; words of your "
                    "own are for --ask and `pellucid diagnose --words`"
                )
        if not 0 <= strength <= 1:
            raise UsageError(f"strength {strength} is not in [0, 1]")
        if tile is not None and tile < 0:
            raise UsageError(f"tile {tile} is negative; 0 means no tiles")
        if not self.is_diffusion and (steps is not None or preset is not None):
            raise UsageError(
                f"the model {self.name} restores in one pass: steps and presets are for diffusion "
                "models such as lite-sde"
            )
        if preset is not None and preset not in PRESETS:
            raise UsageError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
        if steps is not None and not 1 <= steps <= self.sde.steps:
            raise UsageError(f"steps {steps} is not in 1..{self.sde.steps}")
        if not 0 <= seed < 2**63:
            raise UsageError(f"seed {seed} is not in 0..2**63 - 1")

    def _measured(
        self, batch: Tensor, photo: Photo | None, holes: Holes = ()
    ) -> list[Evidence | None]:
        """What can be measured in each picture; None without a guard. `holes` were filled."""
        if not self.guard:
            return [None] * len(batch)
        tables = None if photo is None else photo.quantisation
        pairs = zip(batch, holes or [None] * len(batch), strict=True)
        return [measure(pixels_of(picture), tables, hole) for picture, hole in pairs]

    def _diagnose(
        self,
        batch: Tensor,
        words: Sequence[str],
        evidence: Sequence[Evidence | None],
        asked: Understood | None = None,
    ) -> list[Guidance]:
        known = self.controller, self.text_features, self.words
        return diagnose(batch, evidence, *known, words, asked, self.dtype)

    def left(self, answer: Guidance, gone: Sequence[str], found: bool) -> Guidance:
        """What is left to restore where some damage is mended; see `completion.without`."""
        left = without(answer, gone, found)
        same = left.words == answer.words or not self.guard
        if same or left.degradation is None or self.text_features is None:
            return left
        vectors = dict(zip(self.words, self.text_features, strict=True))
        return replace(left, degradation=told_by(left.words or (CLEAN,), vectors, left.degradation))

    def _asked(self, ask: str | Understood | None, others: bool) -> Understood | None:
        if ask is not None and others:
            raise UsageError("an instruction replaces words and guidance: give only one of them")
        asked = understand(ask) if isinstance(ask, str) else ask
        self.check(words=[*asked.wanted, *asked.kept] if asked else ())
        return asked

    def guiding(self, answer: Guidance) -> tuple[str, ...]:
        """Of the words that were found those that the network learned."""
        return tuple(word for word in answer.words if word in (self.learned or answer.words))

    def unguided(self, answer: Guidance) -> bool:
        """Whether nothing guides the network: no word for it was found, and it can do without."""
        told_clean = answer.told and not answer.words
        return self.network.unguided and not (self.guiding(answer) or told_clean)

    def asked(self, answer: Guidance) -> Guidance:
        """What guides the network."""
        degradation = answer.degradation
        if degradation is None:
            return answer
        if self.unguided(answer):
            return replace(answer, degradation=torch.zeros_like(degradation))
        guiding = self.guiding(answer)
        if guiding == answer.words or self.text_features is None:
            return answer
        vectors = dict(zip(self.words, self.text_features, strict=True))
        return replace(answer, degradation=told_by(guiding or (CLEAN,), vectors, degradation))

    def _run(
        self,
        batch: Tensor,
        answers: list[Guidance],
        damage: bool,
        progress: Progress | None,
        options: dict[str, Any],
    ) -> list[Restoration]:
        """Restore diagnosed pictures by common network calls."""
        began = time.perf_counter()
        guidance = self.completed(batch, Guidance.joined([self.asked(a) for a in answers]))
        condition = self.condition(batch, guidance)
        result = self.restored(batch, condition, **options, progress=progress)
        result = held(batch, result, answers)
        maps: list[Any] = [None] * len(batch)
        if damage and self.network.maps_damage:
            maps = list(self.mapped(batch, condition, options["tile"]).cpu().numpy())
        seconds = (time.perf_counter() - began) / len(batch)
        return [
            Restoration(picture, guidance.of(i, answer), self.name, seconds, where)
            for i, (picture, answer, where) in enumerate(zip(result, answers, maps, strict=True))
        ]

    def second_look(self, first: Restoration, options: dict[str, Any]) -> Restoration:
        """Restore what the first restoration uncovered; here nothing, see `Router`."""
        return first

    def _quality(self, picture: Tensor) -> dict[str, float] | None:
        if self.perceiver is None:
            return None
        shares = self.perceiver.score(picture.to(self.device)).probabilities[0]
        return dict(zip(LEVELS, shares.tolist(), strict=True))


def _is_batch(image: Picture) -> bool:
    return isinstance(image, Tensor) and image.ndim == 4


def _one(image: Picture, max_pixels: int, what: str) -> Tensor:
    batch, _ = opened(image, max_pixels)
    if len(batch) > 1:
        raise UsageError(f"a batch has no {what}; ask for its pictures one by one")
    return batch


def _given(guidance: Guidance | Sequence[Guidance] | None, count: int) -> list[Guidance]:
    """A guidance for each picture; empty if none is given."""
    if guidance is None:
        return []
    answers = [guidance] if isinstance(guidance, Guidance) else list(guidance)
    if len(answers) != count:
        raise UsageError(
            f"{len(answers)} guidances for a batch of {count}; give the list that diagnose returned"
        )
    return answers
