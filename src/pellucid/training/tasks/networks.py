"""From configs and files to networks, and back to what a weights bundle says of itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor, nn

from pellucid import zoo
from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.daclip import unwrap
from pellucid.checkpoints.load import load_daclip, load_into
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.networks.weather import WeatherConfig, WeatherUNet
from pellucid.training.tasks.guidance import FrozenTower, WordEmbeddings
from pellucid.vision_language.clip import CLIP, CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.tokenizer import Tokenizer

RESTORERS = {ResUNetConfig: ResUNet, NAFNetConfig: NAFNet, WeatherConfig: WeatherUNet}
DIFFUSERS = {ResUNetConfig: DiffusionResUNet, UNetConfig: ConditionalUNet}

KINDS = {
    ResUNet: "resunet",
    NAFNet: "nafnet",
    WeatherUNet: "weather",
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
    embedded = WordEmbeddings(clip, _tokenize(clip, tokenizer))(CLASSES)
    getattr(network, "prompt", network).words.copy_(embedded)


def load_words(path: str, tokenizer: str) -> WordEmbeddings:
    """Load the text tower of a CLIP bundle, frozen; an empty `tokenizer` is CLIP's own."""
    state, meta = read_weights(path)
    clip = CLIP(CLIPConfig.from_dict(meta["config"]))
    load_into(clip, state, path).requires_grad_(False).eval()
    return WordEmbeddings(clip, _tokenize(clip, tokenizer))


def _tokenize(clip: nn.Module, tokenizer: str) -> Tokenizer:
    length = clip.config.text.context_length
    return Tokenizer.from_file(tokenizer, length) if tokenizer else Tokenizer.from_clip()


def read_weights(path: str) -> tuple[dict[str, Tensor], dict]:
    """Read a state dict of any network, and a bundle's meta (empty for other files)."""
    if Path(path).suffix == ".safetensors":
        return load_bundle(path)
    return unwrap(safe.load(path)), {}
