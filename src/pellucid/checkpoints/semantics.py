"""The tower of its own by which a network is guided."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from torch import nn

from pellucid.checkpoints.clip_resnet import load_rn50
from pellucid.checkpoints.load import load_clip
from pellucid.networks.weather import WeatherUNet
from pellucid.vision_language.dinov2 import DINOv2
from pellucid.vision_language.resnet import CLIPResNet
from pellucid.vision_language.semantics import TowerSemantics


def load_semantics(
    network: nn.Module, source: str | PathLike
) -> TowerSemantics | DINOv2 | CLIPResNet:
    """Load what reads a picture for a network, frozen.

    Args:
        network: a `WeatherUNet` was made for CLIP RN50, others for what `source` says.
        source: file of RN50, see `load_rn50`; or file of a CLIP or DA-CLIP, whose image tower is
            read; or DINOv2, see `DINOv2.from_pretrained`.

    Raises:
        CheckpointError: as `load_rn50`, `load_clip` and `DINOv2.from_pretrained`.
    """
    if isinstance(network, WeatherUNet):
        return load_rn50(source)
    if Path(source).is_file():
        return TowerSemantics(load_clip(source))
    return DINOv2.from_pretrained(source)
