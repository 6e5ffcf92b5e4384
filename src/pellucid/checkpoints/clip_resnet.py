"""CLIP RN50's image tower from a file: the official archive, or a state dict of it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.load import load_into
from pellucid.checkpoints.openai_clip import open_archive
from pellucid.errors import CheckpointError
from pellucid.vision_language.resnet import CLIPResNet


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
    elif archive := open_archive(path):
        state = archive[1]
    else:
        state = safe.load(path)
    visual = {name: value for name, value in state.items() if name.startswith("visual.")}
    if not visual:
        raise CheckpointError(f"{path} holds no image tower of CLIP (no name begins with visual.)")
    model = CLIPResNet()
    # Some conversions leave out the norms' counts of batches, which only training reads.
    counts = {n: v for n, v in model.state_dict().items() if n.endswith("num_batches_tracked")}
    return load_into(model, {**counts, **visual}, path).eval().requires_grad_(False)
