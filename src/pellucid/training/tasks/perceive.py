"""Perceive-IR, stage 2: a pixel loss and losses for degradation, quality and features.

All four work with any network, except that degradations are contrasted by the encoder of a network
that has one (`PerceiveIR`, `networks.guided`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from pellucid.checkpoints.load import load_clip, load_network, load_prompts
from pellucid.checkpoints.metric_weights import FETCH, verify, weights_path
from pellucid.errors import UsageError
from pellucid.loading import prompts_file, tower_file
from pellucid.losses.contrastive import degradation_contrastive, labels
from pellucid.losses.perceptual import VGG16, difficulty_adaptive, difficulty_weight
from pellucid.losses.pixel import psnr
from pellucid.networks.contract import RestorationNetwork
from pellucid.training.tasks.guidance import (
    FrozenTower,
    Semantics,
    frozen_semantics,
    frozen_tower,
    guide,
)
from pellucid.training.tasks.restore import RestoreOptions, RestoreTask
from pellucid.vision_language.prompts import QualityPerceiver

Proxy = Callable[[dict], tuple[Tensor, Tensor]]
"""From a batch to restorations (B, 3, H, W) and their validity (B,), 1 or 0."""


class LossWeights(NamedTuple):
    """Weights of the losses beside the pixel loss; 0 leaves one out."""

    contrastive: float
    quality: float
    perceptual: float


@dataclass(frozen=True)
class PerceiveOptions(RestoreOptions):
    """What a `PerceiveTask` is made of; its arguments are explained there."""

    contrastive: float = 0.1
    """Weight of L_cl; 0 = none. Needs `data.positives`."""
    quality: float = 0.05
    """Weight of L_clip; 0 = none."""
    perceptual: float = 0.1
    """Weight of L_dpl; 0 = none. Needs the weights of VGG that evaluation uses."""
    prompts: str = ""
    """For L_clip: file of quality prompts, or a model's name in `pellucid.zoo`; needs `clip`."""
    clip: str = ""
    """The CLIP that the prompts were learned with, or a model's name in `pellucid.zoo`."""
    temperature: float = 1.0
    """For L_clip: factor on the cosines; prompts are learned with 100."""
    proxies: tuple[str, ...] = ()
    """For L_dpl: files of networks, or FILE:WORD,WORD for some tasks alone. The medium pictures of
    triplets are proxies, too; none is needed."""
    epoch: int = 0
    """For L_dpl: steps until the difficulty is measured anew; 0 = once, at the start."""
    probe: int = 72
    """For L_dpl: training samples that the difficulty is measured on."""
    bounded: bool = False
    """For L_dpl: keep it finite where there is little or nothing to restore, see
    `losses.perceptual.difficulty_adaptive`."""

    def build(self) -> PerceiveTask:
        """Make the task: a network with random weights, and the networks of its losses.

        Raises:
            UsageError: what a loss needs is not named, or not there.
        """
        weights = LossWeights(self.contrastive, self.quality, self.perceptual)
        perceiver = vgg = None
        if self.quality and self.prompts:
            file = prompts_file(self.prompts)
            without = "or leave L_clip out with --task.quality 0"
            if not self.clip:
                raise UsageError(f"name the CLIP of the prompts with --task.clip, {without}")
            if not Path(file).is_file():
                raise UsageError(
                    f"there are no quality prompts at {file}: train perceive_prompts first, name "
                    f"others with --task.prompts, {without}"
                )
            clip = load_clip(tower_file(self.clip))
            perceiver = QualityPerceiver(clip, load_prompts(file, clip))
        if self.perceptual:
            vgg = load_vgg()
        return PerceiveTask(
            **self.parts(),
            weights=weights,
            perceiver=perceiver,
            vgg=vgg,
            temperature=self.temperature,
            proxies=[NetworkProxy.load(text) for text in self.proxies],
            epoch=self.epoch,
            probe=self.probe,
            bounded=self.bounded,
        )


def has_vgg() -> bool:
    """Whether the weights of VGG, which L_dpl needs, are on this machine."""
    return weights_path("lpips-vgg").exists()


def load_vgg() -> VGG16:
    """The trunk that LPIPS has from torchvision, frozen.

    Raises:
        UsageError: it is not on this machine.
    """
    if not has_vgg():
        raise UsageError(f"no weights of VGG: run {FETCH}, or train with --task.perceptual 0")
    return VGG16().load_trunk(load_file(verify("lpips-vgg")))


