"""CLIP RN50's image tower from a file: the official archive, or a state dict of it.

OpenAI publishes RN50.pt as a TorchScript archive, which holds code. It is opened only if its sha256
is the published one; the weights are taken from it and the code is left. Weights: MIT
(https://github.com/openai/CLIP).
"""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

import torch

from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.load import load_into
from pellucid.errors import CheckpointError
from pellucid.vision_language.resnet import CLIPResNet

RN50_SHA256 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"


def load_rn50(path: str | PathLike) -> CLIPResNet:
    """Build the image tower of a file, frozen and in evaluation mode, float32 on the CPU.

    Args:
        path: the official RN50.pt, or a `.pt`, `.pth` or `.safetensors` state dict with its names
            (`visual.*`; what else it holds is left).

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of another network.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        state = load_bundle(path)[0]
    elif path.is_file() and _sha256(path) == RN50_SHA256:
        state = torch.jit.load(path, map_location="cpu").state_dict()
    else:
        state = safe.load(path)
    visual = {name: value for name, value in state.items() if name.startswith("visual.")}
    if not visual:
        raise CheckpointError(f"{path} holds no image tower of CLIP (no name begins with visual.)")
    model = CLIPResNet()
    # Some conversions leave out the norms' counts of batches, which only training reads.
    counts = {n: v for n, v in model.state_dict().items() if n.endswith("num_batches_tracked")}
    return load_into(model, {**counts, **visual}, path).eval().requires_grad_(False)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
