"""The way of an image: diagnose the whole, restore it tile by tile, hand back what was given.

    restorer = load("lite")
    restorer.restore("photo.jpg")    # a Photo; arrays, tensors and PIL images come back as such

Guidance is computed once, on the whole image. A diffusion model samples on the whole canvas and
only its network calls are tiled, so there is one noise for the picture and nothing to disagree at
the seams.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from pellucid import zoo
from pellucid.degradations import CLEAN
from pellucid.diffusion.denoiser import Denoiser
from pellucid.diffusion.presets import PRESETS
from pellucid.diffusion.sde import MeanRevertingSDE
from pellucid.errors import PellucidError, UsageError
from pellucid.hardware import resolve_device, resolve_dtype
from pellucid.imaging.convert import from_array, like_given
from pellucid.imaging.io import MAX_PIXELS, Photo, from_pil, read
from pellucid.imaging.tiling import Tiler
from pellucid.networks.layers import context_for
from pellucid.vision_language.classify import classify
from pellucid.vision_language.preprocess import embed
from pellucid.vision_language.prompts import WORDS as QUALITY

if TYPE_CHECKING:
    from pellucid.vision_language.controller import DaCLIP
    from pellucid.vision_language.dinov2 import DINOv2
    from pellucid.vision_language.prompts import QualityPerceiver
    from pellucid.vision_language.resnet import CLIPResNet
    from pellucid.vision_language.semantics import TowerSemantics

Picture = str | Path | bytes | Photo | Image.Image | np.ndarray | Tensor
Progress = Callable[[float], None]

AUTO = "auto"  # the name that leaves the choice of the model to what is wrong with the picture
DEFAULT_PRESET = "balanced"
DETECTED = 0.3  # a degradation is named if it is at least this probable
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the controller sees in one picture.

    ``content`` and ``degradation`` are embeddings ``(1, D)``, not normalised (None without a
    controller). ``probabilities`` has every word, most probable first; they sum to 1.
    ``words`` are the degradations that were found or told, empty for a clean picture.
    """

    content: Tensor | None = None
    degradation: Tensor | None = None
    probabilities: dict[str, float] | None = None
    words: tuple[str, ...] = ()


