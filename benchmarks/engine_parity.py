"""Compare networks in ONNX Runtime and OpenVINO with PyTorch in float32; prints Markdown.

    python benchmarks/engine_parity.py [NAME ...]

NAME is a shipped model, or a network of official size with arbitrary weights: irsde-unet,
perceive-ir, weather. For each the graph is exported and run at five sizes; the table has the
largest difference of a value (results lie near [0, 1]). The aim is 1e-4. daclip-tower is DA-CLIP's
tower (ViT-B/32) with arbitrary weights: the largest difference of its two embeddings, of length 1,
over five views.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch
from torch.nn.functional import normalize

from pellucid import zoo
from pellucid.export import export_tower
from pellucid.loading import load_parts
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.irsde_unet import UNIVERSAL
from pellucid.networks.perceive_ir import PerceiveIRConfig
from pellucid.networks.table import network_of
from pellucid.networks.weather import WeatherConfig
from pellucid.runtimes.run import ENGINES
from pellucid.vision_language.controller import DaCLIP

TOWER = "daclip-tower"
Call = Callable[[np.ndarray], list[np.ndarray]]
Module = TypeVar("Module", bound=torch.nn.Module)
SIZES = ((1, 1), (17, 33), (64, 96), (131, 70), (128, 128))
SHIPPED = tuple(name for name, row in zoo.MODELS.items() if row.shipped)
OFFICIAL = {
    "irsde-unet": lambda: network_of(UNIVERSAL, diffusion=True),
    "perceive-ir": lambda: network_of(PerceiveIRConfig()),
    "weather": lambda: network_of(WeatherConfig()),
}


def alive(network: Module) -> Module:
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


@torch.no_grad()
def tower_differences(controller: DaCLIP) -> list[str]:
    side = controller.config.vision.image_size
    views = [torch.randn(1, 3, side, side) for _ in SIZES]
    right = [controller.encode_image(view, control=True) for view in views]
    found = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tower.onnx"
        export_tower(controller, path)
        for open_session in (onnxruntime_session, openvino_session):
            call, most = open_session(str(path)), 0.0
            for view, pair in zip(views, right, strict=True):
                for result, vector in zip(call(view.numpy()), pair, strict=True):
                    difference = normalize(torch.from_numpy(result)) - normalize(vector)
                    most = max(most, float(difference.abs().max()))
            found.append(f"{most:.1e}")
    return found


def onnxruntime_session(path: str) -> Call:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda view: [np.asarray(result) for result in session.run(None, {"view": view})]


def openvino_session(path: str) -> Call:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", settings)
    return lambda view: [model({"view": view})[i].copy() for i in range(2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names or (*SHIPPED, *OFFICIAL, TOWER)
    if unknown := {*names} - {*SHIPPED, *OFFICIAL, TOWER}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    torch.manual_seed(0)
    print("| network | parameters | ONNX Runtime | OpenVINO |\n|---|---|---|---|", flush=True)
    for name in names:
        if name == TOWER:
            tower = alive(DaCLIP()).eval().requires_grad_(False)
            count = sum(parameter.numel() for parameter in tower.parameters()) / 1e6
            row = " | ".join(tower_differences(tower))
            print(f"| {name} | {count:.1f} M | {row} |", flush=True)
            continue
        if name in OFFICIAL:
            network, diffusion = alive(OFFICIAL[name]()), name == "irsde-unet"
        else:
            parts = load_parts(name)
            network, diffusion = parts.network, parts.predicts is not None
        count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        # A network that is no graph is PyTorch's alone.
        row = " | ".join(differences(network, diffusion) if network.graphs else ("–", "–"))
        print(f"| {name} | {count:.1f} M | {row} |", flush=True)


if __name__ == "__main__":
    main()
