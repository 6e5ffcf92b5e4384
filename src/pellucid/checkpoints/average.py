"""Weighted mean of the weights of several runs; the file lists its sources."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    the recipe and step of each.

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
    mean = {name: _scaled(value, parts[0]) for name, value in first.items()}
    for path, part, (state, other) in zip(paths[1:], parts[1:], others, strict=True):
        same = all(other.get(key) == meta.get(key) for key in ("kind", "config"))
        if not same or state.keys() != first.keys():
            raise CheckpointError(f"{path} holds another network than {paths[0]}")
        for name, value in state.items():
            if value.is_floating_point():
                mean[name] += _scaled(value, part)
            elif not torch.equal(value, first[name]):
                raise CheckpointError(f"{path}: {name} differs from that of {paths[0]}")
    parents = [
        {"file": Path(path).name, "sha256": _sha256(path), "share": part}
        | {key: held[key] for key in ("recipe", "step", "parents") if key in held}
        for path, part, held in zip(paths, parts, [meta, *(m for _, m in others)], strict=True)
    ]
    save_bundle(output, mean, {**meta, "parents": parents})


def _scaled(value: torch.Tensor, share: float) -> torch.Tensor:
    return value.float() * share if value.is_floating_point() else value


def _sha256(path: str | PathLike) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
