"""Restoration of weather, with a teacher that shows where the weather is (CLIP-SRD)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from pellucid.checkpoints.clip_resnet import load_rn50
from pellucid.checkpoints.tinyvit import load_tinyvit
from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.losses.distillation import SoftResidualDistillation
from pellucid.networks.weather import WeatherConfig
from pellucid.training.tasks.guidance import guide
from pellucid.training.tasks.networks import load_tower
from pellucid.training.tasks.restore import RestoreOptions, RestoreTask
from pellucid.vision_language.spatial import Pixels, SpatialTeacher, random_teacher


@dataclass(frozen=True)
class WeatherOptions(RestoreOptions):
    """What a `WeatherTask` is made of; its arguments are explained there."""

    network: WeatherConfig = field(default_factory=WeatherConfig)
    loss: Literal["l1", "charbonnier", "psnr", "psnr40"] = "charbonnier"
    clip: str = ""
    """File of CLIP RN50 (the official RN50.pt): embeds pictures for the prior, and can teach."""
    teacher: Literal["clip", "tower", "tinyvit", "pixels", "random"] = "clip"
    """`clip`: that file; `tower`: the plain image tower of `tower`; `tinyvit`: `onnx`; `pixels`: no
    tower, the difference of the pictures themselves; `random`: RN50 that has learned nothing."""
    onnx: str = "data/teachers/tiny_vit_5m_224.onnx"
    target: Literal["soft", "hard", "plain", "none"] = "soft"
    """Of the distillation, see `SoftResidualDistillation`; `none`: no teacher."""
    direction: float = 0.5
    srd: float = 0.1
    """Weight of the distillation."""

    def build(self) -> WeatherTask:
        """Make the task: a network with random weights, the towers, the teacher.

        Raises:
            UsageError: the teacher or the prior needs a file that is not given, or there is
                nothing to teach.
        """
        parts = self.parts()
        network = parts["network"]
        clip = self.load_clip()
        if "semantics" in network.guided_by and clip is None:
            raise UsageError("the prior needs CLIP RN50: give its file with --task.clip")
        srd = None
        if self.target != "none":
            if not network.maps_damage:
                raise UsageError("without a SAR encoder there is nothing to distil: target none")
            srd = SoftResidualDistillation(
                self.load_teacher(clip),
                network.config.widths[: len(network.strides)],
                network.strides,
                self.target,
                self.direction,
            )
        return WeatherTask(**parts, srd=srd, srd_weight=self.srd, clip=clip, clip_path=self.clip)

    def load_clip(self) -> SpatialTeacher | None:
        """Load `clip`, if it is named."""
        return SpatialTeacher(load_rn50(self.clip), "clip-rn50") if self.clip else None

    def load_teacher(self, clip: SpatialTeacher | None = None) -> SpatialTeacher:
        """Load `teacher`; `clip` is what `load_clip` gave.

        Raises:
            UsageError: its file is not named.
        """
        if self.teacher == "clip" and clip is None:
            raise UsageError("the teacher is CLIP RN50: give its file with --task.clip")
        if self.teacher == "tower" and not self.tower:
            raise UsageError("the teacher is DA-CLIP's tower: give its file with --task.tower")
        made = {
            "clip": lambda: clip,
            "tower": lambda: SpatialTeacher(load_tower(self.tower).model, "tower"),
            "tinyvit": lambda: SpatialTeacher(load_tinyvit(self.onnx), "tinyvit-5m"),
            "pixels": lambda: SpatialTeacher(Pixels(), "pixels"),
            "random": random_teacher,
        }
        return made[self.teacher]()


class WeatherTask(RestoreTask):
    """`RestoreTask` of a `WeatherUNet` whose SAR encoder is taught where the damage is.

    The loss is the pixels' plus `srd_weight` times the distillation's terms. Teacher, projections
    and running scale stay behind when the network is exported; checkpoints hold the last two.

    Args:
        srd: the distillation; None = no teacher.
        srd_weight: of it.
        clip: gives the prior its sample: of `batch["view"]`, the whole damaged picture turned as
            the crop is, where the data has it, else of the crop. May be the teacher, too.
        clip_path: its file, for the meta of the weights.
        others: those of `RestoreTask`.
    """

    def __init__(
        self,
        *args: Any,
        srd: SoftResidualDistillation | None = None,
        srd_weight: float = 0.1,
        clip: SpatialTeacher | None = None,
        clip_path: str = "",
        **others: Any,
    ):
        super().__init__(*args, **others)
        self.srd, self.srd_weight, self.clip_path = srd, srd_weight, clip_path
        if srd is None or srd.teacher is not clip:
            self.clip = clip  # else it is a part of the distillation already

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, its mean PSNR in dB and the terms of the distillation."""
        if self.srd is None:
            return super().forward(batch, generator)
        lq, clean = batch["lq"], batch["gt"]
        restored, found = self.network(lq, self.context(batch, generator), maps=True)
        terms = self.srd(found, lq, clean)
        loss = self.pixel_loss(restored, clean) + self.srd_weight * sum(terms.values())
        shown = {name: term.detach() for name, term in terms.items()}
        return loss, {"psnr": pixel.psnr(restored.detach(), clean).mean(), **shown}

    def context(self, batch: dict, generator: torch.Generator | None = None) -> Any:
        """Return what guides the network; see `guide`."""
        if self.words is not None:
            return super().context(batch, generator)
        clip = self.clip if hasattr(self, "clip") else self.srd.teacher
        dropout, semantics = self.context_dropout, None if clip is None else clip.tower
        view = batch.get("view")
        return guide(self.network, self.tower, batch["lq"], dropout, generator, semantics, view)

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights, its config, and which towers had a part in it."""
        state, meta = super().export()
        meta["teacher"] = self.srd.teacher.name if self.srd is not None else None
        if self.clip_path:
            meta["semantics"] = self.clip_path
        return state, meta
