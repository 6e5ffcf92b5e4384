"""LPIPS, FID and NIQE, as far as their weights are on this machine.

`pellucid fetch-metrics` downloads them. Evaluation runs without them and lists what was not
measured.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid.checkpoints.metric_weights import SHA256, verify, weights_path
from pellucid.evaluation.fid import Inception
from pellucid.evaluation.lpips import LPIPS
from pellucid.evaluation.niqe import niqe
from pellucid.evaluation.scoring import Metric

Network = TypeVar("Network", bound=nn.Module)


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
        CheckpointError: a file is not the expected one.
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


def _loaded(network: Network, name: str, device: torch.device) -> Network:
    network.load_state_dict(load_file(verify(name)))
    return network.eval().requires_grad_(False).to(device)


def _niqe(mean: Tensor, covariance: Tensor, restored: Tensor, truth: Tensor) -> Tensor:
    return niqe(restored, mean, covariance)
