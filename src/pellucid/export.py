"""Write a model as ONNX graphs, which run without this package and without PyTorch (ours).

    network, tower = export(pellucid.load("lite", dtype="float32"), "lite.onnx")

``examples/restore_onnx.py`` restores a picture with the two files, onnxruntime and numpy.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from pellucid import __version__
from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.restorer import Restorer
from pellucid.vision_language.controller import DaCLIP

OPSET = 18
SHAPE = 96, 64  # px, of the picture that is traced; any multiple of a network's `multiple`
LARGEST = 16384  # px along a side
TOWER = "tower"


class _Restoring(nn.Module):
    """Network and condition as one function of tensors."""

    def __init__(self, network: RestorationNetwork, names: tuple[str, ...]):
        super().__init__()
        self.network, self.names = network, names

    def forward(self, image: Tensor, guidance: list[Tensor]) -> Tensor:
        given = Guidance(**dict(zip(self.names, guidance, strict=True)))
        return self.network(image, self.network.condition(image, given))


class _Denoising(_Restoring):
    """The same of a diffusion network: one call of the sampler."""

    def forward(self, x: Tensor, image: Tensor, t: Tensor, guidance: list[Tensor]) -> Tensor:
        given = Guidance(**dict(zip(self.names, guidance, strict=True)))
        return self.network(x, image, t, self.network.condition(image, given))


class _Seeing(nn.Module):
    """The controller's two embeddings of a normalised view."""

    def __init__(self, controller: DaCLIP):
        super().__init__()
        self.controller = controller

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        return self.controller.encode_image(view, control=True)


def export(restorer: Restorer, path: str | Path) -> tuple[Path, ...]:
    """Write a model's network, and the tower that guides it, as ONNX files.

    The network's graph has the inputs ``image`` ``(1, 3, H, W)`` in [0, 1], H and W multiples of
    ``multiple``, and what guides it (``degradation``, ``content``, ... as in ``Guidance``); its
    output ``restored`` is not clamped. That of a diffusion network has the state ``x`` and the time
    ``t`` ``(1,)`` as well, and predicts what ``predicts`` says. The tower's graph, beside it as
    ``NAME-tower.onnx``, turns a normalised view ``(1, 3, S, S)`` into ``content`` and
    ``degradation`` ``(1, D)``; those of a picture's views are averaged. The metadata entry
    ``pellucid`` of both files is JSON: multiple, words and their embeddings, the tower's views,
    size, mean and standard deviation.

    Args:
        restorer: of one network, in float32.
        path: ends in ``.onnx``.

    Returns:
        The files written.

    Raises:
        UsageError: the name, or a network that reads semantics of another tower.
        ModuleNotFoundError: onnx and onnxscript are missing (the extra ``onnx``).
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: the name must end in .onnx")
    network, controller = restorer.network, restorer.controller
    names = tuple(sorted(network.needs))
    if restorer.semantics is not None:
        raise UsageError(
            f"{restorer.name} reads the picture by another image tower, which is not exported yet"
        )
    height, width = (-(-side // network.multiple) * network.multiple for side in SHAPE)
    image = torch.rand(1, 3, height, width)
    guidance = [_example(name, controller) for name in names]
    rows, columns = (
        network.multiple * Dim(side, min=1, max=LARGEST // network.multiple) for side in "hw"
    )
    picture = {2: rows, 3: columns}
    inputs: tuple[Any, ...] = (image, guidance)
    shapes: tuple[Any, ...] = (picture, [None] * len(names))
    labels = ["image", *names]
    module: nn.Module = _Restoring(network, names)
    if restorer.is_diffusion:
        inputs = (image.clone(), image, torch.ones(1), guidance)
        shapes = (picture, picture, None, [None] * len(names))
        labels = ["x", "image", "t", *names]
        module = _Denoising(network, names)
    about = _about(restorer)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(module, inputs, shapes, labels, ["restored"], about, path)
    if controller is None:
        return (path,)
    side = controller.config.vision.image_size
    view = torch.rand(1, 3, side, side)
    beside = path.with_name(f"{path.stem}-{TOWER}.onnx")
    outputs = ["content", "degradation"]
    _write(_Seeing(controller), (view,), (None,), ["view"], outputs, about, beside)
    return path, beside


def _example(name: str, controller: DaCLIP | None) -> Tensor:
    if name not in ("content", "degradation") or controller is None:
        raise UsageError(f"a network that needs {name!r} is not exported yet")
    return torch.zeros(1, controller.config.embed_dim)


def _about(restorer: Restorer) -> dict[str, Any]:
    """What the two graphs need to be used, as JSON can hold it."""
    about: dict[str, Any] = {
        "pellucid": __version__,
        "model": restorer.name,
        "weights": restorer.fingerprint(),
        "licence": "Apache-2.0",
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
    return about


def _write(
    module: nn.Module,
    inputs: tuple[Any, ...],
    shapes: tuple[Any, ...],
    names: list[str],
    outputs: list[str],
    about: dict[str, Any],
    path: Path,
) -> None:
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval().cpu().float(),
                inputs,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                input_names=names,
                output_names=outputs,
                verbose=False,
            )
    finally:
        loud.setLevel(level)
    assert program is not None
    program.model.metadata_props["pellucid"] = json.dumps(about)
    program.save(path)
