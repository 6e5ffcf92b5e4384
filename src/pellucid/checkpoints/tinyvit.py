"""TinyViT-5M's first convolutions from the ONNX file that `laboratory.fetch_teachers` fetches."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch

from pellucid.errors import CheckpointError
from pellucid.vision_language.tinyvit import TinyViTStem

FETCH = "python -m laboratory.fetch_teachers in a clone of the repository"


def load_tinyvit(path: str | PathLike) -> TinyViTStem:
    """Build TinyViT-5M's first convolutions, frozen, in evaluation mode, float32 on the CPU.

    Raises:
        CheckpointError: the file is missing, or its first convolutions are not TinyViT-5M's.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is missing: run {FETCH}")
    import onnx  # pyright: ignore - as for onnxruntime: only who distils from this teacher needs it

    graph = onnx.load(path).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    names = (n for node in graph.node if node.op_type == "Conv" for n in node.input[1:])
    model = TinyViTStem()
    for parameter, name in zip(model.parameters(), names, strict=False):
        value = torch.from_numpy(onnx.numpy_helper.to_array(stored[name]).copy())
        if value.shape != parameter.shape:
            raise CheckpointError(f"{path} is not TinyViT-5M: {name} is {tuple(value.shape)}")
        parameter.data.copy_(value)
    return model.eval().requires_grad_(False)
