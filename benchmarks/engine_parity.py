"""Compare networks in ONNX Runtime and OpenVINO with PyTorch in float32; prints Markdown.

    python benchmarks/engine_parity.py [NAME ...]

NAME is a shipped model, or a network of official size with arbitrary weights: irsde-unet,
perceive-ir, weather. For each the graph is exported and run at five sizes; the table has the
largest difference of a value (results lie near [0, 1]). The aim is 1e-4.
"""

import argparse
import sys

import torch

from pellucid.loading import load_parts
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.irsde_unet import UNIVERSAL
from pellucid.networks.perceive_ir import PerceiveIRConfig
from pellucid.networks.table import network_of
from pellucid.networks.weather import WeatherConfig
from pellucid.runtimes.run import ENGINES

SIZES = ((1, 1), (17, 33), (64, 96), (131, 70), (128, 128))
SHIPPED = ("lite", "lite-weather", "lite-perceive", "lite-sde")
OFFICIAL = {
    "irsde-unet": lambda: network_of(UNIVERSAL, diffusion=True),
    "perceive-ir": lambda: network_of(PerceiveIRConfig()),
    "weather": lambda: network_of(WeatherConfig()),
}


def alive(network: RestorationNetwork) -> RestorationNetwork:
    """Replace the zeros that new networks start with, so that every layer counts."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1 * parameter[0].numel() ** -0.5)
    return network


def guidance_for(network: RestorationNetwork) -> Guidance:
    config, needs = network.config, network.needs
    length = getattr(config, "context_dim", 0)
    vectors = {name: torch.randn(1, length) for name in ("content", "degradation")}
    if "semantics" in needs:
        vectors["semantics"] = torch.randn(1, 4, config.semantic_dim)
    return Guidance(**{name: vector for name, vector in vectors.items() if name in needs})


@torch.no_grad()
def differences(network: RestorationNetwork, diffusion: bool) -> list[str]:
    network = network.eval().requires_grad_(False)
    condition = network.condition(torch.rand(1, 3, 90, 80), guidance_for(network))
    cpu = torch.device("cpu")
    found = []
    for name in ("onnxruntime", "openvino"):
        engine, most = ENGINES[name](network, cpu, torch.float32), 0.0
        for h, w in SIZES:
            tile = torch.rand(1, 3, h, w)
            noisy = tile + 0.1 * torch.randn_like(tile)
            given = [noisy, tile, torch.tensor([37.0])] if diffusion else [tile]
            right = network(*given, condition)
            most = max(most, float((engine(given, condition) - right).abs().max()))
        found.append(f"{most:.1e}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names or (*SHIPPED, *OFFICIAL)
    if unknown := {*names} - {*SHIPPED, *OFFICIAL}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    torch.manual_seed(0)
    print("| network | parameters | ONNX Runtime | OpenVINO |\n|---|---|---|---|", flush=True)
    for name in names:
        if name in OFFICIAL:
            network, diffusion = alive(OFFICIAL[name]()), name == "irsde-unet"
        else:
            parts = load_parts(name)
            network, diffusion = parts.network, parts.predicts is not None
        count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        row = " | ".join(differences(network, diffusion))
        print(f"| {name} | {count:.1f} M | {row} |", flush=True)


if __name__ == "__main__":
    main()
