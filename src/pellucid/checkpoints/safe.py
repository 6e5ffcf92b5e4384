"""Read a PyTorch checkpoint without running code in it.

`torch.load(weights_only=True)` refuses open_clip's training checkpoints, the format of the official
DA-CLIP weights, because their optimizer state holds NumPy scalars. We need none of those numbers,
so NumPy itself is not let in: three small stand-ins take the names that such pickles ask for, under
the module paths of NumPy 1 and 2.
"""

from __future__ import annotations

import pickle
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pellucid.checkpoints.checks import check_archive, read_head
from pellucid.errors import CheckpointError


class _DType:
    """Stands in for `numpy.dtype`: remembers the type code of a plain number, nothing else."""

    def __init__(self, code: str, *_: Any):
        if code not in {"b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}:
            raise pickle.UnpicklingError(f"numpy type {code!r} is not a plain number")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _scalar(dtype: _DType, data: bytes) -> float | int | bool:
    """Stands in for `numpy.core.multiarray.scalar`: the number as a Python number."""
    return np.frombuffer(data, dtype.order + dtype.code, count=1).item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands in for `_codecs.encode`, with which old pickles write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} does not belong in a checkpoint")
    return text.encode("latin1")


_ALLOWED = [
    (_DType, "numpy.dtype"),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    (_encode, "_codecs.encode"),
]

_CONVERT = (
    "If you trust where it comes from, convert it once, in an environment you can lose:\n"
    "  python -c \"import torch; c = torch.load('{name}', map_location='cpu', weights_only=False); "
    "s = c.state_dict() if hasattr(c, 'state_dict') else c.get('state_dict', c); "
    "torch.save(s, 'weights-only.pt')\""
)


def load(path: str | PathLike) -> Any:
    """Return what a `.pt`, `.pth` or `.ckpt` file holds, tensors on the CPU (memory-mapped).

    Raises:
        CheckpointError: the file is missing, truncated, not a checkpoint, or asks to run code.
    """
    path = Path(path)
    head = read_head(path)
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is cut off: the download did not finish; fetch it again")
    if zipfile.is_zipfile(path):
        check_archive(path)
    named = path.suffix.lower() == ".safetensors"  # by which torch.load takes it for such a file
    try:
        with torch.serialization.safe_globals(_ALLOWED), open(path, "rb") as file:
            source, mapped = (file, None) if named else (path, zipfile.is_zipfile(path))
            return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            wanted = str(error).split("GLOBAL ")[1].split()[0]
            raise CheckpointError(
                f"{path} asks for {wanted} to be run while it is read, which weights never need; "
                f"refused. {_CONVERT.format(name=path.name)}"
            ) from error
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or damaged") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle can raise nearly anything, in words for others
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or damaged") from error
