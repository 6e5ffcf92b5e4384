"""LPIPS, FID and NIQE, as far as their weights are on this machine.

`scripts/fetch_metric_weights.py` puts them there; evaluation runs without, and says what it lacks.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid.checkpoints.download import cache_folder
from pellucid.errors import CheckpointError
from pellucid.evaluation.fid import Inception
from pellucid.evaluation.lpips import LPIPS
from pellucid.evaluation.niqe import niqe
from pellucid.evaluation.scoring import Metric

SCRIPT = "scripts/fetch_metric_weights.py"
SHA256 = {
    "lpips-alex": "cbdbef3ec753c430d0409acb0c9ad7de1deced3081feffe4441523434ec0decd",
    "lpips-vgg": "24698146237e3c7084fc3da23602b40e7c5f82e3d5e5a5631e56ac8d4c845841",
    "niqe": "8306326ee36635172cf15ec30c162cda2f7e5d4cf246c221ed41d2bd819770b2",
    "inception": "6049d7efb5f8eb096542fb2f4703c3eaade1cd7cdfd8e34168c908a75772e193",
}


class Perceptual(NamedTuple):
    """What can be measured here.

    Attributes:
        metrics: of a restored picture and the truth; NIQE looks at the first alone.
        inception: the network of FID; None without its weights.
        missing: what has no weights here.
    """

    metrics: dict[str, Metric]
    inception: Inception | None
    missing: tuple[str, ...]


NOTHING = Perceptual({}, None, ())


def available(device: torch.device) -> Perceptual:
    """Everything whose weights are in the cache.

    Raises:
        CheckpointError: a file is not the one that the script makes.
    """
    present = [name for name in SHA256 if weights_path(name).exists()]
    metrics: dict[str, Metric] = {}
    for network in ("alex", "vgg"):
        if f"lpips-{network}" in present:
            metrics[f"lpips_{network}"] = _loaded(LPIPS(network), f"lpips-{network}", device)
    if "niqe" in present:
        model = load_file(verify("niqe"))
        metrics["niqe"] = partial(_niqe, model["mean"], model["covariance"])
    inception = _loaded(Inception(), "inception", device) if "inception" in present else None
    missing = tuple(
        "fid" if name == "inception" else name for name in SHA256 if name not in present
    )
    return Perceptual(metrics, inception, missing)


def weights_path(name: str) -> Path:
    """Where the weights of a metric belong."""
    return cache_folder() / "metrics" / f"{name}.safetensors"


def verify(name: str) -> Path:
    """The weights of a metric, compared with their sha256.

    Raises:
        CheckpointError: they are damaged, or others.
    """
    path = weights_path(name)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise CheckpointError(f"{path} is damaged, or not made by {SCRIPT}: run it again")
    return path


def _loaded(network: nn.Module, name: str, device: torch.device) -> nn.Module:
    network.load_state_dict(load_file(verify(name)))
    return network.eval().requires_grad_(False).to(device)


def _niqe(mean: Tensor, covariance: Tensor, restored: Tensor, truth: Tensor) -> Tensor:
    return niqe(restored, mean, covariance)
