"""Networks small enough to be built and run in every test; weights are random but seeded."""

from dataclasses import asdict

import torch
from torch import nn

from pellucid.checkpoints.bundle import save_bundle
from pellucid.degradations import CLASSES
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.prior import PriorConfig
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.networks.weather import WeatherConfig, WeatherUNet
from pellucid.restorer import Restorer
from pellucid.vision_language.clip import CLIPConfig, TextConfig, VisionConfig
from pellucid.vision_language.controller import DaCLIP

CLIP = CLIPConfig(
    embed_dim=16,
    vision=VisionConfig(image_size=32, patch_size=16, width=32, layers=1, heads=2),
    text=TextConfig(context_length=16, vocab_size=4000, width=16, heads=2, layers=1),
    views="windows",
)
NETWORK = ResUNetConfig(
    widths=(8, 8),
    encoder_blocks=(1,),
    middle_blocks=1,
    decoder_blocks=(1,),
    context_dim=16,
    embed_dim=8,
    content_levels=1,
)
WEATHER = WeatherConfig(
    host="residual",
    widths=(8, 8),
    encoder_blocks=(1,),
    middle_blocks=1,
    decoder_blocks=(1,),
    prior=PriorConfig(sample_dim=16, tokens=2, width=8),
    context_dim=16,
)


def randomised(module: nn.Module, seed=0) -> nn.Module:
    """Random weights that neither explode nor leave the picture alone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.ndim else 1
            values = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values * (0.5 if parameter.ndim > 1 else 0.1) / fan_in**0.5)
    return module


class Identity(RestorationNetwork):
    """Gives back its input; counts its calls."""

    multiple, overlap = 8, 16

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.shapes = []

    def forward(self, image, condition):
        self.shapes.append(tuple(image.shape))
        return image + 0


def told(degradation=None, content=None, semantics=None):
    """Guidance by embeddings (B, D) and semantic vectors (B, L, D)."""
    return Guidance(content, degradation, semantics=semantics)


def controller():
    return randomised(DaCLIP(CLIP), seed=1)


def text_features():
    return torch.randn(len(CLASSES), 16, generator=torch.Generator().manual_seed(2))


def save_bundles(folder):
    """`net`, `sde` and `weather.safetensors`, and the tower that guides them; the folder."""
    for name, kind, network in (
        ("net", "resunet", ResUNet(NETWORK)),
        ("sde", "diffusion-resunet", DiffusionResUNet(NETWORK)),
        ("weather", "weather", WeatherUNet(WEATHER)),
    ):
        meta = {"kind": kind, "config": asdict(network.config), "tower": "tower.safetensors"}
        save_bundle(folder / f"{name}.safetensors", randomised(network).state_dict(), meta)
    meta = {"kind": "daclip", "config": asdict(CLIP)}
    save_bundle(folder / "tower.safetensors", controller().state_dict(), meta)
    return folder


def restorer(diffusion=False, guided=True, network=None, **options):
    if network is None:
        network = randomised((DiffusionResUNet if diffusion else ResUNet)(NETWORK))
    guidance = (controller(), text_features(), CLASSES) if guided else ()
    defaults = {"device": "cpu", "dtype": "float32", "name": "tiny"}
    defaults["predicts"] = "x0" if diffusion else None
    return Restorer(network, *guidance, **{**defaults, **options})
