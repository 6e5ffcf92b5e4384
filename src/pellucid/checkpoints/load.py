"""From a file of weights to a network or a tower.

All are frozen, in evaluation mode, float32, on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pellucid.checkpoints.weights import PROMPTS, READER, Weights, read_weights
from pellucid.errors import CheckpointError
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.table import NETWORKS, Prediction
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.controller import Controller, DaCLIP
from pellucid.vision_language.dinov2 import DINOv2
from pellucid.vision_language.hub import DINOV2_BASE
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.instructions import InstructionReader, ReaderConfig
from pellucid.vision_language.prompts import TOKENS, QualityPrompts
from pellucid.vision_language.semantics import TowerSemantics
from pellucid.vision_language.towers import TOWERS

Module = TypeVar("Module", bound=nn.Module)
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A restoration network and what its file says of it."""

    network: RestorationNetwork
    predicts: Prediction | None
    """Of a diffusion network; None for the others."""
    sde: dict[str, Any] = field(default_factory=dict)
    """Arguments of its `MeanRevertingSDE`; empty for the official one."""
    meta: dict[str, Any] = field(default_factory=dict)


def build(weights: Weights) -> nn.Module:
    """Build the network or tower that weights belong to.

    Raises:
        CheckpointError: they are of an unknown network, or do not fit.
    """
    if weights.kind in NETWORKS:
        row = NETWORKS[weights.kind]
        return _filled(row.network, weights.config(row.config), weights)
    if weights.kind in TOWERS:
        row = TOWERS[weights.kind]
        return _filled(row.tower, weights.config(row.config), weights)
    if not weights.kind:
        raise CheckpointError(
            f"{weights.path}: weights of an unknown network; neither a Pellucid bundle nor an "
            f"official file of {', '.join([*NETWORKS, *TOWERS])} (its first key is "
            f"{next(iter(weights.state))})"
        )
    raise CheckpointError(
        f"{weights.path} holds a network of kind {weights.kind!r}; known: "
        f"{', '.join([*NETWORKS, *TOWERS])}. Is Pellucid up to date?"
    )


def load_network(path: str | PathLike) -> LoadedNetwork:
    """Load a restoration network.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    weights = read_weights(path)
    if weights.kind in TOWERS:
        raise CheckpointError(
            f"{path} is a {weights.kind} tower, which describes pictures; a restoration network "
            "is needed"
        )
    if weights.kind in (PROMPTS, READER):
        raise CheckpointError(f"{path} holds {weights.kind}, not a restoration network")
    network = build(weights)
    assert isinstance(network, RestorationNetwork)
    meta = weights.meta
    predicts = meta.get("predicts", NETWORKS[weights.kind].predicts)
    return LoadedNetwork(network, predicts, meta.get("sde", {}), meta)


def load_daclip(path: str | PathLike) -> DaCLIP:
    """Load a DA-CLIP tower.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    return daclip(read_weights(path))


def daclip(weights: Weights) -> DaCLIP:
    """The DA-CLIP tower of weights.

    Raises:
        CheckpointError: they are of something else, or do not fit.
    """
    if weights.kind != "daclip":
        raise CheckpointError(
            f"{weights.path} holds {weights.kind or 'unknown'} weights, not a DA-CLIP tower"
        )
    tower = build(weights)
    assert isinstance(tower, DaCLIP)
    return tower


