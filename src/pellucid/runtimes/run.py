"""The engines: each computes `network(*pictures, condition)`.

An engine is made for one network. Its call takes the pictures that go before the condition (a tile
`(B, 3, H, W)`; of a diffusion network state, tile and times `(B,)`) and the condition, on the
engine's device, and returns float32 `(B, 3, H, W)`. Any H, W >= 1 are taken. ONNX Runtime and
OpenVINO compute on the CPU, one picture at a time, a graph that is exported once and kept in the
cache.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.layers import pad_to_multiple
from pellucid.runtimes.graph import flat, picture_names, tile_graph

Run = Callable[[dict[str, np.ndarray]], np.ndarray]


class Torch:
    """PyTorch as it is; reduced precision is autocast."""

    packages: tuple[str, ...] = ()
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16, torch.float16)
    on_cpu_only = False

    def __init__(self, network: RestorationNetwork, device: torch.device, dtype: torch.dtype):
        self.network, self.device, self.dtype = network, device, dtype

    def __call__(self, pictures: Sequence[Tensor], condition: Any) -> Tensor:
        reduced = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype) if reduced else nullcontext():
            return self.network(*pictures, condition).float()


class Compiled(Torch):
    """PyTorch's compiler: one kernel set for all sizes on a CPU, CUDA graphs for each on a GPU."""

    def __init__(self, network: RestorationNetwork, device: torch.device, dtype: torch.dtype):
        super().__init__(network, device, dtype)
        if device.type == "cpu":
            _check_compiler()
        graphs = device.type == "cuda"
        mode = "reduce-overhead" if graphs else None
        self.compiled: Any = torch.compile(network, dynamic=not graphs, mode=mode)

    def __call__(self, pictures: Sequence[Tensor], condition: Any) -> Tensor:
        reduced = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype) if reduced else nullcontext():
            if self.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
                return self.compiled(*pictures, condition).float().clone()  # graphs reuse memory
            return self.compiled(*pictures, condition).float()


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise UsageError("the engine compile needs a C++ compiler, such as g++") from error


class _Graph:
    """An engine that runs an ONNX file; a subclass says how to open it."""

    packages: tuple[str, ...]
    dtypes: tuple[torch.dtype, ...]
    on_cpu_only = True

    def __init__(self, network: RestorationNetwork, device: torch.device, dtype: torch.dtype):
        self.network, self.dtype = network, dtype
        self.opened: dict[tuple[torch.Size, ...], Run] = {}

    def __call__(self, pictures: Sequence[Tensor], condition: Any) -> Tensor:
        rows = range(len(pictures[0]))
        return torch.cat([self._one(pictures, flat(condition), condition, i) for i in rows])

    def _one(
        self, pictures: Sequence[Tensor], tensors: list[Tensor], condition: Any, row: int
    ) -> Tensor:
        """The result of one picture of a batch."""
        h, w = pictures[0].shape[-2:]
        parts = [part[row : row + 1] if len(part) > 1 else part for part in pictures]
        parts = [
            pad_to_multiple(part, self.network.multiple) if part.ndim == 4 else part
            for part in parts
        ]
        tensors = [t[row : row + 1] if len(t) > 1 else t for t in tensors]
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.opened:
            of_one = _first(condition)
            self.opened[shapes] = self._open(str(tile_graph(self.network, parts, of_one)))
        names = [*picture_names(len(parts) > 1), *(f"condition{i}" for i in range(len(tensors)))]
        feeds = {
            name: tensor.float().contiguous().numpy()
            for name, tensor in zip(names, (*parts, *tensors), strict=True)
        }
        try:
            result = self.opened[shapes](feeds)
        except Exception as error:  # each library has its own
            if "alloc" in str(error).lower():
                raise MemoryError(f"out of memory: {error}") from error
            raise
        return torch.from_numpy(result)[..., :h, :w]

    def _open(self, path: str) -> Run:
        raise NotImplementedError


def _first(condition: Any) -> Any:
    """The condition of the first picture of a batch."""
    if condition is None or isinstance(condition, Tensor):
        return None if condition is None else condition[:1]
    parts = [_first(part) for part in condition]
    return type(condition)(*parts) if hasattr(condition, "_fields") else tuple(parts)


class OnnxRuntime(_Graph):
    """ONNX Runtime on the CPU, float32."""

    packages = ("onnxruntime", "onnx", "onnxscript")
    dtypes = (torch.float32,)

    def _open(self, path: str) -> Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.enable_cpu_mem_arena = False  # it would keep the largest tile's memory
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        wanted = {node.name for node in session.get_inputs()}

        def run(feeds: dict[str, np.ndarray]) -> np.ndarray:
            asked = {name: array for name, array in feeds.items() if name in wanted}
            return np.asarray(session.run(None, asked)[0])

        return run


class OpenVINO(_Graph):
    """OpenVINO on the CPU."""

    packages = ("openvino", "onnx", "onnxscript")
    dtypes = (torch.float32, torch.bfloat16)

    def _open(self, path: str) -> Run:
        import openvino

        precision = {torch.float32: "f32", torch.bfloat16: "bf16"}[self.dtype]
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        model = openvino.Core().compile_model(path, "CPU", settings)
        wanted = {name for port in model.inputs for name in port.names}
        return lambda feeds: model(
            {name: array for name, array in feeds.items() if name in wanted}
        )[0].copy()


ENGINES: dict[str, type[Torch] | type[_Graph]] = {
    "torch": Torch,
    "compile": Compiled,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVINO,
}


def installed(name: str) -> bool:
    """Whether the packages of an engine are there."""
    return all(importlib.util.find_spec(package) for package in ENGINES[name].packages)


def check_engine(name: str, device: torch.device, dtype: torch.dtype | None) -> None:
    """`UsageError` if an engine is unknown, not installed, or cannot compute so."""
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; known: auto, {', '.join(ENGINES)}")
    engine = ENGINES[name]
    if not installed(name):
        extra = {"onnxruntime": "onnx"}.get(name, name)
        raise UsageError(f"the engine {name} is not installed: pip install 'pellucid[{extra}]'")
    if engine.on_cpu_only and device.type != "cpu":
        raise UsageError(f"the engine {name} computes on the CPU: add device cpu")
    if dtype is not None and dtype not in engine.dtypes:
        known = ", ".join(str(d).split(".")[-1] for d in engine.dtypes)
        raise UsageError(f"the engine {name} computes in {known} only")
