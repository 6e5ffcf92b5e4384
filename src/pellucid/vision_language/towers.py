"""The table of towers: used to build, load and export."""

from __future__ import annotations

from typing import Any, NamedTuple

from pellucid.vision_language.clip import CLIP, CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.resnet import CLIPResNet, CLIPResNetConfig


class Row(NamedTuple):
    """A kind of tower."""

    config: type
    tower: Any  # its class: `tower(config)`, `tower.official(state_dict)`


TOWERS: dict[str, Row] = {
    "daclip": Row(CLIPConfig, DaCLIP),
    "clip": Row(CLIPConfig, CLIP),
    "clip-resnet": Row(CLIPResNetConfig, CLIPResNet),
}
