"""Restoration of weather with a teacher for the map of the damage (CLIP-SRD)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from pellucid.checkpoints.load import load_daclip, load_image_tower
from pellucid.checkpoints.tinyvit import load_tinyvit
from pellucid.errors import UsageError
from pellucid.loading import tower_file
from pellucid.losses.distillation import SoftResidualDistillation
from pellucid.networks.weather import WeatherConfig
from pellucid.training.tasks.restore import RestoreOptions, RestoreTask
from pellucid.vision_language.resnet import CLIPResNet
from pellucid.vision_language.spatial import Pixels, SpatialTeacher, random_teacher


@dataclass(frozen=True)
class WeatherOptions(RestoreOptions):
    """What a `WeatherTask` is made of; its arguments are explained there."""

    network: WeatherConfig = field(default_factory=WeatherConfig)
    loss: Literal["l1", "charbonnier", "psnr", "psnr40"] = "charbonnier"
    """Distance of restored and clean picture."""
    semantics: str = ""
    """File of CLIP RN50 (the official RN50.pt): embeds pictures for the prior, and can teach."""
    teacher: Literal["clip", "tower", "tinyvit", "pixels", "random"] = "clip"
    """`clip`: that file; `tower`: the plain image tower of `tower`; `tinyvit`: `onnx`; `pixels`: no
    tower, the difference of the pictures themselves; `random`: RN50 that has learned nothing."""
    onnx: str = "data/teachers/tiny_vit_5m_224.onnx"
    """File of the teacher `tinyvit`."""
    target: Literal["soft", "hard", "plain", "none"] = "soft"
    """Of the distillation, see `SoftResidualDistillation`; `none`: no teacher."""
    direction: float = 0.5
    """Weight of the residuals' direction beside the gates in the distillation."""
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
        srd = None
        if self.target != "none":
            if not network.maps_damage:
                raise UsageError("without a SAR encoder there is nothing to distil: target none")
            srd = SoftResidualDistillation(
                self.load_teacher(),
                network.config.widths[: len(network.strides)],
                network.gate_strides,
                self.target,
                self.direction,
            )
        return WeatherTask(**parts, srd=srd, srd_weight=self.srd)

    def load_teacher(self) -> SpatialTeacher:
        """Load the tower whose maps teach, as `teacher` says.

        Raises:
            UsageError: its file is not named.
        """
        if self.teacher == "clip" and not self.semantics:
            raise UsageError("the teacher is CLIP RN50: give its file with --task.semantics")
        if self.teacher == "tower" and not self.tower:
            raise UsageError("the teacher is DA-CLIP's tower: give its file with --task.tower")
        made = {
            "clip": lambda: SpatialTeacher(_rn50(self.semantics), "clip-rn50"),
            "tower": lambda: SpatialTeacher(load_daclip(tower_file(self.tower)), "tower"),
            "tinyvit": lambda: SpatialTeacher(load_tinyvit(self.onnx), "tinyvit-5m"),
            "pixels": lambda: SpatialTeacher(Pixels(), "pixels"),
            "random": random_teacher,
        }
        return made[self.teacher]()


def _rn50(path: str) -> CLIPResNet:
    tower = load_image_tower(path)
    if not isinstance(tower, CLIPResNet):
        raise UsageError(f"{path} is not CLIP RN50, whose feature maps teach")
    return tower


class WeatherTask(RestoreTask):
    """`RestoreTask` of a `WeatherUNet` whose SAR encoder is taught where the damage is.

    The loss is the pixels' plus `srd_weight` times the distillation's terms. Teacher, projections
    and running scale stay behind when the network is exported; checkpoints hold the last two.

    Args:
        srd: the distillation; None = no teacher.
        srd_weight: of it.
        others: those of `RestoreTask`.
    """

    def __init__(
        self,
        *args: Any,
        srd: SoftResidualDistillation | None = None,
        srd_weight: float = 0.1,
        **others: Any,
    ):
        super().__init__(*args, **others)
        self.srd, self.srd_weight = srd, srd_weight

    def restored(self, batch: dict, condition: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the restored pictures and the terms of the distillation times their weight."""
        if self.srd is None:
            return super().restored(batch, condition)
        restored, found = self.network(batch["lq"], condition, maps=True)
        terms = self.srd(found, batch["lq"], batch["gt"])
        return restored, {name: self.srd_weight * term for name, term in terms.items()}

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights, its config, and who taught it."""
        state, meta = super().export()
        meta["teacher"] = self.srd.teacher.name if self.srd is not None else None
        return state, meta
