"""From configs and files to networks, and back to what a weights bundle says of itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor, nn

from pellucid import zoo
from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.daclip import unwrap
from pellucid.checkpoints.load import load_daclip
from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.training.tasks.guidance import FrozenTower
from pellucid.vision_language.controller import DaCLIP

RESTORERS = {ResUNetConfig: ResUNet, NAFNetConfig: NAFNet}
DIFFUSERS = {ResUNetConfig: DiffusionResUNet, UNetConfig: ConditionalUNet}

KINDS = {
    ResUNet: "resunet",
    NAFNet: "nafnet",
    DiffusionResUNet: "diffusion-resunet",
    ConditionalUNet: "irsde-unet",
    DaCLIP: "daclip",
}
"""What a bundle's meta calls a network; `pellucid.checkpoints.build` reads it."""


def network_meta(network: nn.Module, tower: FrozenTower | None = None) -> dict:
    """Return what a bundle says of a network: `kind`, `config`, the file of its `tower`."""
    meta = {"kind": KINDS[type(network)], "config": dataclasses.asdict(network.config)}
    return meta if tower is None else {**meta, "tower": tower.path}


def load_tower(path: str) -> FrozenTower | None:
    """Load a DA-CLIP file, or that of a model in `pellucid.zoo`, frozen; "" gives None."""
    if not path:
        return None
    if path in zoo.MODELS:
        path = zoo.resolve(path).tower
    return FrozenTower(load_daclip(path), str(Path(path).resolve()))


def read_weights(path: str) -> tuple[dict[str, Tensor], dict]:
    """Read a state dict of any network, and a bundle's meta (empty for other files)."""
    if Path(path).suffix == ".safetensors":
        return load_bundle(path)
    return unwrap(safe.load(path)), {}
