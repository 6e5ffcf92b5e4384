"""Our weights format: a safetensors file with metadata.

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
    """Write weights and metadata; an existing file is replaced only when done.

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
        temporary.touch()  # with the user's permissions; the library gives its own
        mode = temporary.stat().st_mode
        save_file(tensors, temporary, header)
        temporary.chmod(mode)
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from error
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
    return _meta(path, _header(path), "pellucid")


def _meta(path: str | PathLike, header: Mapping[str, str], name: str) -> dict[str, Any]:
    """An entry of the header, which must be a JSON object."""
    try:
        found = json.loads(header.get(name, "{}"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata are damaged ({error})") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: its metadata are a {type(found).__name__}, not an object")
    return found


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
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    for scaled in [name for name in state if name.endswith(SCALE)]:
        name = scaled.removesuffix(SCALE)
        state[name] = _scaled(path, name, state.get(name), state.pop(scaled))
    for alias, name in _meta(path, header, "aliases").items():
        if not isinstance(name, str) or name not in state:
            raise CheckpointError(f"{path}: {alias} is to be {name!r}, which is not in it")
        state[alias] = state[name]
    return state, _meta(path, header, "pellucid")


def _scaled(path: str | PathLike, name: str, whole: Tensor | None, scale: Tensor) -> Tensor:
    """Whole numbers times a scale for each row, which is checked: a wrong one could make a tensor
    far larger than the file."""
    rows = 1 if whole is None or whole.ndim < 2 else len(whole)
    if whole is None or scale.numel() != rows or not scale.is_floating_point():
        raise CheckpointError(f"{path}: the scale of {name} does not fit it")
    return whole * scale.view(-1, *[1] * (whole.ndim - 1))


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
