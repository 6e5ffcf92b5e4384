"""From configs and files to networks, and back to what a weights bundle says of itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor, nn

from pellucid import zoo
from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.daclip import unwrap
from pellucid.checkpoints.load import load_clip, load_daclip
from pellucid.checkpoints.semantics import load_semantics
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.networks.guided import (
    GuidedNAFNet,
    GuidedNAFNetConfig,
    GuidedResUNet,
    GuidedResUNetConfig,
)
from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.perceive_ir import PerceiveIR, PerceiveIRConfig
from pellucid.networks.restormer import RestormerMedium, RestormerMediumConfig
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.networks.weather import WeatherConfig, WeatherUNet
from pellucid.training.tasks.guidance import FrozenTower, Semantics, WordEmbeddings
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.tokenizer import Tokenizer

RESTORERS = {
    ResUNetConfig: ResUNet,
    NAFNetConfig: NAFNet,
    GuidedResUNetConfig: GuidedResUNet,
    GuidedNAFNetConfig: GuidedNAFNet,
    PerceiveIRConfig: PerceiveIR,
    RestormerMediumConfig: RestormerMedium,
    WeatherConfig: WeatherUNet,
}
DIFFUSERS = {ResUNetConfig: DiffusionResUNet, UNetConfig: ConditionalUNet}

KINDS = {
    ResUNet: "resunet",
    NAFNet: "nafnet",
    GuidedResUNet: "guided-resunet",
    GuidedNAFNet: "guided-nafnet",
    PerceiveIR: "perceive-ir",
    RestormerMedium: "restormer-medium",
    WeatherUNet: "weather",
    DiffusionResUNet: "diffusion-resunet",
    ConditionalUNet: "irsde-unet",
    DaCLIP: "daclip",
}
"""What a bundle's meta calls a network; `pellucid.checkpoints.build` reads it."""


def network_meta(
    network: nn.Module, tower: FrozenTower | None = None, semantics: Semantics | None = None
) -> dict:
    """Return what a bundle says of a network.

    That is `kind`, `config`, and where its `tower` and its `semantics` are, if it has them.
    """
    meta = {"kind": KINDS[type(network)], "config": dataclasses.asdict(network.config)}
    meta |= {} if tower is None else {"tower": tower.path}
    return meta if semantics is None else {**meta, "semantics": semantics.source}


def tower_file(name: str) -> str:
    """The tower's file of a model in `pellucid.zoo`; any other name is returned as it is."""
    return str(zoo.resolve(name).tower) if name in zoo.MODELS else name


def load_tower(path: str) -> FrozenTower | None:
    """Load a DA-CLIP file, or that of a model in `pellucid.zoo`, frozen; "" gives None."""
    if not path:
        return None
    path = tower_file(path)
    return FrozenTower(load_daclip(path), str(Path(path).resolve()))


def load_guide(network: nn.Module, source: str) -> Semantics | None:
    """Load what reads pictures for a network, see `load_semantics`; "" gives None.

    A model's name in `pellucid.zoo` stands for its tower.
    """
    source = tower_file(source)
    if not source:
        return None
    named = str(Path(source).resolve()) if Path(source).is_file() else source
    return Semantics(load_semantics(network, source), named)


def teach_words(network: nn.Module, clip: nn.Module, tokenizer: str) -> None:
    """Give a network whose config asks for `words` the embeddings of the classes, in their order.

    Raises:
        UsageError: it asks for another number of words.
    """
    count = getattr(network.config, "words", 0)
    if not count:
        return
    if count != len(CLASSES):
        raise UsageError(f"the network asks for {count} words; there are {len(CLASSES)}")
    embedded = WordEmbeddings(clip, tokenizer_of(clip, tokenizer))(CLASSES)
    getattr(network, "prompt", network).words.copy_(embedded)


def load_words(path: str, tokenizer: str) -> WordEmbeddings:
    """Load the text tower of a CLIP (see `load_clip`), frozen; an empty `tokenizer` is CLIP's own.

    A model's name in `pellucid.zoo` stands for its tower.
    """
    clip = load_clip(tower_file(path))
    return WordEmbeddings(clip, tokenizer_of(clip, tokenizer))


def tokenizer_of(clip: nn.Module, tokenizer: str) -> Tokenizer:
    """The tokenizer in a file, for a text tower; an empty name is CLIP's own."""
    length = clip.config.text.context_length
    return Tokenizer.from_file(tokenizer, length) if tokenizer else Tokenizer.from_clip()


def read_weights(path: str) -> tuple[dict[str, Tensor], dict]:
    """Read a state dict of any network, and a bundle's meta (empty for other files)."""
    if Path(path).suffix == ".safetensors":
        return load_bundle(path)
    return unwrap(safe.load(path)), {}
