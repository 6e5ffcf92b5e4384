"""Our weights format: one safetensors file that says what it is.

The header carries one JSON text: `kind` (which network), `config` (its sizes), and whatever is
known of the recipe, the data and the measured scores. Tensors that are one under two names are
stored once. Large ones may be stored as whole numbers in [-127, 127] times a scale for each row (an
output channel of a convolution): half of the size of half precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pellucid.errors import CheckpointError

SCALE = ":scale"  # float32, behind the name of a tensor that is stored as int8
SMALL = 4096  # numbers; what has fewer is not worth int8


def save_bundle(
    path: str | PathLike,
    state_dict: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Write weights and what is known of them; an existing file is replaced only when done.

    Args:
        path: name ending in `.safetensors`.
        state_dict: name to tensor, on any device.
        meta: anything that JSON can hold; should have `kind` and `config`.
        dtype: bfloat16, float16 or float32 for floating-point tensors; int8 for the large ones and
            float16 for the others; None keeps theirs.

    Raises:
        CheckpointError: a finite weight would become infinite in `dtype`, or the file cannot be
            written.
        TypeError: `meta` does not fit into JSON.
    """
    header = {"pellucid": json.dumps(dict(meta))}
    first_names: dict[tuple, str] = {}
    tensors, aliases = {}, {}
    for name, tensor in state_dict.items():
        tensor = tensor.detach()
        identity = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and first_names.setdefault(identity, name) != name:
            aliases[name] = first_names[identity]
        else:
            tensors |= _stored(name, tensor, dtype)
    if aliases:
        header["aliases"] = json.dumps(aliases)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, header)
        os.replace(temporary, path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The tensor as it goes into the file: on the CPU, contiguous, in memory of its own."""
    stored = tensor.cpu()
    if dtype == torch.int8:
        if tensor.is_floating_point() and tensor.numel() >= SMALL:
            rows = stored.float().flatten(1) if stored.ndim > 1 else stored.float()[None]
            scale = rows.abs().amax(dim=1) / 127
            whole = (rows / scale.clamp(min=torch.finfo().tiny)[:, None]).round().to(torch.int8)
            return {name: whole.view(stored.shape), f"{name}{SCALE}": scale}
        dtype = torch.float16
    if dtype is not None and tensor.is_floating_point():
        stored = stored.to(dtype)
        if torch.isinf(stored).any() and not torch.isinf(tensor).any():
            raise CheckpointError(f"{name} holds numbers too large for {dtype}; use bfloat16")
    if stored.untyped_storage().nbytes() != stored.nbytes:
        stored = stored.clone()  # a slice of something larger
    return {name: stored.contiguous()}


def read_meta(path: str | PathLike) -> dict[str, Any]:
    """Read only the metadata of a bundle; empty for a safetensors file that is not one of ours.

    Raises:
        CheckpointError: the file is missing, truncated or not a safetensors file.
    """
    return json.loads(_header(path).get("pellucid", "{}"))


def load_bundle(path: str | PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read `(state_dict, meta)`, the weights in the precision they are stored in; int8 as float32.

    `meta` is empty for a safetensors file that is not one of ours.

    Raises:
        CheckpointError: the file is missing, truncated or not a safetensors file.
    """
    header = _header(path)
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    for scaled in [name for name in state if name.endswith(SCALE)]:
        name, scale = scaled.removesuffix(SCALE), state.pop(scaled)
        state[name] = state[name] * scale.view(-1, *[1] * (state[name].ndim - 1))
    for alias, name in json.loads(header.get("aliases", "{}")).items():
        state[alias] = state[name]
    return state, json.loads(header.get("pellucid", "{}"))


def _header(path: str | PathLike) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file, or the download did not finish: {error}"
        ) from error
