"""What int8 takes from `lite`, in ONNX Runtime and OpenVINO, and what it saves; prints Markdown.

    python benchmarks/int8.py DATA [--sets clean_noharm ...] [--limit 4] [--calibration examples]

DATA holds `SET/{lq,gt}`. The network's graph is quantised by ONNX Runtime (QDQ, a scale for each
output channel of a weight, ranges of activations from the pictures of the calibration): `weights`
only, `all` convolutions, and `inner`, all but the first and the last. A row for each set: PSNR of
8-bit pictures in float32, and what each adds or takes, in dB. Last, CPU seconds a megapixel of one
thread, the least of all calls; read them on an idle machine.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from engine_agreement import pairs, picture, quality
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import pellucid
from pellucid.networks.contract import Guidance
from pellucid.runtimes.graph import flat, tile_graph
from pellucid.runtimes.run import OnnxRuntime, OpenVINO

MOST = 256  # px along a side
CPU = torch.device("cpu")
VARIANTS = {
    "onnxruntime float32": (OnnxRuntime, torch.float32, "float32"),
    "onnxruntime int8 weights": (OnnxRuntime, torch.float32, "weights"),
    "onnxruntime int8 all": (OnnxRuntime, torch.float32, "all"),
    "onnxruntime int8 inner": (OnnxRuntime, torch.float32, "inner"),
    "openvino float32": (OpenVINO, torch.float32, "float32"),
    "openvino bfloat16": (OpenVINO, torch.bfloat16, "float32"),
    "openvino int8 all": (OpenVINO, torch.float32, "all"),
    "openvino int8 inner": (OpenVINO, torch.float32, "inner"),
}


class Calibration(CalibrationDataReader):
    """Inputs of a graph, one call after the other."""

    def __init__(self, feeds: list[dict[str, np.ndarray]]):
        self.feeds = iter(feeds)

    def get_next(self) -> Any:
        return next(self.feeds, None)


def cropped(image: torch.Tensor, multiple: int) -> torch.Tensor:
    h, w = (min(side, MOST) // multiple * multiple for side in image.shape[-2:])
    return image[..., :h, :w]


def feeds_of(tile: torch.Tensor, condition: Any) -> dict[str, np.ndarray]:
    others = {f"condition{i}": part.numpy() for i, part in enumerate(flat(condition))}
    return {"tile": tile.numpy(), **others}


def quantise(path: Path, feeds: list[dict[str, np.ndarray]], folder: Path) -> dict[str, Path]:
    """The graphs by name."""
    made = {"float32": path, **{name: folder / f"{name}.onnx" for name in ("weights", "all")}}
    made["inner"] = folder / "inner.onnx"
    model = onnx.load(path)
    kernels = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            values = onnx.numpy_helper.to_array(tensor)
            scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127
            rounded = np.round(values / np.maximum(scale, 1e-12)) * scale
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))
    onnx.save(model, made["weights"])
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    model = onnx.load(prepared)
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    wanted = {node.name for node in model.graph.input}
    feeds = [{name: feed[name] for name in wanted} for feed in feeds]
    for name, left_out in (("all", []), ("inner", [convolutions[0], convolutions[-1]])):
        quantize_static(
            str(prepared),
            str(made[name]),
            Calibration(feeds),
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=left_out,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return made


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--sets", nargs="+", help="folders of DATA; all if not given")
    parser.add_argument("--limit", type=int, default=4, help="pictures of a set")
    parser.add_argument("--calibration", type=Path, default=Path("examples"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    restorer = pellucid.load(args.model, "cpu", "float32", guard=False)
    network = restorer.network

    def conditioned(image: torch.Tensor) -> Any:
        found = Guidance.joined(restorer.diagnose(image))
        return restorer.condition(image, restorer.completed(image, found))

    def calibrating() -> Iterator[tuple[torch.Tensor, Any]]:
        for path in sorted(args.calibration.iterdir()):
            if path.suffix in (".png", ".jpg"):
                tile = cropped(picture(path), network.multiple)
                yield tile, conditioned(tile)

    examples = list(calibrating())
    with TemporaryDirectory() as folder:
        path = tile_graph(network, [examples[0][0]], examples[0][1])
        graphs = quantise(path, [feeds_of(*example) for example in examples], Path(folder))
        runs = {
            name: kind(network, CPU, dtype)._open(str(graphs[graph]))
            for name, (kind, dtype, graph) in VARIANTS.items()
        }
    print(f"| {args.model} | n | float32 | {' | '.join(runs)} |")
    print("|---|---|---|" + "---|" * len(runs), flush=True)
    seconds = dict.fromkeys(runs, float("inf"))
    sets = args.sets or sorted(f.name for f in args.data.iterdir() if (f / "lq").is_dir())
    for name in sets:
        rows = []
        for damaged, clean in pairs(args.data / name, args.limit):
            image = cropped(picture(damaged), network.multiple)
            truth = cropped(picture(clean), network.multiple)
            condition = conditioned(image)
            right = quality(network(image, condition).clamp(0, 1), truth)
            row = [right]
            for variant, call in runs.items():
                began = time.process_time()
                result = call(feeds_of(image, condition))
                spent = (time.process_time() - began) / (image[0, 0].numel() / 1e6)
                seconds[variant] = min(seconds[variant], spent)
                row.append(quality(torch.from_numpy(result).clamp(0, 1), truth) - right)
            rows.append(row)
        first, *changes = torch.tensor(rows).mean(0).tolist()
        print(f"| {name} | {len(rows)} | {first:.2f} ", end="")
        print(f"| {' | '.join(f'{change:+.3f}' for change in changes)} |", flush=True)
    print(f"| s/MP | | | {' | '.join(f'{value:.2f}' for value in seconds.values())} |")


if __name__ == "__main__":
    main()
