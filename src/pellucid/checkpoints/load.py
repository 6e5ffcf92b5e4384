"""One door for weights of every origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pellucid.checkpoints import daclip, perceive, safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.openai_clip import open_archive
from pellucid.errors import CheckpointError
from pellucid.vision_language.clip import CLIP, OPENAI_VIT_B_32, CLIPConfig
from pellucid.vision_language.controller import Controller, DaCLIP
from pellucid.vision_language.prompts import TOKENS, QualityPrompts

Module = TypeVar("Module", bound=nn.Module)
_OPENAI = {"ViT-B/32": {"kind": "clip", "config": asdict(OPENAI_VIT_B_32)}}


def load_file(path: str | PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights: our own bundle, or an official `.pt`, `.pth` or plain `.safetensors`.

    Returns:
        `(state_dict, meta)`; `meta["kind"]` says which network it is ("daclip", "clip",
        "irsde-unet", "perceive-ir", "restormer-medium", "quality-prompts", or what a bundle says),
        `meta["config"]` its sizes. Of an official checkpoint both are read off
        the weights. Weights of a tower have the alias `visual.*`, whether or not the file has.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or of a network unknown here.
    """
    if Path(path).suffix == ".safetensors":
        state, meta = load_bundle(path)
    elif archive := open_archive(path):
        state, meta = archive[1], _OPENAI.get(archive[0], {})
    else:
        state, meta = safe.load(path), {}
    try:
        state = daclip.unwrap(state)
        if daclip.is_daclip(state):
            state = daclip.daclip_state_dict(state)
            return state, meta or {"kind": "daclip", "config": asdict(daclip.daclip_config(state))}
        if daclip.is_unet(state):
            return state, meta or {"kind": "irsde-unet", "config": daclip.unet_config(state)}
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    meta = meta or perceive.describe(state)
    if meta:
        return state, meta
    raise CheckpointError(
        f"{path}: weights of an unknown network; neither a Pellucid bundle nor a tower or U-Net "
        f"of DA-CLIP or a network of Perceive-IR (its first key is {next(iter(state))})"
    )


def load_into(module: Module, state_dict: Mapping[str, Tensor], source: str | PathLike) -> Module:
    """Load weights into a module, every name and shape or none at all; returns the module.

    A module built on the meta device receives the tensors themselves, in its own precision: nothing
    is initialised in vain and nothing held twice.

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
    on_meta = any(tensor.is_meta for tensor in own.values())
    state = {name: tensor.to(own[name].dtype) for name, tensor in state_dict.items()}
    module.load_state_dict(state, assign=on_meta)
    return module


def load_daclip(path: str | PathLike) -> DaCLIP:
    """Build the DA-CLIP tower of a file, frozen and in evaluation mode, float32 on the CPU.

    Raises:
        CheckpointError: as `load_file`, or the file holds another network.
    """
    state, meta = load_file(path)
    if not daclip.is_daclip(state):
        raise CheckpointError(f"{path} holds {meta.get('kind')} weights, not a DA-CLIP tower")
    return _tower(DaCLIP, state, meta, path)


def load_clip(path: str | PathLike) -> CLIP:
    """Build the CLIP of a file: a bundle, OpenAI's ViT-B-32.pt, or the one inside a DA-CLIP.

    It is frozen and in evaluation mode, float32 on the CPU.

    Raises:
        CheckpointError: as `load_file`, or the file holds another network.
    """
    state, meta = load_file(path)
    if daclip.is_daclip(state):
        return _tower(DaCLIP, state, meta, path).clip
    if meta.get("kind") != "clip":
        raise CheckpointError(f"{path} holds {meta.get('kind')} weights, not a CLIP")
    return _tower(CLIP, state, meta, path)


def _tower(kind: type[Module], state: dict, meta: dict, path: str | PathLike) -> Module:
    try:
        config = CLIPConfig.from_dict(meta["config"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not say the sizes of its tower: {error!r}") from error
    with torch.device("meta"):
        model = kind(config)
    return load_into(model, state, path).eval().requires_grad_(False)


def load_prompts(path: str | PathLike, clip: CLIP) -> QualityPrompts:
    """Read Perceive-IR's prompts, official or ours, for the tower that they were learned with.

    Raises:
        CheckpointError: as `load_file`, the file holds something else, or the prompts were learned
            with another tower.
    """
    state, meta = load_file(path)
    if meta.get("kind") != "quality-prompts":
        raise CheckpointError(f"{path} holds {meta.get('kind')} weights, not quality prompts")
    other = CheckpointError(f"{path} was learned with another tower than this")
    ids = state["tokenized_prompts"][:1, [0, 1, TOKENS + 1]]  # start, X, end
    if ids.max() >= len(clip.token_embedding.weight):
        raise other
    reads = any(name.startswith("controller.") for name in state)
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
