"""From a file of weights to a restoration network: the table of networks that a file may hold."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import nn

from pellucid.checkpoints.load import load_file, load_into
from pellucid.errors import CheckpointError


class Kind(NamedTuple):
    """Where a network lives and, for a diffusion network, what it predicts ("epsilon" or "x0")."""

    module: str
    config: str
    network: str
    predicts: str | None = None


_UNET = Kind("pellucid.networks.irsde_unet", "UNetConfig", "ConditionalUNet", "epsilon")
KINDS = {
    "resunet": Kind("pellucid.networks.resunet", "ResUNetConfig", "ResUNet"),
    "diffusion-resunet": Kind(
        "pellucid.networks.resunet", "ResUNetConfig", "DiffusionResUNet", "x0"
    ),
    "nafnet": Kind("pellucid.networks.nafnet", "NAFNetConfig", "NAFNet"),
    "restormer-medium": Kind(
        "pellucid.networks.restormer", "RestormerMediumConfig", "RestormerMedium"
    ),
    "perceive-ir": Kind("pellucid.networks.perceive_ir", "PerceiveIRConfig", "PerceiveIR"),
    "guided-resunet": Kind("pellucid.networks.guided", "GuidedResUNetConfig", "GuidedResUNet"),
    "guided-nafnet": Kind("pellucid.networks.guided", "GuidedNAFNetConfig", "GuidedNAFNet"),
    "weather": Kind("pellucid.networks.weather", "WeatherConfig", "WeatherUNet"),
    "unet": _UNET,
    "irsde-unet": _UNET,  # the official checkpoints
}


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """A network of a kind in ``KINDS`` with the sizes in ``config``, not initialised to anything.

    Raises:
        CheckpointError: unknown kind, or a size that this version does not know.
    """
    if kind not in KINDS:
        raise CheckpointError(
            f"holds a network of kind {kind!r}; known: {', '.join(KINDS)}. Is Pellucid up to date?"
        )
    row = KINDS[kind]
    module = importlib.import_module(row.module)
    config_class = getattr(module, row.config)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    if "use_degra_context" in values:  # the official names
        values["use_degradation_context"] = values.pop("use_degra_context")
        values["downsample_first"] = values.pop("scale", 1.0) != 1.0
    unknown = set(values) - {field.name for field in fields(config_class)}
    if unknown:
        raise CheckpointError(
            f"has sizes unknown to this version: {', '.join(sorted(unknown))}. "
            "Is Pellucid up to date?"
        )
    return getattr(module, row.network)(config_class(**values))


def load_network(path: str | PathLike) -> tuple[nn.Module, dict[str, Any]]:
    """Build the restoration network of a file, frozen, in evaluation mode, float32 on the CPU.

    Returns:
        ``(network, meta)``; ``meta["predicts"]`` is "epsilon" or "x0" for a diffusion network and
        None for the others; ``meta["sde"]`` holds the arguments of its ``MeanRevertingSDE``, if
        they are not the default.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    state, meta = load_file(path)
    kind = meta.get("kind", "?")
    if kind == "daclip":
        raise CheckpointError(
            f"{path} is a DA-CLIP tower, which describes pictures; a restoration network is needed"
        )
    try:
        network = build_network(kind, meta.get("config", {}))
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    load_into(network, state, path)
    network.eval().requires_grad_(False)
    return network.to(torch.float32), {
        **meta,
        "predicts": meta.get("predicts", KINDS[kind].predicts),
    }
