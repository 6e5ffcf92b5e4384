"""Write a model as graphs, ONNX or OpenVINO, which run without this package and PyTorch (ours).

    network, tower = export(pellucid.load("lite", dtype="float32"), "lite.onnx")

`examples/restore_onnx.py` restores a picture with the two files, onnxruntime and numpy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from pellucid import __version__, zoo
from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.restorer import Restorer
from pellucid.runtimes.graph import LARGEST_SIDE, OPSET, write_graph
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.image_tower import ImageTower

SHAPE = 96, 64  # px, of the picture that is traced; any multiple of a network's `multiple`
TOWER = "tower"
SUFFIXES = (".onnx", ".xml")


class _Restoring(nn.Module):
    """Network and condition as one function of tensors."""

    def __init__(
        self, network: RestorationNetwork, names: tuple[str, ...], semantics: ImageTower | None
    ):
        super().__init__()
        self.network, self.names, self.semantics = network, names, semantics

    def condition(self, image: Tensor, guidance: list[Tensor]) -> Any:
        given: dict[str, Any] = dict(zip(self.names, guidance, strict=True))
        if self.semantics is not None:
            given["semantics"] = self.semantics.encode(image)
        return self.network.condition(image, Guidance(**given))

    def forward(self, image: Tensor, guidance: list[Tensor]) -> Tensor:
        return self.network(image, self.condition(image, guidance))


class _Denoising(_Restoring):
    """The same of a diffusion network: one call of the sampler."""

    def forward(self, x: Tensor, image: Tensor, t: Tensor, guidance: list[Tensor]) -> Tensor:
        return self.network(x, image, t, self.condition(image, guidance))


class _Seeing(nn.Module):
    """The controller's two embeddings of a normalised view."""

    def __init__(self, controller: DaCLIP):
        super().__init__()
        self.controller = controller

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        content, degradation = self.controller.encode_image(view, control=True)
        return content, degradation


def export(restorer: Restorer, path: str | Path) -> tuple[Path, ...]:
    """Write a model's network, and the tower that guides it, as ONNX files.

    The network's graph has the inputs `image` `(1, 3, H, W)` in [0, 1], H and W multiples of
    `multiple`, and what guides it (`degradation`, `content`); an image tower for semantics is
    part of the graph. Its output `restored` is not clamped. That of a diffusion network has the
    state `x` and the time `t` `(1,)` as well, and predicts what `predicts` says. The
    tower's graph, beside it as `NAME-tower.onnx`, turns a normalised view `(1, 3, S, S)` into
    `content` and `degradation` `(1, D)`; those of a picture's views are averaged. The
    metadata entry `pellucid` of both files is JSON: licence, sha256 of the weights, opset, the
    package's largest tile and the overlap of tiles (px), multiple, words and their embeddings, the
    tower's views, size, mean and standard deviation.

    Args:
        restorer: of one network, in float32.
        path: ends in `.onnx` or, for OpenVINO's own format, in `.xml`.

    Returns:
        The files written.

    Raises:
        UsageError: the name, or a network that needs something else.
        ModuleNotFoundError: onnx and onnxscript (the extra `onnx`) or openvino are missing.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: the name must end in {' or '.join(SUFFIXES)}")
    network, controller = restorer.network, restorer.controller
    if not network.graphs:
        raise UsageError(f"{type(network).__name__} cannot be exported as a graph")
    reads = restorer.semantics if "semantics" in network.needs else None
    names = tuple(sorted(network.needs - ({"semantics"} if reads is not None else set())))
    height, width = (-(-side // network.multiple) * network.multiple for side in SHAPE)
    image = torch.rand(1, 3, height, width)
    guidance = [_example(name, controller) for name in names]
    rows, columns = (
        network.multiple * Dim(side, min=1, max=LARGEST_SIDE // network.multiple) for side in "hw"
    )
    picture = {2: rows, 3: columns}
    inputs: tuple[Any, ...] = (image, guidance)
    shapes: tuple[Any, ...] = (picture, [None] * len(names))
    labels = ["image", *names]
    module: nn.Module = _Restoring(network, names, reads)
    if restorer.is_diffusion:
        inputs = (image.clone(), image, torch.ones(1), guidance)
        shapes = (picture, picture, None, [None] * len(names))
        labels = ["x", "image", "t", *names]
        module = _Denoising(network, names, reads)
    about = _about(restorer)
    write_graph(module.eval(), inputs, shapes, labels, ["restored"], path, about)
    if controller is None:
        return (path,)
    beside = tower_beside(path)
    export_tower(controller, beside, about)
    return path, beside


def export_tower(controller: DaCLIP, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the graph of a tower: from `view` to `content` and `degradation`; see `export`.

    Args:
        controller: in float32, on the CPU.
        path: ends in `.onnx` or `.xml`.
        metadata: see `write_graph`.
    """
    side = controller.config.vision.image_size
    view, outputs = torch.rand(1, 3, side, side), ["content", "degradation"]
    write_graph(_Seeing(controller).eval(), (view,), (None,), ["view"], outputs, path, metadata)


def tower_beside(path: Path) -> Path:
    """The file of the tower that guides the network in a file."""
    return path.with_name(f"{path.stem}-{TOWER}{path.suffix}")


def _example(name: str, controller: DaCLIP | None) -> Tensor:
    if name not in ("content", "degradation") or controller is None:
        raise UsageError(f"a network that needs {name!r} is not exported yet")
    return torch.zeros(1, controller.config.embed_dim)


def _about(restorer: Restorer) -> dict[str, str]:
    """Metadata: what the two graphs need to be used, as one JSON text."""
    row = zoo.MODELS.get(restorer.name)
    about: dict[str, Any] = {
        "pellucid": __version__,
        "model": restorer.name,
        "weights": restorer.fingerprint(),
        "licence": row.licence if row else "",
        "opset": OPSET,
        "tile": restorer.side,
        "overlap": restorer.network.overlap,
        "multiple": restorer.network.multiple,
        "predicts": restorer.predicts or "picture",
    }
    controller = restorer.controller
    if controller is not None:
        config = controller.config
        about |= {"views": config.views, "size": config.vision.image_size}
        about |= {"mean": list(config.mean), "std": list(config.std)}
        if restorer.text_features is not None:
            rows = restorer.text_features.tolist()
            about["words"] = dict(zip(restorer.words, rows, strict=True))
            about["scale"] = float(controller.logit_scale.exp())
    return {"pellucid": json.dumps(about)}
