"""Where the weights of metrics and of the perceptual loss are, and their checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pellucid.checkpoints.download import cache_folder
from pellucid.errors import CheckpointError

FETCH = "pellucid fetch-metrics"
SHA256 = {
    "lpips-alex": "cbdbef3ec753c430d0409acb0c9ad7de1deced3081feffe4441523434ec0decd",
    "lpips-vgg": "24698146237e3c7084fc3da23602b40e7c5f82e3d5e5a5631e56ac8d4c845841",
    "niqe": "8306326ee36635172cf15ec30c162cda2f7e5d4cf246c221ed41d2bd819770b2",
    "inception": "6049d7efb5f8eb096542fb2f4703c3eaade1cd7cdfd8e34168c908a75772e193",
}


def weights_path(name: str) -> Path:
    """Where the weights of a metric belong."""
    return cache_folder() / "metrics" / f"{name}.safetensors"


def verify(name: str) -> Path:
    """Return the file of a metric's weights after comparing its sha256.

    Raises:
        CheckpointError: it is another one.
    """
    path = weights_path(name)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise CheckpointError(f"{path} is damaged or of another version: run {FETCH}")
    return path
