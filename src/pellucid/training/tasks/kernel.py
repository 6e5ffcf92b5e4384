"""Training of a `WienerUNet`'s kernel estimator alone, at a third of the whole network's cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pellucid.losses import pixel
from pellucid.networks.wiener import WienerUNet, WienerUNetConfig, luma, unexplained, windows
from pellucid.training.tasks.restore import RestoreTask


@dataclass(frozen=True)
class KernelOptions:
    """What a `KernelTask` is made of."""

    network: WienerUNetConfig = field(default_factory=WienerUNetConfig)

    def build(self) -> KernelTask:
        """Make the task: a network with random weights."""
        return KernelTask(WienerUNet(self.network))


class KernelTask(RestoreTask):
    """Train the kernel estimator by `WienerUNet.terms`; the U-Net's weights stay as they are."""

    network: WienerUNet

    def __init__(self, network: WienerUNet):
        super().__init__(network)
        network.requires_grad_(False)
        network.kernel.requires_grad_(True)

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch and its parts."""
        terms = self.network.terms(batch["lq"], batch["gt"], self.condition(batch, generator))
        return torch.stack(list(terms.values())).sum(), terms

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], Tensor]:
        """Return PSNR of sharp and blurred luma, what the kernel leaves unexplained, and pictures.

        The pictures are the sharp luma of each picture's middle window.
        """
        lq, clean = batch["lq"], batch["gt"]
        blur = self.condition(batch)
        truth, before = (luma(windows(x, self.network.config.look)) for x in (clean, lq))
        sharp = blur.sharp[..., : truth.shape[-2], : truth.shape[-1]]
        n = len(sharp) // len(lq)
        metrics = {
            "psnr": pixel.psnr(sharp, truth).unflatten(0, (len(lq), -1)).mean(1),
            "psnr_input": pixel.psnr(before, truth).unflatten(0, (len(lq), -1)).mean(1),
            "unexplained": unexplained(lq, clean, blur.kernel),
        }
        return metrics, sharp[n // 2 :: n].clamp(0, 1).expand(-1, 3, -1, -1)