class Restorer:
    """A restoration network, the controller that guides it, and the machine they run on.

    Args:
        network: a network of ``pellucid.networks``, deterministic or (with ``predicts``) diffusion.
        controller: the DA-CLIP tower that guides it; None for a network without guidance.
        text_features: embeddings ``(n, D)`` of ``words`` by the controller's text tower; without
            them a diagnosis has no probabilities.
        words: the names of the degradations, one a row of ``text_features``.
        semantics: with ``encode``, picture to vectors (``DINOv2``, ``TowerSemantics``,
            ``CLIPResNet``), for a network that is guided by the picture itself (``PerceiveIR``,
            ``networks.guided``, ``WeatherUNet``).
        perceiver: tells how good pictures are (``vision_language.prompts``); None: nobody does.
        specialists: restorers for pictures with nothing but certain words of damage, by these
            words; the first that covers what was found restores the picture.
        predicts: "epsilon" or "x0" for a diffusion network, None for a deterministic one.
        sde: of a diffusion network; the official one if not given.
        name: what reports call the model.
        device: "auto" (CUDA, else Apple's, else CPU) or a name PyTorch knows.
        dtype: "auto" (bfloat16 where the hardware computes in it, else float32), "bfloat16",
            "float16" or "float32". Weights stay float32; lower precision is autocast, and a tile
            that comes out infinite or undefined is computed again in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        controller: DaCLIP | None = None,
        text_features: Tensor | None = None,
        words: Sequence[str] = (),
        *,
        semantics: DINOv2 | TowerSemantics | CLIPResNet | None = None,
        perceiver: QualityPerceiver | None = None,
        specialists: Mapping[Sequence[str], Restorer] = MappingProxyType({}),
        predicts: str | None = None,
        sde: MeanRevertingSDE | None = None,
        name: str = "custom",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
    ):
        if text_features is not None and len(text_features) != len(words):
            raise UsageError(f"{len(text_features)} text features for {len(words)} words")
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        self.network = network.eval().requires_grad_(False)
        self.network.to(self.device, memory_format=torch.channels_last)
        self.controller = controller
        if controller is not None:
            controller.eval().requires_grad_(False).to(self.device)
        self.semantics = semantics if semantics is None else semantics.to(self.device)
        self.perceiver = perceiver
        if perceiver is not None:
            perceiver.eval().requires_grad_(False).to(self.device)
        self.specialists = dict(specialists)
        self.text_features, self.words = text_features, tuple(words)
        self.predicts = predicts
        self.sde = sde or MeanRevertingSDE()
        self.name = name

    @property
    def is_diffusion(self) -> bool:
        """Whether ``steps``, ``preset`` and ``seed`` mean anything."""
        return self.predicts is not None

    def route(self, guidance: Guidance) -> Restorer:
        """The restorer, this one or a specialist, that a picture so diagnosed is restored by."""
        for words, specialist in self.specialists.items():
            if guidance.words and set(guidance.words) <= set(words):
                return specialist
        return self

    def fingerprint(self) -> str:
        """Hexadecimal sha256 of all weights by name, the same whatever file they came from."""
        digest = hashlib.sha256()
        for specialist in self.specialists.values():
            digest.update(specialist.fingerprint().encode())
        for module in (self.network, self.controller, self.semantics):
            for name, tensor in sorted(module.state_dict().items()) if module else ():
                digest.update(name.encode())
                digest.update(tensor.contiguous().cpu().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def diagnose(
        self, image: Picture, max_pixels: int = MAX_PIXELS, words: Sequence[str] = ()
    ) -> Guidance | list[Guidance]:
        """What is wrong with a picture (a list of answers for a tensor batch).

        Accepts what :meth:`restore` accepts and raises what it raises.
        """
        self.check(words=words)
        photos = self._photos(image, max_pixels)
        answers = [self._diagnose(_tensor(photo), words) for photo in photos]
        return answers if isinstance(image, Tensor) and image.ndim == 4 else answers[0]

    @torch.inference_mode()
    def quality(self, image: Picture, max_pixels: int = MAX_PIXELS) -> dict[str, float] | None:
        """How good one picture is: probabilities of "terrible", "mediocre" and "excellent".

        None without a perceiver. Accepts what :meth:`restore` accepts and raises what it raises.
        """
        if self.perceiver is None:
            return None
        photos = self._photos(image, max_pixels)
        if len(photos) > 1:
            raise UsageError("a batch has no quality; ask for its pictures one by one")
        shares = self.perceiver.score(_tensor(photos[0]).to(self.device)).probabilities[0]
        return dict(zip(QUALITY, shares.tolist(), strict=True))

    def restore(
        self,
        image: Picture,
        *,
        steps: int | None = None,
        preset: str | None = None,
        strength: float = 1.0,
        seed: int = 0,
        tile: int | None = None,
        guidance: Guidance | None = None,
        words: Sequence[str] = (),
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
    ) -> Any:
        """Restore a picture and return it as the type it was given.

        Args:
            image: a path or a file's bytes (the answer is a ``Photo``), a ``Photo``, a PIL image
                (its EXIF orientation is applied), a numpy array ``(H, W)``, ``(H, W, 1..4)``
                (uint8, uint16, or float in [0, 1]), or a tensor batch ``(B, 3, H, W)`` or one
                picture ``(3, H, W)``, float in [0, 1]; pictures of a batch are restored one by one,
                each with its own guidance, so a batch gives what its pictures give alone. Alpha
                comes back as it was; a grey picture comes back grey.
            steps: network calls of a diffusion model, 1 to its number of training steps, instead
                of the preset's.
            preset: "paper" (100 calls), "balanced" (20, the default) or "fast" (5).
            strength: 1 is the restoration, 0 the input, between them ``input + strength *
                (restoration - input)``.
            seed: of a diffusion model's noise; the same seed gives the same picture, on any device
                up to rounding.
            tile: longest side of a tile in pixels; None chooses: whole pictures up to the
                network's own size, tiles of that size above it. 0 never tiles.
            guidance: an earlier answer of :meth:`diagnose`, to save or to change it.
            words: the damage, if you know it better: names in ``Restorer.words``, which guide in
                place of what the controller finds.
            max_pixels: largest picture that is read.
            progress: is called with the share that is done, in [0, 1].

        Raises:
            ImageError: a file cannot be read.
            UsageError: an argument is out of range or makes no sense for this model.
            PellucidError: too little memory, or the network gives no finite answer.
        """
        self.check(steps, preset, strength, tile, words)
        photos = self._photos(image, max_pixels)
        if guidance is not None and len(photos) > 1:
            raise UsageError("one guidance cannot serve a batch; restore its pictures one by one")
        restored = []
        for i, photo in enumerate(photos):
            tensor = _tensor(photo)
            told = None
            if progress is not None:
                told = lambda share, i=i: progress((i + share) / len(photos))  # noqa: E731
            answer = guidance or self._diagnose(tensor, words)
            chosen = self.route(answer)
            result = chosen._restore(tensor, answer, steps, preset, seed, tile, told)
            result = tensor + strength * (result - tensor) if strength < 1 else result
            pixels = result[0].permute(1, 2, 0).contiguous().numpy()
            restored.append(photo.with_pixels(pixels))
        return like_given(image, restored)

    @property
    def maps_damage(self) -> bool:
        """Whether the network says where a picture is damaged: see :meth:`damage`."""
        return getattr(self.network, "maps_damage", False)

    @torch.inference_mode()
    def damage(
        self,
        image: Picture,
        *,
        tile: int | None = None,
        guidance: Guidance | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> np.ndarray:
        """Where one picture is damaged: float32 ``(H, W)`` in [0, 1], 1 = surely.

        The arguments are those of :meth:`restore`, which raises the same.

        Raises:
            UsageError: the network has no such map (``maps_damage``).
        """
        (photo,) = self._photos(image, max_pixels)
        tensor = _tensor(photo)
        guidance = guidance or self._diagnose(tensor, ())
        chosen = self.route(guidance)
        if not chosen.maps_damage:
            raise UsageError(
                f"the model {chosen.name} has no map of the damage; networks with a SAR encoder do"
            )
        context = chosen._context(tensor, guidance)
        tiler = Tiler(chosen._tile(tensor, tile), chosen.network.overlap, chosen.network.multiple)
        result = tiler(lambda part: chosen.network.damage(part.to(chosen.device), context), tensor)
        return result[0, 0].float().cpu().clamp_(0, 1).numpy()

    def check(
        self,
        steps: int | None = None,
        preset: str | None = None,
        strength: float = 1.0,
        tile: int | None = None,
        words: Sequence[str] = (),
    ) -> None:
        """``UsageError`` if :meth:`restore` would refuse these arguments."""
        for word in words:
            if word not in self.words:
                known = ", ".join(self.words) or "none"
                raise UsageError(f"the model {self.name} does not know {word!r}; known: {known}")
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

    def _photos(self, image: Picture, max_pixels: int) -> list[Photo]:
        if isinstance(image, Photo):
            return [image]
        if isinstance(image, str | Path | bytes):
            return [read(image, max_pixels)]
        if isinstance(image, Image.Image):
            return [from_pil(image)]
        return from_array(image)

    @torch.inference_mode()
    def _diagnose(self, image: Tensor, words: Sequence[str]) -> Guidance:
        if self.controller is None:
            return Guidance()
        content, degradation = embed(self.controller, image)
        if self.text_features is None:
            return Guidance(content, degradation)
        # The learned temperature, by which the shares are as sure as they are right; the README of
        # DA-CLIP has 100, which is also what CLIP's own has learned.
        scale = float(self.controller.logit_scale.exp())
        shares = classify(degradation, self.text_features.to(degradation.device), scale)[0].tolist()
        ranked = sorted(zip(self.words, shares, strict=True), key=lambda row: -row[1])
        found = tuple(word for word, p in ranked if p >= DETECTED and word != CLEAN)
        if words:  # their text embeddings: the controller is trained to give the same directions
            features = self.text_features[[self.words.index(word) for word in words]]
            told = normalize(features, dim=-1).mean(dim=0, keepdim=True).to(degradation.device)
            degradation = told * degradation.norm() / told.norm()
            found = tuple(word for word in words if word != CLEAN)
        return Guidance(content, degradation, dict(ranked), found)

    @torch.inference_mode()
    def _restore(
        self,
        image: Tensor,
        guidance: Guidance,
        steps: int | None,
        preset: str | None,
        seed: int,
        tile: int | None,
        progress: Progress | None,
    ) -> Tensor:
        """``(1, 3, H, W)`` in [0, 1], float32 on the CPU, from and to."""
        context = self._context(image, guidance)
        tiler = Tiler(self._tile(image, tile), self.network.overlap, self.network.multiple)
        if not self.is_diffusion:
            result = tiler(lambda part: self._call(context, part), image, progress=progress)
            return result.clamp_(0, 1)
        chosen = PRESETS[preset or DEFAULT_PRESET]
        calls = len(self.sde.times(steps or chosen.evaluations)) - 1  # they end with 0
        done = 0

        def network(x: Tensor, mu: Tensor, t: Tensor, context: Any) -> Tensor:
            nonlocal done
            told = None
            if progress is not None:
                told = lambda share: progress(min(1.0, (done + share) / calls))  # noqa: E731
            prediction = tiler(
                lambda x, mu: self._call(context, x, mu, t.to(self.device)), x, mu, progress=told
            )
            done += 1
            return prediction

        denoise = Denoiser(self.sde, network, image, context, self.predicts)
        noise = torch.Generator().manual_seed(seed)
        return chosen.sample(self.sde, denoise, noise, steps).clamp_(0, 1)

    def _context(self, image: Tensor, guidance: Guidance) -> Any:
        """What guides the network through the whole picture."""
        content, degradation = (
            e if e is None else e.to(self.device) for e in (guidance.content, guidance.degradation)
        )
        return context_for(
            self.network,
            image.to(self.device),
            self.semantics,
            degradation=degradation,
            content=content,
        )

    def _tile(self, image: Tensor, tile: int | None) -> int | None:
        if tile == 0:
            return None
        if tile is not None:
            return tile
        # neighbours share about `overlap` pixels, so a far-seeing network needs larger tiles
        side = getattr(self.network, "tile", min(max(5 * self.network.overlap, 1024), 2048))
        return None if image.shape[-2] * image.shape[-1] <= side * side else side

    def _call(self, context: Any, image: Tensor, *conditions: Tensor) -> Tensor:
        """One network call on a tile; float32 on the CPU, and finite."""
        parts = [
            part.to(self.device, memory_format=torch.channels_last) if part.ndim == 4 else part
            for part in (image, *conditions)
        ]
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            reduced = dtype != torch.float32
            with torch.autocast(self.device.type, dtype) if reduced else nullcontext():
                result = self.network(*parts, context).float()
            if torch.isfinite(result).all():
                return result.cpu()
            if reduced:
                log.warning("%s gave numbers that are not finite; repeating in float32", dtype)
        raise PellucidError(
            f"the model {self.name} gives no finite numbers for this picture, not even in float32; "
            "are its weights damaged?"
        )


def load(
    name_or_path: str | Path = "lite",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    tower: str | Path | None = None,
) -> Restorer:
    """A restorer from a model's name (see ``list_models``) or from a file of weights.

    Args:
        name_or_path: "lite" needs no network connection; official weights are fetched on first use.
            "auto": "lite", and each picture that a shipped specialist covers goes to that one.
        device: see :class:`Restorer`.
        dtype: see :class:`Restorer`.
        tower: the file of the DA-CLIP tower that guides the network of a file; the one in the
            file's metadata or of "lite" if not given.

    Raises:
        UsageError: unknown name or device.
        CheckpointError: a file is missing, damaged, unsafe, or does not fit.
    """
    from pellucid.loading import load_parts

    device = resolve_device(device)  # a wrong name is found before anything is fetched
    dtype = resolve_dtype(dtype, device)
    if name_or_path != AUTO:
        return Restorer(**load_parts(name_or_path, tower), device=device, dtype=dtype)
    specialists = {
        row.covers: load(row.name, device, dtype, tower)
        for row in zoo.MODELS.values()
        if row.covers
    }
    parts = load_parts(zoo.DEFAULT, tower)
    return Restorer(**parts, specialists=specialists, device=device, dtype=dtype)


@lru_cache(maxsize=2)
def _shared(name: str, device: str, dtype: str) -> Restorer:
    return load(name, device, dtype)


def restore(
    image: Picture, model: str = AUTO, device: str = "auto", dtype: str = "auto", **options: Any
) -> Any:
    """Restore one picture; the model stays loaded for the next call.

    ``options`` and the answer are those of :meth:`Restorer.restore`.
    """
    return _shared(str(model), device, dtype).restore(image, **options)


def _tensor(photo: Photo) -> Tensor:
    """``(1, 3, H, W)`` float32 on the CPU, a copy."""
    return torch.from_numpy(np.array(photo.pixels.transpose(2, 0, 1)[None], order="C"))
