"""The table of restoration networks: used to build, load, train and export."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pellucid.errors import UsageError
from pellucid.networks.bilateral import BilateralGrid, BilateralGridConfig
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.guided import (
    GuidedNAFNet,
    GuidedNAFNetConfig,
    GuidedResUNet,
    GuidedResUNetConfig,
    GuidedUNet,
    GuidedUNetConfig,
)
from pellucid.networks.irsde_unet import ConditionalUNet, DirectUNet, UNetConfig
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.perceive_ir import PerceiveIR, PerceiveIRConfig
from pellucid.networks.restormer import (
    Restormer,
    RestormerConfig,
    RestormerMedium,
    RestormerMediumConfig,
)
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.networks.weather import WeatherConfig, WeatherUNet
from pellucid.networks.wiener import WienerUNet, WienerUNetConfig

Prediction = Literal["epsilon", "x0"]


class Row(NamedTuple):
    """A kind of network; `predicts` is what a diffusion network returns, None for the others."""

    config: type
    network: type[RestorationNetwork]
    predicts: Prediction | None = None


NETWORKS: dict[str, Row] = {
    "resunet": Row(ResUNetConfig, ResUNet),
    "diffusion-resunet": Row(ResUNetConfig, DiffusionResUNet, "x0"),
    "bilateral-grid": Row(BilateralGridConfig, BilateralGrid),
    "wiener-unet": Row(WienerUNetConfig, WienerUNet),
    "nafnet": Row(NAFNetConfig, NAFNet),
    "restormer": Row(RestormerConfig, Restormer),
    "restormer-medium": Row(RestormerMediumConfig, RestormerMedium),
    "perceive-ir": Row(PerceiveIRConfig, PerceiveIR),
    "guided-resunet": Row(GuidedResUNetConfig, GuidedResUNet),
    "guided-nafnet": Row(GuidedNAFNetConfig, GuidedNAFNet),
    "weather": Row(WeatherConfig, WeatherUNet),
    "irsde-unet": Row(UNetConfig, ConditionalUNet, "epsilon"),
    "direct-unet": Row(UNetConfig, DirectUNet),
    "guided-unet": Row(GuidedUNetConfig, GuidedUNet),
}
"""All kinds of networks: config, class, and what a diffusion network predicts."""


def kind_of(network: RestorationNetwork) -> str:
    """The kind of a network, as bundles call it."""
    return next(kind for kind, row in NETWORKS.items() if row.network is type(network))


def network_of(config: Any, diffusion: bool = False) -> RestorationNetwork:
    """A network of the sizes in `config`, with random weights.

    Args:
        config: the config of a kind of `NETWORKS`.
        diffusion: whether it is the diffusion network, where a deterministic one shares its config.

    Raises:
        UsageError: no such network has this config.
    """
    for row in NETWORKS.values():
        if row.config is type(config) and (row.predicts is not None) == diffusion:
            return row.network(config)
    kind = "diffusion" if diffusion else "deterministic"
    raise UsageError(f"{type(config).__name__} is not the config of a {kind} network")