def load_clip(path: str | PathLike) -> CLIP:
    """Load a CLIP: a bundle, OpenAI's ViT-B-32.pt, or the one inside a DA-CLIP.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    weights = read_weights(path)
    if weights.kind not in ("clip", "daclip"):
        raise CheckpointError(
            f"{path} holds {weights.kind or 'unknown'} weights, not a CLIP; give OpenAI's "
            "ViT-B-32.pt as it was published, a DA-CLIP, or what `pellucid convert` made of one"
        )
    tower = build(weights)
    clip = tower.clip if isinstance(tower, DaCLIP) else tower
    assert isinstance(clip, CLIP)
    return clip


def load_image_tower(source: str | PathLike = DINOV2_BASE) -> ImageTower:
    """Load the tower that reads pictures for a network that needs semantics.

    Args:
        source: a file: CLIP RN50 (the official RN50.pt, or its state dict), or a CLIP or DA-CLIP
            whose image tower is read. Or DINOv2: a folder, or its name on the hub.

    Raises:
        CheckpointError: as `load_clip` and `DINOv2.from_pretrained`.
    """
    if not Path(source).is_file() and Path(source).suffix.lower() not in SUFFIXES:
        return DINOv2.from_pretrained(source)
    weights = read_weights(source)
    if weights.kind not in TOWERS:
        raise CheckpointError(
            f"{source} holds no image tower of CLIP, but {weights.kind or 'unknown'} weights"
        )
    tower = build(weights)
    if isinstance(tower, DaCLIP | CLIP):
        return TowerSemantics(tower)
    assert isinstance(tower, ImageTower)
    return tower


def load_prompts(path: str | PathLike, clip: CLIP) -> QualityPrompts:
    """Load Perceive-IR's prompts, official or ours, for the tower that they were learned with.

    Raises:
        CheckpointError: the file holds something else, or the prompts were learned with another
            tower.
    """
    weights = read_weights(path)
    if weights.kind != PROMPTS:
        raise CheckpointError(
            f"{path} holds {weights.kind or 'unknown'} weights, not quality prompts"
        )
    state = weights.state
    other = CheckpointError(f"{path} was learned with another tower than this")
    ids = state["tokenized_prompts"][:1, [0, 1, TOKENS + 1]]  # start, X, end
    if ids.max() >= len(clip.token_embedding.weight):
        raise other
    reads = any(name.startswith("controller.") for name in state)
    with unfilled():
        controller = Controller(clip.config).eval() if reads else None
    prompts = QualityPrompts(clip, lambda texts: ids.expand(len(texts), -1), controller)
    fixed = [prompts.token_prefix.clone(), prompts.token_suffix.clone()]
    load_into(prompts, state, path)
    loaded = [prompts.token_prefix, prompts.token_suffix]
    # official ones went through half precision
    same = (torch.allclose(a, b, rtol=0.02, atol=1e-3) for a, b in zip(loaded, fixed, strict=True))
    if not all(same):
        raise other
    return prompts


def load_reader(path: str | PathLike) -> InstructionReader:
    """Load a reader of instructions.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    weights = read_weights(path)
    if weights.kind != READER:
        raise CheckpointError(
            f"{path} holds {weights.kind or 'unknown'} weights, not a reader of instructions"
        )
    reader = _filled(InstructionReader, weights.config(ReaderConfig), weights)
    assert isinstance(reader, InstructionReader)
    return reader


def load_into(
    module: Module, state_dict: Mapping[str, Tensor], source: str | PathLike, assign: bool = False
) -> Module:
    """Load weights into a module, every name and shape or none at all; returns the module.

    Args:
        module: keeps its precision.
        state_dict: the weights.
        source: named in errors.
        assign: put the tensors themselves in place of the module's, without a copy.

    Raises:
        CheckpointError: names the first keys that are missing, unknown or of another shape.
    """
    own = module.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    found = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in expected]
    faults += [
        f"{name} is {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise CheckpointError(
            f"{source} does not fit {type(module).__name__}: {'; '.join(faults[:3])}{more}"
        )
    state = {name: tensor.to(own[name].dtype) for name, tensor in state_dict.items()}
    module.load_state_dict(state, assign=assign)
    return module


class _Unfilled(TorchFunctionMode):
    """Leaves out what would only fill memory with first values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init" or func in FILLS:
            return args[0] if args else (kwargs or {})["tensor"]
        return SOURCES.get(func, func)(*args, **(kwargs or {}))


FILLS = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.copy_}
SOURCES: dict[Any, Any] = {torch.randn: torch.empty, torch.rand: torch.empty}


@contextmanager
def unfilled() -> Iterator[None]:
    """Modules made inside have parameters without values: all must come from a file.

    Faster than random values, and than the meta device, whose `randn` imports `torch._dynamo`.
    """
    with _Unfilled(), torch.no_grad():
        yield


def _filled(network: Any, config: Any, weights: Weights) -> nn.Module:
    try:
        with unfilled():
            module = network(config)
    except Exception as error:  # sizes that make no sense fail wherever they are used first
        raise CheckpointError(f"{weights.path} has sizes that make no network: {error}") from error
    load_into(module, weights.state, weights.path, assign=True)
    return module.to(torch.float32).eval().requires_grad_(False)
