"""Weights and inputs of the golden files, made by a formula instead of being stored.

`daclip_golden.safetensors` holds what the official DA-CLIP code returned (CPU, float32) for
networks whose parameters were filled by `values` below. A test fills its own network the same way
and compares.
"""

import math
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parent
Target = TypeVar("Target", nn.Module, dict)


def read_keys(path: str | Path) -> list[tuple[str, tuple[int, ...], bool]]:
    """Rows `(key, shape, is_alias)` of a key list, in the official `state_dict()` order.

    Reads both kinds of list: `*_keys.tsv` (position, key, shape, optional `alias`) and `keys/*.txt`
    (key, shape, dtype; comment lines start with `#`). A bare name is looked for beside this file.
    """
    path = Path(path)
    path = path if path.exists() else GOLDEN / path
    rows = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        fields = fields[1:] if fields[0].isdigit() else fields
        shape = tuple(int(n) for n in fields[1].strip("()").split(",") if n.strip())
        rows.append((fields[0], shape, "alias" in fields[2:]))
    return rows


def values(position: int, count: int) -> np.ndarray:
    """Pseudo-random numbers in [-1, 1) as float64 (count,), from integer hashing alone."""
    mask = np.uint64(0xFFFFFFFF)
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761)
    x = (x + np.uint64(position * 40503)) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & mask
    x ^= x >> np.uint64(13)
    return x / 2.0**31 - 1


def parameter(position: int, key: str, shape: tuple[int, ...]) -> Tensor:
    """The golden value of one parameter: float32 of the given shape."""
    last = key.rsplit(".", 1)[-1]
    if last == "logit_scale":
        return torch.tensor(math.log(1 / 0.07), dtype=torch.float32)
    v = values(position, math.prod(shape))
    if last == "g" or (last == "weight" and len(shape) == 1):
        v = 1 + 0.1 * v
    elif last == "prompt":
        v = 0.5 + 0.5 * v
    elif "embedding" in key or len(shape) == 1:
        v = 0.1 * v
    elif last in ("proj", "text_projection"):
        v = v * math.sqrt(3 / shape[0])
    else:
        v = v * math.sqrt(3 / math.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32)).reshape(shape)


def golden_state(keys_tsv: str | Path) -> dict[str, Tensor]:
    """The filled state dict of a key list; alias rows are counted but left out."""
    rows = enumerate(read_keys(keys_tsv))
    return {key: parameter(k, key, shape) for k, (key, shape, alias) in rows if not alias}


def fill(target: Target, keys_tsv: str | Path) -> Target:
    """Fill a module, or a state dict in place, with the golden parameters; returns it.

    Keys and shapes must agree exactly, except that alias rows may be absent or present.
    """
    state = target.state_dict() if isinstance(target, nn.Module) else target
    golden = golden_state(keys_tsv)
    aliases = {key for key, _, alias in read_keys(keys_tsv) if alias}
    differences = (set(state) - aliases) ^ set(golden)
    assert not differences, f"keys differ from {keys_tsv}: {sorted(differences)[:8]}"
    with torch.no_grad():
        for key, value in golden.items():
            assert state[key].shape == value.shape, f"{key}: {tuple(state[key].shape)}"
            state[key].copy_(value)
    return target


def image(b: int, h: int, w: int) -> Tensor:
    """A smooth test image (b, 3, h, w) in [0, 1]."""
    n, c, y, x = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (b, 3, h, w)), indexing="ij"
    )
    return (0.5 + 0.5 * torch.sin(0.11 * x + 0.23 * y + 1.7 * c + 0.9 * n)).float()


def vec(b: int, n: int, p: float) -> Tensor:
    """A test embedding (b, n) with phase `p`."""
    rows, i = torch.meshgrid(
        torch.arange(b, dtype=torch.float64), torch.arange(n, dtype=torch.float64), indexing="ij"
    )
    return torch.sin(0.05 * i + p + 0.3 * rows).float()
