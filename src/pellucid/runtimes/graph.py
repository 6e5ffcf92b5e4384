"""Networks as ONNX graphs with dynamic height and width."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.checkpoints.download import cache_folder
from pellucid.networks.contract import RestorationNetwork

OPSET = 20
LARGEST_SIDE = 1 << 15  # px of a picture in a graph


def digest(*modules: nn.Module | None) -> str:
    """Hexadecimal sha256 of all weights by name, the same whatever file they came from."""
    found = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()) if module else ():
            found.update(name.encode())
            found.update(tensor.contiguous().cpu().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def flat(condition: Any) -> list[Tensor]:
    """The tensors of a condition: a tensor, None, or tuples of such."""
    if condition is None or isinstance(condition, Tensor):
        return [] if condition is None else [condition]
    return [tensor for part in condition for tensor in flat(part)]


def rebuilt(condition: Any, tensors: Iterator[Tensor]) -> Any:
    """A condition like the given one, of other tensors in the order of `flat`."""
    if condition is None or isinstance(condition, Tensor):
        return None if condition is None else next(tensors)
    parts = [rebuilt(part, tensors) for part in condition]
    return type(condition)(*parts) if hasattr(condition, "_fields") else tuple(parts)


class TileCall(nn.Module):
    """`network(*pictures, condition)` with the tensors of the condition in a row."""

    def __init__(self, network: RestorationNetwork, condition: Any):
        super().__init__()
        self.network, self.example = network, condition

    def forward(self, pictures: Sequence[Tensor], tensors: Sequence[Tensor] = ()) -> Tensor:
        return self.network(*pictures, rebuilt(self.example, iter(tensors)))


def picture_names(diffusion: bool) -> list[str]:
    """Inputs of a network before its condition."""
    return ["x", "mu", "t"] if diffusion else ["tile"]


def tile_sides(multiple: int) -> list[dict[int, Any]]:
    """Dynamic height and width of tiles: multiples of `multiple`."""
    most = LARGEST_SIDE // multiple
    return [{i + 2: multiple * torch.export.Dim(n, min=1, max=most) for i, n in enumerate("hw")}]


def write_graph(
    module: nn.Module,
    arguments: tuple[Any, ...],
    dynamic: tuple[Any, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a module as a file; one that is there is replaced when the new one is complete.

    Args:
        module: in evaluation mode, on the CPU.
        arguments: examples of its arguments.
        dynamic: for each argument the dimensions that vary, as `torch.export` takes them.
        inputs: names of the graph's inputs. Those that the module does not read are left out.
        outputs: names of its outputs.
        path: ends in `.onnx` or, for OpenVINO's own format, in `.xml`; the weights of that one
            are in `.bin` beside it.
        metadata: becomes `metadata_props` of an ONNX model, `rt_info` of OpenVINO's.
    """
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it asks for torchvision
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                arguments,
                dynamo=True,
                dynamic_shapes=dynamic,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    assert program is not None
    program.model.metadata_props.update(metadata or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
        unfinished = Path(folder) / path.with_suffix(".onnx").name
        program.save(unfinished)
        if path.suffix == ".xml":
            _convert(unfinished, Path(folder) / path.name, metadata or {})
            unfinished.unlink()
        for file in sorted(Path(folder).iterdir()):  # .bin before the .xml that names it
            file.replace(path.with_name(file.name))


def _convert(graph: Path, target: Path, metadata: Mapping[str, str]) -> None:
    import openvino

    model = openvino.convert_model(graph)
    for name, value in metadata.items():
        model.set_rt_info(value, [name])
    openvino.save_model(model, target, compress_to_fp16=False)


def tile_graph(network: RestorationNetwork, pictures: Sequence[Tensor], condition: Any) -> Path:
    """The file in the cache with a network's call, written at its first use.

    Args:
        network: in evaluation mode, on the CPU.
        pictures: examples of what goes before the condition, of one picture each.
        condition: of one picture; the graph serves conditions of the same shapes.
    """
    shapes = [tuple(tensor.shape) for tensor in flat(condition)]
    made_by = f"{type(network).__name__} {network.config} {shapes} {OPSET} {torch.__version__}"
    name = hashlib.sha256(f"{digest(network)} {made_by}".encode()).hexdigest()[:32]
    path = cache_folder() / "graphs" / f"{name}.onnx"
    if not path.exists():
        sides = tile_sides(network.multiple)
        m = network.multiple
        examples = tuple(
            torch.zeros(1, *part.shape[1:-2], 2 * m, 3 * m) if part.ndim == 4 else part[:1]
            for part in pictures
        )
        tensors = tuple(flat(condition))
        dynamic = (
            tuple(sides[0] if part.ndim == 4 else {} for part in pictures),
            tuple({} for _ in tensors),
        )
        names = picture_names(len(pictures) > 1)
        names += [f"condition{i}" for i in range(len(tensors))]
        arguments = (examples, tensors)
        if not tensors:  # torch.onnx finds no shapes for an empty tuple
            arguments, dynamic = arguments[:1], dynamic[:1]
        write_graph(TileCall(network, condition), arguments, dynamic, names, ["result"], path)
    return path
