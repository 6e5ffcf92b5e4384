"""Weighted mean of the weights of several runs; the file lists its sources."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import torch

from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.errors import CheckpointError, UsageError


def average(
    paths: Sequence[str | PathLike], output: str | PathLike, shares: Sequence[float] = ()
) -> None:
    """Write the mean of bundles in float32; integer tensors must be equal in all.

    The metadata is the first bundle's, with `parents` in addition: file name, sha256, share, and
    recipe, step and settings of each.

    Args:
        paths: bundles of one kind and one config.
        output: file to write.
        shares: weight of each bundle, positive; they are divided by their sum. Equal if empty.

    Raises:
        UsageError: fewer than two bundles, or shares that do not fit them.
        CheckpointError: a bundle cannot be read, or is of another network than the first.
    """
    if len(paths) < 2:
        raise UsageError("an average needs two weights files or more")
    shares = list(shares) or [1.0] * len(paths)
    if len(shares) != len(paths) or min(shares) <= 0:
        raise UsageError(f"{len(paths)} files need as many positive shares, not {shares}")
    parts = [share / sum(shares) for share in shares]
    (first, meta), *others = (load_bundle(path) for path in paths)
    shared = {name: _first_of_same_memory(name, first) for name in first}
    mean = {name: _scaled(first[name], parts[0]) for name in dict.fromkeys(shared.values())}
    for path, part, (state, other) in zip(paths[1:], parts[1:], others, strict=True):
        same = all(other.get(key) == meta.get(key) for key in ("kind", "config"))
        if not same or state.keys() != first.keys():
            raise CheckpointError(f"{path} holds another network than {paths[0]}")
        for name, total in mean.items():
            if total.is_floating_point():
                total += _scaled(state[name], part)
            elif not torch.equal(state[name], total):
                raise CheckpointError(f"{path}: {name} differs from that of {paths[0]}")
    parents = [
        {"file": Path(path).name, "sha256": _sha256(path), "share": part}
        | {
            key: held[key]
            for key in ("recipe", "step", "train", "lineage", "parents")
            if key in held
        }
        for path, part, held in zip(paths, parts, [meta, *(m for _, m in others)], strict=True)
    ]
    means = {name: mean[owner] for name, owner in shared.items()}
    save_bundle(output, means, {**meta, "parents": parents})


def _first_of_same_memory(name: str, state: Mapping[str, torch.Tensor]) -> str:
    """The first name of the same tensor: weights that two parts of a network share have several."""
    same = (state[name].data_ptr(), state[name].shape)
    return next(other for other, value in state.items() if (value.data_ptr(), value.shape) == same)


def _scaled(value: torch.Tensor, share: float) -> torch.Tensor:
    return value.float() * share if value.is_floating_point() else value


def _sha256(path: str | PathLike) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
