"""OpenAI's CLIP weights as published: TorchScript archives, which hold code.

An archive is opened only if its sha256 is the published one; the weights are taken from it and the
code is left. Weights: MIT (https://github.com/openai/CLIP, whose links carry these sums).
"""

from __future__ import annotations

import hashlib
import zipfile
from os import PathLike

import torch
from torch import Tensor

from pellucid.errors import CheckpointError

SHA256 = {
    "RN50": "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
    "ViT-B/32": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
}
SCALARS = {"input_resolution", "context_length", "vocab_size"}  # sizes, kept among the weights


def open_archive(path: str | PathLike) -> tuple[str, dict[str, Tensor]] | None:
    """Return the name and the weights (float16) of a published archive; None for any other file.

    Raises:
        CheckpointError: another TorchScript archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            scripted = any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return None
    if not scripted:
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    for name, sha256 in SHA256.items():
        if digest.hexdigest() == sha256:
            state = torch.jit.load(path, map_location="cpu").state_dict()
            return name, {key: value for key, value in state.items() if key not in SCALARS}
    raise CheckpointError(
        f"{path} is a TorchScript archive, which holds code: only OpenAI's {' and '.join(SHA256)} "
        "are opened, as they were published"
    )
