"""What a file of weights says of itself is checked before anything is built from it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

from pellucid.errors import CheckpointError

HEAD = 64  # bytes of a file that tell what it is
_LARGEST = 1 << 20  # of any size in a config
_DEPTHS = ("blocks", "layers", "refinement", "levels")  # how many modules there are
_MOST_STEPS = 10_000  # of a diffusion
_INFLATED = 4  # times its length a file may be unpacked; tensors are stored as they are
_TYPES: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "config": dict,
    "sde": dict,
    "words": list,
    "semantics": (str, type(None)),
    "tower": (str, type(None)),
    "predicts": (str, type(None)),
    "train": dict,
}


def read_head(path: str | PathLike) -> bytes:
    """The first bytes of a file that may hold weights.

    Raises:
        CheckpointError: it cannot be read, or is plainly something else.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if not head:
        raise CheckpointError(f"{path} is empty (0 bytes): the download did not finish")
    if head.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page, not weights: download the file itself")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a git-lfs pointer, not weights: run `git lfs pull`")
    return head


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as safetensors do: a length, then a JSON object."""
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 100_000_000


def check_archive(path: str | PathLike) -> None:
    """`CheckpointError` for an archive that would take far more memory than its length."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    length = sum(entry.compress_size for entry in entries)
    inflated = sum(entry.file_size for entry in entries)
    if inflated > _INFLATED * length + (1 << 20):
        raise CheckpointError(
            f"{path} would inflate from {length / 1e6:.0f} to {inflated / 1e6:.0f} MB, which "
            "weights never do; refused"
        )


def check_meta(meta: Mapping[str, Any], tensors: int) -> None:
    """`CheckpointError` for metadata of the wrong types, or sizes that make no network.

    `tensors` is how many there are in the file: no part of a network is without one.
    """
    for name, types in _TYPES.items():
        if name in meta and not isinstance(meta[name], types):
            found = type(meta[name]).__name__
            raise CheckpointError(f"its metadata have the type {found} for {name!r}")
    if not all(isinstance(word, str) for word in meta.get("words", ())):
        raise CheckpointError("its words are not all text")
    if meta.get("predicts") not in (None, "epsilon", "x0"):
        raise CheckpointError(f"it predicts {meta['predicts']!r}, which is neither epsilon nor x0")
    if not isinstance(meta.get("train", {}).get("task", {}), dict):
        raise CheckpointError("its metadata do not say what it was trained for")
    for name, value in _numbers(meta.get("sde", {})):
        if name == "steps" and not 1 <= value <= _MOST_STEPS:
            raise CheckpointError(f"its diffusion has {value} steps, not 1 to {_MOST_STEPS}")
    depth = 0
    for name, value in _numbers(meta.get("config", {})):
        if not 0 <= value <= _LARGEST:
            raise CheckpointError(f"its size {name} is {value}, not 0 to {_LARGEST}")
        depth += value if any(word in name for word in _DEPTHS) else 0
    if depth > tensors:
        raise CheckpointError(f"its {tensors} tensors cannot be those of {depth} blocks")


def _numbers(values: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in nested metadata, with the name that they stand under."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _numbers(value, key)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _numbers(value, name)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield name, values