class NetworkProxy(nn.Module):
    """A frozen deterministic network as a proxy, run on the crop.

    Args:
        network: with its tower and semantics, or None for those.
        words: the tasks that it knows; empty = all.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        tower: FrozenTower | None = None,
        semantics: Semantics | None = None,
        words: Sequence[str] = (),
    ):
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.tower, self.semantics, self.words = tower, semantics, frozenset(words)

    @classmethod
    def load(cls, text: str) -> NetworkProxy:
        """Load a proxy from FILE, or from FILE:WORD,WORD if it restores these words alone."""
        path, _, words = text.partition(":")
        loaded = load_network(path)
        if loaded.predicts:
            raise UsageError(f"{path}: a proxy restores in one pass, a diffusion network does not")
        tower = frozen_tower(loaded.meta.get("tower", ""))
        semantics = frozen_semantics(loaded.meta.get("semantics", ""))
        return cls(loaded.network, tower, semantics, words.split(",") if words else ())

    @torch.no_grad()
    def forward(self, batch: dict) -> tuple[Tensor, Tensor]:
        """Restore the damaged crops; see `Proxy`."""
        lq = batch["lq"]
        known = [not self.words or word in self.words for word in batch["word"]]
        valid = torch.tensor(known, device=lq.device, dtype=lq.dtype)
        condition = guide(self.network, self.tower, lq, semantics=self.semantics)
        return self.network(lq, condition).clamp(0, 1), valid


def stored(batch: dict) -> tuple[Tensor, Tensor]:
    """The medium picture of a triplet: a proxy that was rendered before."""
    medium = batch["medium"]
    return medium, torch.ones(len(medium), device=medium.device, dtype=medium.dtype)


class PerceiveTask(RestoreTask):
    """Train `network(lq, condition)` towards the clean picture: L + w1 L_cl + w2 L_clip + w3 L_dpl.

    Args:
        weights: of the three losses.
        perceiver: judges quality, for L_clip; frozen here.
        vgg: for L_dpl.
        temperature: of L_clip; the official code has 1.
        proxies: for L_dpl.
        epoch: the difficulty of proxies is measured by the network's mean PSNR on `probe` training
            samples, at the start and after every `epoch` steps (0: never again).
        probe: their number.
        bounded: of L_dpl (ours).
        others: those of `RestoreTask`.

    Raises:
        UsageError: a loss lacks what it needs.
    """

    steps: Tensor
    reference: Tensor

    def __init__(
        self,
        *args: Any,
        weights: LossWeights,
        perceiver: QualityPerceiver | None = None,
        vgg: VGG16 | None = None,
        temperature: float = 1.0,
        proxies: Sequence[nn.Module] = (),
        epoch: int = 0,
        probe: int = 72,
        bounded: bool = False,
        **others: Any,
    ):
        super().__init__(*args, **others)
        if weights.contrastive and not hasattr(self.network, "cfe"):
            name = type(self.network).__name__
            raise UsageError(f"{name} encodes no degradation: train it with --task.contrastive 0")
        self.weights, self.temperature = weights, temperature
        self.perceiver = perceiver if perceiver is None else perceiver.requires_grad_(False)
        self.vgg = vgg
        self.proxies = nn.ModuleList(proxies)
        self.epoch, self.probe_size = epoch, probe
        self.bounded = bounded
        self.probe: list[dict] = []
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("reference", torch.zeros(1))  # dB

    def begin(self, dataset: Dataset) -> None:
        """Take the probe and measure the difficulty, if proxies need it."""
        if self.weights.quality and self.perceiver is None:
            raise UsageError("no quality prompts: give --task.prompts, or --task.quality 0")
        if not self.weights.perceptual or not (self.proxies or "medium" in dataset[0]):
            return
        self.probe = [default_collate([dataset[i]]) for i in range(self.probe_size)]
        self._measure()

    def after_step(self) -> None:
        """Measure the difficulty anew where an epoch ends."""
        self.steps += 1
        if self.probe and self.epoch and int(self.steps) % self.epoch == 0:
            self._measure()

    @torch.no_grad()
    def _measure(self) -> None:
        device = self.reference.device
        values = []
        self.eval()
        for batch in self.probe:
            moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            restored = self.network(moved["lq"], self.condition(moved))
            values.append(psnr(restored, moved["gt"]))
        self.train()
        self.reference.copy_(torch.cat(values).mean())

    def restored(self, batch: dict, condition: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the restored pictures and the losses times their weights, those that have one."""
        restored, terms = self.network(batch["lq"], condition), {}
        if self.weights.contrastive:
            positive = self.network.get_submodule("cfe")(batch["positive"])
            task = labels(batch["word"]).to(positive.device)
            loss = degradation_contrastive(condition.degradation.float(), positive.float(), task)
            terms["contrastive"] = self.weights.contrastive * loss
        if self.weights.quality:
            assert self.perceiver is not None  # `begin` has seen to it
            loss = self.perceiver.loss(restored, self.temperature)
            terms["quality"] = self.weights.quality * loss
        if self.weights.perceptual:
            terms["perceptual"] = self.weights.perceptual * self._perceptual(batch, restored)
        return restored, terms

    def _perceptual(self, batch: dict, restored: Tensor) -> Tensor:
        assert self.vgg is not None  # as `PerceiveOptions` makes it
        clean = batch["gt"]
        sources: list[Proxy] = [*self.proxies, *([stored] if "medium" in batch else [])]
        pictures, weights = [], []
        for source in sources:
            picture, valid = source(batch)
            pictures.append(picture)
            weights.append(valid * difficulty_weight(picture, clean, self.reference))
        pictures = clean, batch["lq"], pictures
        return difficulty_adaptive(self.vgg, restored, *pictures, weights, self.bounded)
